//! A journal on the node, from its first write to its end, and what a run that finds one can tell of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::client::Containerd;
use super::collection::Collection;
use super::error::{CallError, Error};
use super::journal::{Journal, LEASE_PREFIX};
use super::leases::Collect;
use super::lock::Lock;
use super::place::{Found, Place, Settled};

/// A journal that was written and not yet closed.
#[derive(Debug, Clone)]
pub struct OpenJournal {
    place: Place,
    /// What it says.
    pub journal: Journal,
    /// How far it had come.
    pub stage: Stage,
}

/// How far an operation has come by its journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// It may have removed records. The content of all of them is held.
    Begun,
    /// The outcome is certain, and nothing is held any longer.
    Settled {
        /// What was to be removed and was not.
        kept: Kept,
    },
}

/// What of a journal was not done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// The records that stay, or were put back.
    pub stays: BTreeSet<String>,
    /// The records that others took away meanwhile, and where they point now if that is elsewhere.
    pub lost: BTreeMap<String, Option<String>>,
    /// The plans that a run which found the journal has left alone, by their places in it: they were not begun.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub unbegun: BTreeSet<usize>,
    /// Why the daemon refused to go on with a plan.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<usize, String>,
}

impl Kept {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the record is there no longer by what the operation did.
    pub(super) fn has_removed(&self, name: &str) -> bool {
        !self.stays.contains(name) && !self.lost.contains_key(name)
    }
}

impl Stage {
    fn read(settled: Settled) -> Result<Self, serde_json::Error> {
        match settled {
            Settled::No => Ok(Self::Begun),
            Settled::Wholly => Ok(Self::Settled { kept: Kept::default() }),
            Settled::But(text) => Ok(Self::Settled { kept: serde_json::from_slice(&text)? }),
        }
    }
}

impl OpenJournal {
    /// Writes a journal down and holds everything that it names. Nothing may be removed before this.
    pub(super) async fn write(containerd: &Containerd, journal: Journal) -> Result<Self, Error> {
        let text = serde_json::to_string(&journal).map_err(Error::Journal)?;
        let lease = format!("{LEASE_PREFIX}{}", journal.id);
        let images = journal.images().collect();
        let place = Place::write(containerd, lease, &journal.owner, text, &images).await?;
        Ok(Self { place, journal, stage: Stage::Begun })
    }

    /// The journals that killed operations have left: whoever holds the lock knows that no other operation goes by them. Leases
    /// without a journal began nothing, and a journal that cannot be read is of nobody who could be told of it: these end here.
    pub(super) async fn abandoned(containerd: &Containerd, lock: &Lock) -> Result<Vec<Self>, CallError> {
        let (journals, strays) = Self::find(containerd, lock).await?;
        for lease in strays {
            containerd.delete_lease(&lease, Collect::Later).await?;
        }
        Ok(journals)
    }

    /// The same for whoever changes nothing.
    pub(super) async fn seen(containerd: &Containerd, lock: &Lock) -> Result<Vec<Self>, CallError> {
        Ok(Self::find(containerd, lock).await?.0)
    }

    async fn find(containerd: &Containerd, _: &Lock) -> Result<(Vec<Self>, Vec<String>), CallError> {
        let (found, mut strays) = Place::find(containerd).await?;
        let mut journals = Vec::new();
        for Found { place, text, settled } in found {
            match (serde_json::from_slice(&text), Stage::read(settled)) {
                (Ok(journal), Ok(stage)) => journals.push(Self { place, journal, stage }),
                _ => strays.extend(place.leases()),
            }
        }
        journals.sort_by(|a, b| a.journal.id.cmp(&b.journal.id));
        Ok((journals, strays))
    }

    /// The outcome is certain, and this was kept: from the collection that [was made for this](Self::collection) on,
    /// nothing is held any longer. What was done is found by what was not, for mostly there is nothing of that to be written.
    pub(super) async fn settle(&mut self, containerd: &Containerd, kept: Kept) -> Result<(), Error> {
        self.place.forget_note(containerd).await?;
        if !kept.is_empty() {
            let text = serde_json::to_string(&kept).map_err(Error::Journal)?;
            self.place.note(containerd, &self.journal.owner, &text).await?;
        }
        self.place.let_go(containerd).await?;
        self.stage = Stage::Settled { kept };
        Ok(())
    }

    /// Prepares the collection of what the journal holds until then.
    pub(super) async fn collection(&self, containerd: &Containerd) -> Result<Collection, CallError> {
        match self.place.holder().filter(|_| self.stage == Stage::Begun) {
            Some(holder) => Ok(Collection::at_the_end_of(holder)),
            None => Collection::prepare(containerd).await,
        }
    }

    /// The outcome was reported: nothing is left of the journal.
    pub(super) async fn close(self, containerd: &Containerd) -> Result<(), CallError> {
        self.place.clear(containerd).await
    }
}
