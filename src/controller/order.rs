//! What the controller asks of the API server.

use super::note::Note;
use super::uid::Uid;
use crate::api::deletion::ImageDeletion;
use crate::api::status::ImageDeletionStatus;

/// One request, or one series of them.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Order {
    /// Write a status.
    Write(Box<StatusWrite>),
    /// List a deletion's reports, as of now: a watch that lags must not make a node silent that has reported.
    Recount(Target),
    /// Remove a deletion that has expired.
    Remove(Target),
}

/// A status to be written, and what is to be said once it is.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct StatusWrite {
    /// Of which deletion.
    pub(super) target: Target,
    /// The whole status.
    pub(super) status: ImageDeletionStatus,
    /// What happened by it.
    pub(super) notes: Vec<Note>,
}

/// A deletion as it was when the order was given. Orders on one that has changed since are refused by the API server,
/// so that nothing is decided on what is no longer true, and two controllers cannot undo each other's work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// Its name.
    pub(super) name: String,
    /// Its UID.
    pub(super) uid: Uid,
    /// Its version.
    pub(super) resource_version: Option<String>,
}

impl Target {
    /// The deletion as it is here.
    pub(super) fn of(deletion: &ImageDeletion) -> Self {
        let metadata = &deletion.metadata;
        Self {
            name: metadata.name.clone().unwrap_or_default(),
            uid: Uid::of(deletion),
            resource_version: metadata.resource_version.clone(),
        }
    }
}
