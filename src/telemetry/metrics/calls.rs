//! How long calls to containerd take.

use prometheus::{HistogramOpts, HistogramVec, Registry, Result};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer};

/// Listens for the words of [`crate::node`] on every call, because the node knows no metrics.
#[derive(Debug, Clone)]
pub struct CallTimes(HistogramVec);

impl CallTimes {
    /// Registers `secateur_containerd_request_duration_seconds`.
    pub fn register(registry: &Registry) -> Result<Self> {
        let options = HistogramOpts::new(
            "secateur_containerd_request_duration_seconds",
            "Seconds that a request to containerd took, by service and method.",
        )
        .buckets(vec![0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0]);
        let times = HistogramVec::new(options, &["service", "method"])?;
        registry.register(Box::new(times.clone()))?;
        Ok(Self(times))
    }
}

impl<S: Subscriber> Layer<S> for CallTimes {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != crate::node::CALLS {
            return;
        }
        let mut call = Call::default();
        event.record(&mut call);
        if let Some((service, method)) = call.method.split_once('.') {
            self.0.with_label_values(&[service, method]).observe(call.seconds);
        }
    }
}

/// What an event says of a call.
#[derive(Default)]
struct Call {
    method: String,
    seconds: f64,
}

impl Visit for Call {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "method" {
            value.clone_into(&mut self.method);
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        if field.name() == "seconds" {
            self.seconds = value;
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt;

    #[test]
    fn calls_are_told_apart_from_other_words() {
        let registry = Registry::new();
        let times = CallTimes::register(&registry).unwrap();
        tracing::subscriber::with_default(tracing_subscriber::registry().with(times), || {
            tracing::debug!(target: crate::node::CALLS, method = "images.List", resource = "", seconds = 0.5);
            tracing::debug!(method = "images.Get", seconds = 0.5, "not a call");
        });
        let families = registry.gather();
        let metrics = families[0].get_metric();
        let labels: Vec<_> = metrics[0].get_label().iter().map(|label| label.value()).collect();
        assert_eq!((metrics.len(), labels), (1, vec!["List", "images"]));
        let histogram = metrics[0].get_histogram();
        assert_eq!((histogram.get_sample_count(), histogram.get_sample_sum()), (1, 0.5));
    }
}
