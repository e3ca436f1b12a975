//! What a decision is: what to remove, in which order and why, or why nothing.

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use super::conflict::Conflict;
use super::digest::ImageId;
use super::illegible::Illegible;
use super::record::{Kind, Record};

/// What to do to delete one image, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The image that was meant.
    pub image: ImageId,
    /// What of it was meant.
    pub meant: Meant,
    /// What becomes of it.
    pub fate: Fate,
    /// The changes to the image store.
    pub steps: Vec<Step>,
    /// Why it is so, for people who ask.
    pub reasons: Vec<Reason>,
}

/// What of an image was meant. It decides what forcing reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meant {
    /// The image, by its ID or a digest.
    Image,
    /// A name. Where it is the last one, the image goes with it only because no container uses it.
    Name,
}

/// What becomes of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It goes.
    Deleted,
    /// It loses names and stays.
    Untagged,
}

/// One change to the image store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Make the dangling record that keeps the image of this record.
    Keep(Arc<Record>),
    /// Remove this record, if it still points at the same target.
    Remove {
        /// The record.
        record: Arc<Record>,
        /// What the report calls it; dangling and CRI identity records leave nothing there.
        untagged: Option<String>,
    },
    /// Nothing: the last record of this image is gone.
    Deleted(ImageId),
}

/// What a step leaves in the report.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Removal {
    /// A name is gone: the name as people type it.
    Untagged(String),
    /// An image is gone.
    Deleted(ImageId),
}

/// Why a plan is as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Other records name the image, so only names go.
    OtherReferences(Others),
    /// A container uses the image, so its content stays.
    KeptForContainer(Box<str>),
    /// Other images were built on it, so its content stays.
    KeptForChildren,
    /// This name is no reference; it goes with the image.
    Unparsable(Arc<str>),
    /// Pruning stops at this parent, for it has a name.
    ParentNamed(ImageId),
    /// Pruning stops at this parent, for something holds it.
    ParentHeld(Conflict),
    /// The image goes although not all of it can be read.
    Illegible(Illegible),
}

/// Some of the other names of an image, and how many more there are: thousands of plans may each have a reason to list thousands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Others {
    some: Vec<String>,
    more: usize,
}

impl Others {
    /// How many are kept.
    pub const MOST: usize = 5;

    /// The names that people type for these records.
    pub fn of<'a>(records: impl IntoIterator<Item = &'a Arc<Record>>) -> Self {
        let mut records = records.into_iter();
        let some = records.by_ref().take(Self::MOST).map(|record| record.familiar()).collect();
        Self { some, more: records.count() }
    }
}

/// Why nothing is done.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// No record matches what was written.
    #[error("No such image: {0}")]
    NoSuchImage(String),
    /// Several images match an ID or the start of one.
    #[error("ambiguous reference {query}: matches {}", list(candidates))]
    Ambiguous {
        /// What was written.
        query: String,
        /// The images that match and one familiar name of each that has one.
        candidates: Vec<Candidate>,
    },
    /// Something holds the image; never empty.
    #[error("{}", list(.0))]
    Conflict(Vec<Conflict>),
}

/// An image that an ambiguous reference may mean.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// The image.
    pub image: ImageId,
    /// One of its names.
    pub name: Option<String>,
}

impl Step {
    /// Removes a record.
    pub(super) fn remove(record: Arc<Record>) -> Self {
        let untagged = (record.kind != Kind::Dangling).then(|| record.familiar());
        Self::Remove { record, untagged }
    }

    /// What the step leaves in the report.
    pub fn report(&self) -> Option<Removal> {
        match self {
            Self::Keep(_) => None,
            Self::Remove { untagged, .. } => untagged.clone().map(Removal::Untagged),
            Self::Deleted(image) => Some(Removal::Deleted(image.clone())),
        }
    }
}

impl Plan {
    /// Every record that the plan removes, in order.
    pub fn removed(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.steps.iter().filter_map(|step| match step {
            Step::Remove { record, .. } => Some(record),
            Step::Keep(_) | Step::Deleted(_) => None,
        })
    }

    /// Every image that goes, the one that was meant first.
    pub fn deleted(&self) -> impl Iterator<Item = &ImageId> {
        self.steps.iter().filter_map(|step| match step {
            Step::Deleted(image) => Some(image),
            Step::Keep(_) | Step::Remove { .. } => None,
        })
    }

    /// Every image that loses records.
    pub fn touched(&self) -> impl Iterator<Item = &ImageId> {
        self.deleted().chain([&self.image])
    }

    /// The records whose image gets a dangling one of its own first.
    pub fn kept(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.steps.iter().filter_map(|step| match step {
            Step::Keep(record) => Some(record),
            Step::Remove { .. } | Step::Deleted(_) => None,
        })
    }

    /// What people should know of the plan even if they don't ask for reasons.
    pub fn warnings(&self) -> impl Iterator<Item = String> {
        let is_warning = |reason: &&Reason| matches!(reason, Reason::Illegible(_));
        self.reasons.iter().filter(is_warning).map(ToString::to_string)
    }

    /// What the report of the plan says once it is carried out.
    pub fn report(&self) -> Vec<Removal> {
        self.steps.iter().filter_map(Step::report).collect()
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.image)?;
        self.name.iter().try_for_each(|name| write!(f, " ({name})"))
    }
}

impl fmt::Display for Others {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.some.join(", "))?;
        match self.more {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherReferences(names) => write!(f, "only the name goes: the image is also {names}"),
            Self::KeptForContainer(id) => write!(f, "only the name goes: container {id} uses the image"),
            Self::KeptForChildren => f.write_str("only the name goes: other images were built on this one"),
            Self::Unparsable(name) => write!(f, "{name:?} is no reference and goes with the image"),
            Self::ParentNamed(parent) => {
                write!(f, "pruning stops at parent {}: it has a name", parent.short())
            }
            Self::ParentHeld(conflict) => write!(f, "pruning stops at a parent: {conflict}"),
            Self::Illegible(illegible) => write!(
                f,
                "not all of the image could be read, so not all that it had is counted: {illegible}"
            ),
        }
    }
}

fn list<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join("; ")
}
