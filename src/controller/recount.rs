//! Counting a deletion's reports again, because its nodes are given up or what they say in words is missing. No I/O.

use super::change::ReportChange;
use super::since::Since;

/// Whether the reports were counted again, as they are when nodes are given up.
#[derive(Debug, Default)]
pub(super) enum Recount {
    /// They were not.
    #[default]
    Due,
    /// They are being counted, and this is what nodes have reported since.
    Asked(Since),
    /// They were, and those that are missing are given up.
    Done,
}

impl Recount {
    /// They are asked for now.
    pub(super) fn begun() -> Self {
        Self::Asked(Since::default())
    }

    /// Whether those that are missing are given up.
    pub(super) const fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// They are there. Returns what nodes have reported since they were asked for.
    pub(super) fn end(&mut self) -> impl Iterator<Item = ReportChange> + use<> {
        let since = match std::mem::take(self) {
            Self::Asked(since) => since,
            Self::Due | Self::Done => Since::default(),
        };
        since.changes()
    }

    /// Nobody waits for them any more.
    pub(super) fn give_up(&mut self) {
        if let Self::Asked(_) = self {
            *self = Self::Due;
        }
    }

    /// Notes what may be newer than the list.
    pub(super) fn note(&mut self, change: &ReportChange) {
        if let Self::Asked(since) = self {
            since.note(change.clone());
        }
    }
}
