//! What tells one deletion from every other, also from a later one of the same name.

use std::sync::Arc;

use crate::api::deletion::ImageDeletion;

/// The UID that the API server gave to an `ImageDeletion`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Uid(Arc<str>);

impl Uid {
    /// The UID of this deletion.
    pub(super) fn of(deletion: &ImageDeletion) -> Self {
        deletion.metadata.uid.as_deref().unwrap_or_default().into()
    }

    /// As it was given, for comparing it with what a report says.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&str> for Uid {
    fn from(uid: &str) -> Self {
        Self(uid.into())
    }
}
