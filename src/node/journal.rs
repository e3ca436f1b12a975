//! The journal of an operation: what it is about to remove, written down where it survives us.
//!
//! It is in the content store or in containerd's database, under an expiring lease, and holds the content of every image that
//! is to go ([`place`](super::place)). Once the outcome is certain it lets go of the content, and the lease ends when the
//! outcome has been reported.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};

use super::carried::Carried;
use super::images::Row;
use crate::image::{Fate, ImageId, Meant, Plan, Record, Step};

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
    /// Whether a name of it was meant.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_name: bool,
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
    pub(super) fn write(Carried { entry, plan, .. }: &Carried) -> Self {
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
            by_name: plan.meant == Meant::Name,
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
        let meant = if self.by_name { Meant::Name } else { Meant::Image };
        Some(Plan { image, meant, fate, steps, reasons: Vec::new() })
    }
}

impl Journal {
    /// An ID that no other operation has.
    pub(super) fn new_id() -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        format!("{:x}-{:x}", now.as_nanos(), std::process::id())
    }

    /// The images that it is about.
    pub(super) fn images(&self) -> impl Iterator<Item = ImageId> {
        self.rows.iter().filter_map(|row| row.target.digest.parse().ok())
    }
}

/// The label by which containerd ends a lease that we don't.
pub(super) fn expiry() -> (String, String) {
    (EXPIRE_LABEL.to_owned(), (Timestamp::now() + LEASE_HOURS.hours()).to_string())
}
