//! What of a node's content is still to be read.

use std::collections::HashSet;
use std::sync::Arc;

use super::digest::ImageId;
use super::record::Record;
use super::unread::Unread;

/// The images whose content was not read yet. Kept in the sets that decisions ask for, so that asking costs no more than
/// what is still to be read.
#[derive(Debug, Clone, Default)]
pub(super) struct Backlog {
    all: HashSet<ImageId>,
    nameless: HashSet<ImageId>,
    untold: HashSet<ImageId>,
}

/// Images that a decision needs together.
#[derive(Debug, Clone, Copy)]
pub(super) enum Extent {
    /// Every image.
    All,
    /// Those that no reference and no unparsable name points at.
    Nameless,
    /// Those without a record that could tell their config.
    Untold,
}

impl Backlog {
    /// Takes note of an image that is unread and has these records.
    pub fn add(&mut self, image: &ImageId, records: &[Arc<Record>]) {
        let put = |set: &mut HashSet<ImageId>, belongs: bool| match belongs {
            true => set.insert(image.clone()),
            false => set.remove(image),
        };
        put(&mut self.all, true);
        put(&mut self.nameless, !records.iter().any(|record| record.kind.names()));
        put(&mut self.untold, !records.iter().any(|record| record.kind.digest().is_some()));
    }

    /// The image was read, or has no record any more.
    pub fn remove(&mut self, image: &ImageId) {
        self.all.remove(image);
        self.nameless.remove(image);
        self.untold.remove(image);
    }

    /// Says what of these images is still to be read.
    pub fn require(&self, extent: Extent) -> Result<(), Unread> {
        let set = match extent {
            Extent::All => &self.all,
            Extent::Nameless => &self.nameless,
            Extent::Untold => &self.untold,
        };
        if set.is_empty() {
            return Ok(());
        }
        Err(set.iter().cloned().collect())
    }
}
