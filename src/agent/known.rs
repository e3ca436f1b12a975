//! What an agent knows of a deletion without asking.

use std::cell::Cell;
use std::rc::Rc;

use crate::api::deletion::ImageDeletion;

/// A deletion as far as the watch has told of it. Whoever has a copy learns of its end.
#[derive(Debug, Clone, Default)]
pub struct Known(Rc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    deletion: Option<ImageDeletion>,
    /// Whether the watch would tell of a change.
    is_watched: Cell<bool>,
}

impl Known {
    /// The watch has told of this, and will tell of a change.
    pub fn told(deletion: ImageDeletion) -> Self {
        Self(Rc::new(Inner { deletion: Some(deletion), is_watched: Cell::new(true) }))
    }

    /// The watch tells no more of the deletion.
    pub fn unwatch(&self) {
        self.0.is_watched.set(false);
    }

    /// The deletion as it is, if that is known.
    pub fn current(&self) -> Option<&ImageDeletion> {
        self.last().filter(|_| self.0.is_watched.get())
    }

    /// The deletion as it was when the watch told of it last.
    pub fn last(&self) -> Option<&ImageDeletion> {
        self.0.deletion.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::deletion::ImageDeletionSpec;

    #[test]
    fn a_copy_learns_that_nothing_more_is_told() {
        let known = Known::told(ImageDeletion::new("drop", ImageDeletionSpec::of(["a"])));
        let copy = known.clone();
        assert!(copy.current().is_some());
        known.unwatch();
        assert!(copy.current().is_none() && copy.last().is_some());
        assert!(Known::default().last().is_none());
    }
}
