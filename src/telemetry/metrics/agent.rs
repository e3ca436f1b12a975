//! What an agent counts.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, IntCounter, IntCounterVec, Opts, Registry, Result};

use super::{errors, family};
use crate::api::result::{Conflict, ConflictKind, ImageResult, Outcome, Record};

/// Metrics of an agent. They agree with its reports.
#[derive(Debug, Clone)]
pub struct AgentMetrics {
    deleted: IntCounter,
    untagged: IntCounter,
    outcomes: IntCounterVec,
    conflicts: IntCounterVec,
    reclaimed: IntCounter,
    durations: Histogram,
    rollbacks: IntCounter,
    errors: IntCounterVec,
}

impl AgentMetrics {
    /// Registers them, with every label value that there can be at 0.
    pub fn register(registry: &Registry) -> Result<Self> {
        let counter = |name, help| {
            let counter = IntCounter::with_opts(Opts::new(name, help))?;
            registry.register(Box::new(counter.clone()))?;
            Ok::<_, prometheus::Error>(counter)
        };
        let metrics = Self {
            deleted: counter("secateur_images_deleted_total", "Images that are gone from the node.")?,
            untagged: counter("secateur_references_untagged_total", "Names that were removed from images.")?,
            outcomes: family(
                registry,
                ("secateur_image_outcomes_total", "Images that deletions asked for, by what came of them."),
                "outcome",
                Outcome::ALL.map(|outcome| format!("{outcome:?}")),
            )?,
            conflicts: family(
                registry,
                ("secateur_conflicts_total", "What stood in the way of deletions, by kind."),
                "kind",
                ConflictKind::ALL.map(|kind| format!("{kind:?}")),
            )?,
            reclaimed: counter("secateur_reclaimed_bytes_total", "Bytes that deletions freed on the node.")?,
            durations: durations(registry)?,
            rollbacks: counter(
                "secateur_rollbacks_total",
                "Images that were put back because something began to use them meanwhile.",
            )?,
            errors: errors(registry, ["containerd", "api"])?,
        };
        Ok(metrics)
    }

    /// Counts what was removed, and what it brought.
    pub fn removed(&self, results: &[ImageResult]) {
        for result in results {
            for record in &result.records {
                match record {
                    Record::Deleted(_) => self.deleted.inc(),
                    Record::Untagged(_) => self.untagged.inc(),
                }
            }
            self.reclaimed.inc_by(result.reclaimed_bytes);
        }
    }

    /// Counts what came of the images of a deletion in the end.
    pub fn ended(&self, results: &[ImageResult]) {
        for result in results {
            self.outcomes.with_label_values(&[format!("{:?}", result.outcome)]).inc();
        }
    }

    /// Something stands in the way of a deletion.
    pub fn held(&self, conflict: &Conflict) {
        self.conflicts.with_label_values(&[format!("{:?}", conflict.kind)]).inc();
    }

    /// A deletion took so long, from its beginning on this node to its report.
    pub fn took(&self, duration: Duration) {
        self.durations.observe(duration.as_secs_f64());
    }

    /// So many images were put back.
    pub fn put_back(&self, images: usize) {
        self.rollbacks.inc_by(images as u64);
    }

    /// Something went wrong.
    pub fn error(&self, kind: &'static str) {
        self.errors.with_label_values(&[kind]).inc();
    }
}

fn durations(registry: &Registry) -> Result<Histogram> {
    let options = HistogramOpts::new(
        "secateur_deletion_duration_seconds",
        "Seconds from the beginning of a deletion on the node to its report.",
    )
    .buckets(vec![0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 600.0]);
    let histogram = Histogram::with_opts(options)?;
    registry.register(Box::new(histogram.clone()))?;
    Ok(histogram)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(registry: &Registry, name: &str, label: Option<&str>) -> f64 {
        let families = registry.gather();
        let family = families.iter().find(|family| family.name() == name).expect(name);
        let has = |metric: &&prometheus::proto::Metric| {
            label.is_none_or(|label| metric.get_label()[0].value() == label)
        };
        family.get_metric().iter().find(has).expect(name).get_counter().get_value()
    }

    #[test]
    fn what_a_report_says_is_counted() {
        let registry = Registry::new();
        let metrics = AgentMetrics::register(&registry).unwrap();
        let conflict = Conflict {
            image: "b".into(),
            kind: ConflictKind::PendingPod,
            forcible: true,
            namespace: None,
            pod: None,
            container: None,
            message: String::new(),
        };
        let result = |outcome, records: &[Record], conflicts: &[Conflict], reclaimed_bytes| ImageResult {
            image: "a".into(),
            outcome,
            records: records.to_vec(),
            conflicts: conflicts.to_vec(),
            reclaimed_bytes,
            message: None,
        };
        let gone =
            [Record::Untagged("a:1".into()), Record::Untagged("a:2".into()), Record::Deleted("c".into())];
        let results =
            [result(Outcome::Deleted, &gone, &[], 7), result(Outcome::Conflict, &[], &[conflict], 0)];
        metrics.removed(&results);
        metrics.ended(&results);
        results.iter().flat_map(|result| &result.conflicts).for_each(|conflict| metrics.held(conflict));
        let rows = [
            ("secateur_images_deleted_total", None, 1.0),
            ("secateur_references_untagged_total", None, 2.0),
            ("secateur_reclaimed_bytes_total", None, 7.0),
            ("secateur_image_outcomes_total", Some("Deleted"), 1.0),
            ("secateur_image_outcomes_total", Some("Conflict"), 1.0),
            ("secateur_image_outcomes_total", Some("Absent"), 0.0),
            ("secateur_conflicts_total", Some("PendingPod"), 1.0),
            ("secateur_conflicts_total", Some("Pinned"), 0.0),
            ("secateur_errors_total", Some("containerd"), 0.0),
        ];
        for (name, label, expected) in rows {
            assert_eq!(value(&registry, name, label), expected, "{name} {label:?}");
        }
    }
}
