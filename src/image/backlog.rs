//! What of a node's content is still to be read.

use std::collections::BTreeSet;

use super::content::Unread;
use super::digest::ImageId;
use super::record::Kind;

/// The images whose content was not read yet. Kept in the sets that decisions ask for, so that asking costs no more than
/// what is still to be read.
#[derive(Debug, Clone, Default)]
pub(super) struct Backlog {
    all: BTreeSet<ImageId>,
    nameless: BTreeSet<ImageId>,
    untold: BTreeSet<ImageId>,
}

/// Images that a decision needs together.
#[derive(Debug, Clone, Copy)]
pub(super) enum Scope {
    /// Every image.
    All,
    /// Those that no reference and no unparsable name points at.
    Nameless,
    /// Those without a record that could tell their config.
    Untold,
}

impl Backlog {
    /// Takes note of an image that is unread and has records of these kinds.
    pub fn add<'a>(&mut self, image: &ImageId, kinds: impl Iterator<Item = &'a Kind> + Clone) {
        let put = |set: &mut BTreeSet<ImageId>, belongs: bool| match belongs {
            true => set.insert(image.clone()),
            false => set.remove(image),
        };
        put(&mut self.all, true);
        put(&mut self.nameless, !kinds.clone().any(Kind::names));
        put(
            &mut self.untold,
            !kinds.clone().any(|kind| kind.digest().is_some()),
        );
    }

    /// The image was read, or has no record any more.
    pub fn remove(&mut self, image: &ImageId) {
        self.all.remove(image);
        self.nameless.remove(image);
        self.untold.remove(image);
    }

    /// Says what of these images is still to be read.
    pub fn require(&self, scope: Scope) -> Result<(), Unread> {
        let set = match scope {
            Scope::All => &self.all,
            Scope::Nameless => &self.nameless,
            Scope::Untold => &self.untold,
        };
        match set.is_empty() {
            true => Ok(()),
            false => Err(Unread(set.iter().cloned().collect())),
        }
    }
}
