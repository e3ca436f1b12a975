//! What a decision lacks.

use std::collections::BTreeSet;

use super::digest::ImageId;
use super::reach::Reach;

/// What a decision needs and the inventory does not hold yet. Read it, let the inventory
/// [learn](super::Inventory::learn) it and ask again: the decision does not depend on what was read when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unread {
    /// The images whose content is to be read.
    pub contents: BTreeSet<ImageId>,
    /// The records that are to be read.
    pub records: Reach,
}

impl Unread {
    /// The content of these images.
    pub fn contents(images: impl IntoIterator<Item = ImageId>) -> Self {
        Self { contents: images.into_iter().collect(), records: Reach::NONE }
    }

    /// The content of an image.
    pub fn content(image: &ImageId) -> Self {
        Self::contents([image.clone()])
    }

    /// These records.
    pub const fn records(records: Reach) -> Self {
        Self { contents: BTreeSet::new(), records }
    }

    /// Whether nothing is to be read.
    pub fn is_empty(&self) -> bool {
        self.contents.is_empty() && self.records == Reach::NONE
    }

    /// Adds what something else lacks.
    pub fn extend(&mut self, other: Self) {
        self.contents.extend(other.contents);
        self.records.extend(other.records);
    }
}
