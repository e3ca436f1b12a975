//! Counting a deletion's reports again, because its nodes are given up or what they say in words is missing. No I/O.

use std::collections::HashMap;

use super::change::{Change, ReportChange};

/// Whether the reports were counted again, as they are when nodes are given up.
#[derive(Debug, Default)]
pub(super) enum Recount {
    /// They were not.
    #[default]
    Due,
    /// They are being counted, and this is what nodes have reported since, each the last.
    Asked(HashMap<String, ReportChange>),
    /// They were, and those that are missing are given up.
    Done,
}

impl Recount {
    /// They are asked for now.
    pub(super) fn begun() -> Self {
        Self::Asked(HashMap::new())
    }

    /// Whether those that are missing are given up.
    pub(super) const fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// They are there. Returns what nodes have reported since they were asked for.
    pub(super) fn end(&mut self) -> Vec<ReportChange> {
        match std::mem::take(self) {
            Self::Asked(since) => since.into_values().collect(),
            Self::Due | Self::Done => Vec::new(),
        }
    }

    /// Nobody waits for them any more.
    pub(super) fn give_up(&mut self) {
        if let Self::Asked(_) = self {
            *self = Self::Due;
        }
    }

    /// Notes what may be newer than the list. A final report is final here too.
    pub(super) fn note(&mut self, change: &ReportChange) {
        let Self::Asked(since) = self else { return };
        let node = match change {
            Change::Applied(report) => &report.node_name,
            Change::Gone(node) => node,
            Change::Listed(_) => return,
        };
        let is_final = |change: &ReportChange| matches!(change, Change::Applied(report) if report.completion_time.is_some());
        let is_undone = matches!(change, Change::Applied(_)) && !is_final(change);
        if !(is_undone && since.get(node).is_some_and(is_final)) {
            since.insert(node.clone(), change.clone());
        }
    }
}
