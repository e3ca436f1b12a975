//! What the controller tells those who watch over it: metrics and health.

use std::collections::BTreeMap;

use crate::api::status::Phase;

/// Takes in what the controller has to say about itself. It is called from the controller's one loop, so it must be quick.
pub trait Observer: Send + Sync + 'static {
    /// How many deletions there are in each phase. All are 0 while another controller leads, so that a sum over the
    /// controllers counts each deletion once.
    fn phases(&self, counts: &BTreeMap<Phase, usize>);

    /// Something went wrong, and will be tried again.
    fn error(&self, kind: ErrorKind);

    /// Whether the controller knows all that it must know to lead. It is ready on standby too.
    fn ready(&self, ready: bool);
}

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ErrorKind {
    /// A watch could not be opened, or broke off.
    Watch,
    /// A status could not be written.
    StatusWrite,
    /// The reports of a deletion could not be listed.
    Recount,
    /// An expired deletion could not be removed.
    Removal,
    /// An Event could not be published.
    Event,
    /// The Lease could not be held.
    Lease,
}

impl ErrorKind {
    /// Every kind, for counters that start at 0.
    pub const ALL: [Self; 6] =
        [Self::Watch, Self::StatusWrite, Self::Recount, Self::Removal, Self::Event, Self::Lease];

    /// The value of a metric's label.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Watch => "watch",
            Self::StatusWrite => "status_write",
            Self::Recount => "recount",
            Self::Removal => "removal",
            Self::Event => "event",
            Self::Lease => "lease",
        }
    }
}
