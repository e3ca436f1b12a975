//! What the controller counts.

use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry, Result};

use crate::api::status::Phase;

/// Metrics of the controller.
#[derive(Debug, Clone)]
pub struct ControllerMetrics {
    deletions: IntGaugeVec,
    errors: IntCounterVec,
}

impl ControllerMetrics {
    /// Registers them; `errors` are the kinds of what can go wrong.
    pub fn register<const N: usize>(registry: &Registry, errors: [&str; N]) -> Result<Self> {
        let phases = Opts::new("secateur_imagedeletions", "ImageDeletions that there are, by phase.");
        let deletions = IntGaugeVec::new(phases, &["phase"])?;
        registry.register(Box::new(deletions.clone()))?;
        let errors = super::errors(registry, errors)?;
        let metrics = Self { deletions, errors };
        metrics.set(|_| 0);
        Ok(metrics)
    }

    /// How many deletions there are of each phase.
    pub fn set(&self, count: impl Fn(Phase) -> usize) {
        for phase in Phase::ALL {
            let number = i64::try_from(count(phase)).unwrap_or(i64::MAX);
            self.deletions.with_label_values(&[format!("{phase:?}").as_str()]).set(number);
        }
    }

    /// Something went wrong.
    pub fn error(&self, kind: &'static str) {
        self.errors.with_label_values(&[kind]).inc();
    }
}
