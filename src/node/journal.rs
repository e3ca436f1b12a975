//! The journal of an operation: what it is about to remove, written down where it survives us.
//!
//! It is a blob in the content store under an expiring lease. The blob's labels keep the content of every image that is to
//! go, so one write holds them all; the lease's labels say whose operation it is and which blob is its journal. Once the
//! outcome is certain the blob lets go of the content, and the lease ends when the outcome has been reported.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::blobs::Blob;
use super::client::Containerd;
use super::error::{CallError, Error};
use super::images::Row;
use super::leases::Collect;
use crate::image::{Digest, Fate, ImageId, Plan, Record, Step};

/// The lease's label that names the journal's blob.
pub(super) const JOURNAL_LABEL: &str = "secateur.dev/journal";
/// The lease's label that says whose operation it is.
const OWNER_LABEL: &str = "secateur.dev/image-deletion";
/// After this time containerd ends the lease itself.
const EXPIRE_LABEL: &str = "containerd.io/gc.expire";
/// How long a lease may last that nobody ends: long enough for a node to come back.
const LEASE_HOURS: i64 = 24;
/// The largest journal that is read back, in bytes.
const JOURNAL_MAX: usize = 64 << 20;
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
    /// The records that are to go, as they were.
    pub rows: Vec<Row>,
    /// What is to be done, in order.
    pub plans: Vec<PlannedEntry>,
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
    /// The lease that holds it.
    lease: String,
    /// The blob that it is.
    blob: Digest,
    /// What it says.
    pub journal: Journal,
    /// Whether the outcome was certain already.
    pub settled: bool,
}

impl Journal {
    /// An ID that no other operation has.
    pub(super) fn new_id() -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        format!("{:x}-{:x}", now.as_nanos(), std::process::id())
    }

    /// Writes the journal down and holds everything that it names. Nothing may be removed before this.
    pub(super) async fn open(self, containerd: &Containerd) -> Result<OpenJournal, Error> {
        let data = serde_json::to_vec(&self).map_err(Error::Journal)?;
        let blob = Digest::sha256(&Sha256::digest(&data));
        let lease = format!("{LEASE_PREFIX}{}", self.id);
        let labels = HashMap::from([
            (JOURNAL_LABEL.to_owned(), blob.to_string()),
            (OWNER_LABEL.to_owned(), self.owner.clone()),
            expiry(),
        ]);
        let held = containerd.create_lease(&lease, labels).await?;
        let targets: BTreeSet<ImageId> =
            self.rows.iter().filter_map(|row| row.target.digest.parse().ok()).collect();
        held.write_blob(&blob, data, targets.iter()).await?;
        Ok(OpenJournal { lease, blob, journal: self, settled: false })
    }
}

impl OpenJournal {
    /// The journals that killed operations have left. A lease without its blob began nothing, and ends here.
    pub(super) async fn left(containerd: &Containerd) -> Result<Vec<Self>, CallError> {
        let mut left = Vec::new();
        for lease in containerd.leases_with(JOURNAL_LABEL).await? {
            let digest: Option<Digest> =
                lease.labels.get(JOURNAL_LABEL).and_then(|digest| digest.parse().ok());
            let found = match digest {
                Some(blob) => Self::read(containerd, &lease.id, blob).await?,
                None => None,
            };
            match found {
                Some(journal) => left.push(journal),
                None => containerd.delete_lease(&lease.id, Collect::Later).await?,
            }
        }
        left.sort_by(|a, b| a.journal.id.cmp(&b.journal.id));
        Ok(left)
    }

    async fn read(containerd: &Containerd, lease: &str, blob: Digest) -> Result<Option<Self>, CallError> {
        let Some(stored) = containerd.blob(&blob).await? else {
            return Ok(None);
        };
        let Some(Blob::Whole(data)) = containerd.read_blob(&blob, JOURNAL_MAX).await? else {
            return Ok(None);
        };
        let journal = serde_json::from_slice(&data).ok();
        let open = |journal| Self { lease: lease.to_owned(), blob, journal, settled: !stored.keeps_blobs };
        Ok(journal.map(open))
    }

    /// The outcome is certain: nothing is held any longer.
    pub(super) async fn settle(&mut self, containerd: &Containerd) -> Result<(), CallError> {
        containerd.clear_labels(&self.blob).await?;
        self.settled = true;
        Ok(())
    }

    /// The outcome was reported: nothing is left of the journal.
    pub(super) async fn close(self, containerd: &Containerd) -> Result<(), CallError> {
        containerd.delete_lease(&self.lease, Collect::Later).await
    }
}

/// The label by which containerd ends a lease that we don't.
pub(super) fn expiry() -> (String, String) {
    (EXPIRE_LABEL.to_owned(), (Timestamp::now() + LEASE_HOURS.hours()).to_string())
}
