//! How far a look at the records of a node reaches.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::digest::ImageId;

/// Records that were read, or that are to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reach {
    /// Every record of the node.
    All,
    /// Some of them.
    Part {
        /// Whatever has one of these names.
        names: BTreeSet<Arc<str>>,
        /// Every record of these images, and every record that says that one of them is its parent.
        images: BTreeSet<ImageId>,
    },
}

impl Reach {
    /// No record.
    pub const NONE: Self = Self::Part { names: BTreeSet::new(), images: BTreeSet::new() };

    /// The records of these names.
    pub fn names<T: Into<Arc<str>>>(names: impl IntoIterator<Item = T>) -> Self {
        Self::Part { names: names.into_iter().map(Into::into).collect(), images: BTreeSet::new() }
    }

    /// What there is of an image.
    pub fn image(image: &ImageId) -> Self {
        Self::Part { names: BTreeSet::new(), images: BTreeSet::from([image.clone()]) }
    }

    /// Whether it says what record has that name, or that none has.
    pub fn has_name(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Part { names, .. } => names.contains(name),
        }
    }

    /// Whether it has every record of that image.
    pub fn has_image(&self, image: &ImageId) -> bool {
        match self {
            Self::All => true,
            Self::Part { images, .. } => images.contains(image),
        }
    }

    /// Reaches what the other does too.
    pub fn extend(&mut self, other: Self) {
        match (self, other) {
            (Self::All, _) => {}
            (all, Self::All) => *all = Self::All,
            (Self::Part { names, images }, Self::Part { names: more_names, images: more_images }) => {
                names.extend(more_names);
                images.extend(more_images);
            }
        }
    }

    /// What was read under that name does not hold any longer.
    pub(super) fn forget_name(&mut self, name: &str) {
        if let Self::Part { names, .. } = self {
            names.remove(name);
        }
    }
}

impl Default for Reach {
    fn default() -> Self {
        Self::NONE
    }
}
