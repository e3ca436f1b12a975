//! The journal of an operation: what it is about to remove, written down where it survives us.
//!
//! It is in the content store or in containerd's database, under an expiring lease, and holds the content of every image that
//! is to go ([`place`](super::place)). Once the outcome is certain it lets go of the content, and the lease ends when the
//! outcome has been reported.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use super::client::Containerd;
use super::collection::Collection;
use super::error::{CallError, Error};
use super::images::Row;
use super::leases::Collect;
use super::lock::Lock;
use super::place::{Found, Place, Settled};
use crate::image::{ChainId, Config, Content, Fate, ImageId, Plan, Record, Rules, Step};

/// The label of every lease of ours: it says where the journal is.
pub(super) const JOURNAL_LABEL: &str = "secateur.dev/journal";
/// After this time containerd ends the lease itself.
const EXPIRE_LABEL: &str = "containerd.io/gc.expire";
/// How long a lease may last that nobody ends: long enough for a node to come back.
const LEASE_HOURS: i64 = 24;
/// What the IDs of our leases start with.
pub(super) const LEASE_PREFIX: &str = "secateur-";

/// What an operation is about to do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Journal {
    /// Tells two equal operations apart.
    pub id: String,
    /// Whose operation it is, as its caller says it; empty for a command line.
    pub owner: String,
    /// Whether soft conflicts block.
    pub force: bool,
    /// Where the parents of an image are pruned in a step of their own: which of the two steps this is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub part: Option<Part>,
    /// The records that are to go, as they were.
    pub rows: Vec<Row>,
    /// What is to be done, in order.
    pub plans: Vec<PlannedEntry>,
}

/// One of the two steps of an operation that prunes the parents of one image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Part {
    /// The image goes; its parents are to be pruned after this.
    Image(PlannedPruning),
    /// The parents go, after the image of the journal with this ID.
    ParentsOf(String),
}

/// What it takes to prune the parents of an image that may be gone from the store by then.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedPruning {
    /// The patterns that protect images.
    pub protect: Vec<String>,
    /// The image's configs: the digest of each, and the chain IDs of its layers.
    pub configs: Vec<(String, Vec<String>)>,
}

/// The plan of one entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedEntry {
    /// The entry as written.
    pub entry: String,
    /// The image that it means.
    pub image: String,
    /// The steps.
    pub steps: Vec<PlannedStep>,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum PlannedStep {
    /// Keep the image of this record under a dangling record.
    Keep(String),
    /// Remove this record; what the report calls it.
    Remove(String, Option<String>),
    /// This image is gone.
    Deleted(String),
}

impl PlannedPruning {
    /// Writes down what the rules and the image's content say.
    pub(super) fn write(rules: &Rules, content: &Content) -> Self {
        let chains = |config: &Config| config.chains.iter().map(ToString::to_string).collect();
        Self {
            protect: rules.protect.iter().map(ToString::to_string).collect(),
            configs: content
                .configs
                .iter()
                .map(|config| (config.digest.to_string(), chains(config)))
                .collect(),
        }
    }

    /// Reads the rules back. Forcing does not reach parents.
    pub(super) fn rules(&self) -> Rules {
        let protect = self.protect.iter().filter_map(|pattern| pattern.parse().ok()).collect();
        Rules { force: false, prune: true, protect }
    }

    /// Reads the image's content back. None if it is not ours.
    pub(super) fn content(&self) -> Option<Content> {
        let config = |(digest, chains): &(String, Vec<String>)| {
            let chains = chains.iter().map(|chain| Some(ChainId::new(chain.parse().ok()?)));
            Some(Config { digest: digest.parse().ok()?, chains: chains.collect::<Option<_>>()? })
        };
        let configs = self.configs.iter().map(config).collect::<Option<_>>()?;
        Some(Content { configs, ..Content::default() })
    }
}

impl PlannedEntry {
    /// Writes down the plan of an entry.
    pub(super) fn write((entry, plan): (&String, &Plan)) -> Self {
        let step = |step: &Step| match step {
            Step::Keep(record) => PlannedStep::Keep(record.name.to_string()),
            Step::Remove { record, untagged } => {
                PlannedStep::Remove(record.name.to_string(), untagged.clone())
            }
            Step::Deleted(image) => PlannedStep::Deleted(image.to_string()),
        };
        Self {
            entry: entry.clone(),
            image: plan.image.to_string(),
            steps: plan.steps.iter().map(step).collect(),
        }
    }

    /// Reads the plan back; `records` are the records as they were. None if it is not ours.
    pub(super) fn read(&self, records: &HashMap<&str, Arc<Record>>) -> Option<Plan> {
        let record = |name: &String| records.get(name.as_str()).cloned();
        let step = |step: &PlannedStep| {
            Some(match step {
                PlannedStep::Keep(name) => Step::Keep(record(name)?),
                PlannedStep::Remove(name, untagged) => {
                    Step::Remove { record: record(name)?, untagged: untagged.clone() }
                }
                PlannedStep::Deleted(image) => Step::Deleted(image.parse().ok()?),
            })
        };
        let image: ImageId = self.image.parse().ok()?;
        let steps: Vec<Step> = self.steps.iter().map(step).collect::<Option<_>>()?;
        let fate = match steps.contains(&Step::Deleted(image.clone())) {
            true => Fate::Deleted,
            false => Fate::Untagged,
        };
        Some(Plan { image, fate, steps, reasons: Vec::new() })
    }
}

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

impl Journal {
    /// An ID that no other operation has.
    pub(super) fn new_id() -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        format!("{:x}-{:x}", now.as_nanos(), std::process::id())
    }

    /// Writes the journal down and holds everything that it names. Nothing may be removed before this.
    pub(super) async fn open(self, containerd: &Containerd) -> Result<OpenJournal, Error> {
        let text = serde_json::to_string(&self).map_err(Error::Journal)?;
        let lease = format!("{LEASE_PREFIX}{}", self.id);
        let place = Place::write(containerd, lease, &self.owner, text, &self.images().collect()).await?;
        Ok(OpenJournal { place, journal: self, stage: Stage::Begun })
    }

    /// The images that it is about.
    pub(super) fn images(&self) -> impl Iterator<Item = ImageId> {
        self.rows.iter().filter_map(|row| row.target.digest.parse().ok())
    }

    /// The journal of the image whose parents this prunes.
    pub(super) fn parents_of(&self) -> Option<&str> {
        match &self.part {
            Some(Part::ParentsOf(journal)) => Some(journal),
            Some(Part::Image(_)) | None => None,
        }
    }

    /// What is to be pruned after this.
    pub(super) fn planned_pruning(&self) -> Option<&PlannedPruning> {
        match &self.part {
            Some(Part::Image(pruning)) => Some(pruning),
            Some(Part::ParentsOf(_)) | None => None,
        }
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
    /// The journals that killed operations have left: whoever holds the lock knows that no other operation goes by them. Leases
    /// without a journal began nothing, and a journal that cannot be read is of nobody who could be told of it: these end here.
    pub(super) async fn left(containerd: &Containerd, lock: &Lock) -> Result<Vec<Self>, CallError> {
        let (left, strays) = Self::find(containerd, lock).await?;
        for lease in strays {
            containerd.delete_lease(&lease, Collect::Later).await?;
        }
        Ok(left)
    }

    /// The same for whoever changes nothing.
    pub(super) async fn seen(containerd: &Containerd, lock: &Lock) -> Result<Vec<Self>, CallError> {
        Ok(Self::find(containerd, lock).await?.0)
    }

    async fn find(containerd: &Containerd, _: &Lock) -> Result<(Vec<Self>, Vec<String>), CallError> {
        let (found, mut strays) = Place::find(containerd).await?;
        let mut left = Vec::new();
        for Found { place, text, settled } in found {
            match (serde_json::from_slice(&text), Stage::read(settled)) {
                (Ok(journal), Ok(stage)) => left.push(Self { place, journal, stage }),
                _ => strays.extend(place.leases()),
            }
        }
        left.sort_by(|a, b| a.journal.id.cmp(&b.journal.id));
        Ok((left, strays))
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

/// The label by which containerd ends a lease that we don't.
pub(super) fn expiry() -> (String, String) {
    (EXPIRE_LABEL.to_owned(), (Timestamp::now() + LEASE_HOURS.hours()).to_string())
}
