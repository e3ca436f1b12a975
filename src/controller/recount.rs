//! Counting a deletion's reports again, because its nodes are given up or what they say in words is missing. No I/O.

use jiff::Timestamp;

use super::change::ReportChange;
use super::since::Since;

/// Whether the reports were counted again, as they are when nodes are given up.
#[derive(Debug, Default)]
pub(super) enum Recount {
    /// They were not.
    #[default]
    Due,
    /// They are being counted from then on, and this is what nodes have reported since.
    Asked(Timestamp, Since),
    /// They were, and those that are missing are given up.
    Done,
}

impl Recount {
    /// They are asked for `now`.
    pub(super) fn begun(now: Timestamp) -> Self {
        Self::Asked(now, Since::default())
    }

    /// Whether those that are missing are given up.
    pub(super) const fn is_done(&self) -> bool {
        matches!(self, Self::Done)
    }

    /// They are there. Whoever is not among them is given up where they were asked for after that was due; who may have reported since
    /// the deadline is not, however late the list comes. Returns what nodes have reported since they were asked for.
    pub(super) fn end(&mut self, gives_up: Option<Timestamp>) -> impl Iterator<Item = ReportChange> + use<> {
        let (is_late, since) = match std::mem::take(self) {
            Self::Asked(began, since) => (gives_up.is_some_and(|time| time <= began), since),
            Self::Due | Self::Done => (false, Since::default()),
        };
        if is_late {
            *self = Self::Done;
        }
        since.changes()
    }

    /// Nobody waits for them any more.
    pub(super) fn give_up(&mut self) {
        if let Self::Asked(..) = self {
            *self = Self::Due;
        }
    }

    /// Notes what may be newer than the list.
    pub(super) fn note(&mut self, change: &ReportChange) {
        if let Self::Asked(_, since) = self {
            since.note(change.clone());
        }
    }
}
