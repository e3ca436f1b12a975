//! What a decision lacks.

use std::collections::BTreeSet;

use super::digest::ImageId;

/// The images whose content a decision needs and the inventory does not hold yet. Read it, let the inventory
/// [learn](super::Inventory::learn) it and ask again: the decision does not depend on what was read when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unread(pub BTreeSet<ImageId>);

impl Unread {
    /// The content of an image.
    pub fn content(image: &ImageId) -> Self {
        Self::from_iter([image.clone()])
    }

    /// Whether nothing is to be read.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds what something else lacks.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

impl FromIterator<ImageId> for Unread {
    fn from_iter<T: IntoIterator<Item = ImageId>>(images: T) -> Self {
        Self(images.into_iter().collect())
    }
}
