//! What the store shows of a killed operation whose outcome was not certain: which records are gone by it, and which of its plans
//! were begun.

use std::collections::HashMap;
use std::sync::Arc;

use super::images::Row;
use crate::image::{Plan, Record, dangling_name};

/// The records that there are, beside the plans of a journal.
pub(super) struct Traces<'a> {
    rows: &'a HashMap<String, Row>,
    /// The plans that make dangling records, by the names of these.
    makers: HashMap<String, &'a Plan>,
}

impl<'a> Traces<'a> {
    /// What these records show of these plans, which are all of the journal.
    pub(super) fn of(plans: impl Iterator<Item = &'a Plan>, rows: &'a HashMap<String, Row>) -> Self {
        let made = |plan: &'a Plan| plan.kept().map(move |record| (dangling_name(&record.target), plan));
        Self { rows, makers: plans.flat_map(made).collect() }
    }

    /// Whether a record is there no longer. What a plan of the journal was to make may not have been made yet.
    pub(super) fn is_gone(&self, name: &str) -> bool {
        let has_lost = |maker: &&Plan| {
            let mut records = maker.removed();
            records.any(|record| !self.rows.contains_key(&*record.name) || self.elsewhere(record).is_some())
        };
        !self.rows.contains_key(name) && self.makers.get(name).is_none_or(has_lost)
    }

    /// Where a record points by now, if that is another image.
    pub(super) fn elsewhere(&self, record: &Record) -> Option<String> {
        let target = &self.rows.get(&*record.name)?.target.digest;
        (*target != record.target.to_string()).then(|| target.clone())
    }

    /// Whether anything was done for a plan.
    pub(super) fn has_begun(&self, plan: &Plan) -> bool {
        let has_made = |record: &Arc<Record>| self.rows.contains_key(&dangling_name(&record.target));
        plan.removed().any(|record| self.is_gone(&record.name))
            // Somebody may have given the only name of what is gone to another image.
            || plan.removed().all(|record| self.elsewhere(record).is_some())
            || plan.kept().any(has_made)
    }
}
