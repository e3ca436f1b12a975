//! The decision: what to remove, in which order, or why not (the algorithm's "Choose the branch" and "Delete the image").

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use super::conflict::{ActiveReference, Conflict, against_deletion, against_last_name, against_removal};
use super::digest::ImageId;
use super::illegible::Illegible;
use super::inventory::{Inventory, Parts};
use super::lineage;
use super::query::Query;
use super::record::{Kind, Record};
use super::resolve::{By, Resolved, Unresolved, resolve};
use super::rules::Rules;
use super::same::{in_removal_order, same_references};
use super::unread::Unread;

/// What to do to delete one image, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The image that was meant.
    pub image: ImageId,
    /// What becomes of it.
    pub fate: Fate,
    /// The changes to the image store.
    pub steps: Vec<Step>,
    /// Why it is so, for people who ask.
    pub reasons: Vec<Reason>,
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
    OtherReferences(Vec<String>),
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
    fn remove(record: Arc<Record>) -> Self {
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

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OtherReferences(names) => {
                write!(f, "only the name goes: the image is also {}", names.join(", "))
            }
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

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoPlan {
    /// There will be none.
    Refused(Refusal),
    /// Content must be read first.
    Unread(Unread),
}

impl From<Refusal> for NoPlan {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Unread> for NoPlan {
    fn from(unread: Unread) -> Self {
        Self::Unread(unread)
    }
}

/// Decides what deleting the image that `query` means does to a node.
pub fn plan(inventory: &Inventory, query: &Query, rules: &Rules) -> Result<Plan, NoPlan> {
    let Resolved { image, by } = resolve(inventory, query).map_err(|unresolved| match unresolved {
        Unresolved::NoSuchImage => Refusal::NoSuchImage(query.to_string()).into(),
        Unresolved::Ambiguous(images) => ambiguous(inventory, query, images),
        Unresolved::Unread(unread) => NoPlan::Unread(unread),
    })?;
    let parts = inventory.parts(&image)?;
    let planner = Planner { inventory, rules, image: &image, parts: &parts };
    match by {
        By::Id => {
            let same = same_references(&parts.named, None);
            planner.delete_image(planner.active_reference(same.len() == parts.named.len()))
        }
        By::Digest(reference) => {
            let same = same_references(&parts.named, Some(&reference));
            if !same.iter().any(|record| record.reference().is_some()) {
                return Err(Refusal::NoSuchImage(query.to_string()).into());
            }
            if same.len() != parts.named.len() {
                return planner.untag(same);
            }
            planner.delete_image(planner.active_reference(true))
        }
        By::Record(record, reference) => {
            let same = same_references(&parts.named, Some(&reference));
            if same.len() != parts.named.len() {
                return planner.untag(same);
            }
            let containers = inventory.usage().containers(inventory, &image)?;
            match containers.first() {
                Some(first) if rules.force => {
                    planner.keep_content(&record, Reason::KeptForContainer(first.short().into()))
                }
                Some(_) => {
                    let name = record.familiar();
                    let conflicts = against_last_name(inventory, &image, &name, &containers, rules)?;
                    Err(Refusal::Conflict(conflicts).into())
                }
                None => planner.delete_image(planner.active_reference(same.len() > 1)),
            }
        }
    }
}

/// One image, and what decides about it.
struct Planner<'a> {
    inventory: &'a Inventory,
    rules: &'a Rules,
    image: &'a ImageId,
    parts: &'a Parts,
}

impl Planner<'_> {
    /// Several references do not block where they were all meant, or when forced.
    const fn active_reference(&self, all_meant: bool) -> ActiveReference {
        if all_meant || self.rules.force { ActiveReference::Ignore } else { ActiveReference::Check }
    }

    /// Takes some of its names from the image.
    fn untag(&self, same: Vec<Arc<Record>>) -> Result<Plan, NoPlan> {
        self.refuse(against_removal(self.image, same.iter(), self.rules))?;
        let others = self.parts.named.iter().filter(|record| !same.contains(record));
        let mut reasons = vec![Reason::OtherReferences(others.map(|record| record.familiar()).collect())];
        reasons.extend(unparsable(&same));
        let steps = same.into_iter().map(Step::remove).collect();
        Ok(self.plan(Fate::Untagged, steps, reasons))
    }

    /// Takes a name from the image and keeps its content, under a dangling record if nothing else keeps it.
    fn keep_content(&self, record: &Arc<Record>, reason: Reason) -> Result<Plan, NoPlan> {
        self.refuse(against_removal(self.image, [record].into_iter(), self.rules))?;
        let mut steps = Vec::new();
        if self.parts.named.len() == 1 && self.parts.identity.is_empty() {
            steps.push(Step::Keep(Arc::clone(record)));
        }
        steps.push(Step::remove(Arc::clone(record)));
        Ok(self.plan(Fate::Untagged, steps, vec![reason]))
    }

    /// Deletes every record of the image, then its dangling parents.
    fn delete_image(&self, active: ActiveReference) -> Result<Plan, NoPlan> {
        self.refuse(against_deletion(self.inventory, self.image, active, self.rules)?)?;
        if let [last] = &*self.parts.named
            && last.kind != Kind::Dangling
            && active == ActiveReference::Check
            && lineage::has_children(self.inventory, self.image)?
        {
            return self.keep_content(last, Reason::KeptForChildren);
        }
        let mut steps = removal_of(self.image, self.parts);
        let mut reasons = unparsable(&self.parts.named);
        reasons.extend(self.inventory.content(self.image)?.illegible.clone().map(Reason::Illegible));
        if self.rules.prune {
            self.prune(&mut steps, &mut reasons)?;
        }
        Ok(self.plan(Fate::Deleted, steps, reasons))
    }

    /// Each parent in order while it is a dangling image that nothing holds. Forcing does not reach parents.
    fn prune(&self, steps: &mut Vec<Step>, reasons: &mut Vec<Reason>) -> Result<(), Unread> {
        for parent in lineage::parents(self.inventory, self.image)? {
            if !self.inventory.is_dangling(&parent)? {
                reasons.push(Reason::ParentNamed(parent));
                break;
            }
            let conflicts = against_deletion(self.inventory, &parent, ActiveReference::Check, self.rules)?;
            if let Some(conflict) = conflicts.into_iter().next() {
                reasons.push(Reason::ParentHeld(conflict));
                break;
            }
            steps.extend(removal_of(&parent, &self.inventory.parts(&parent)?));
        }
        Ok(())
    }

    fn refuse(&self, found: Vec<Conflict>) -> Result<(), NoPlan> {
        let blocking: Vec<_> = found.into_iter().filter(|conflict| conflict.blocks(self.rules)).collect();
        if blocking.is_empty() { Ok(()) } else { Err(Refusal::Conflict(blocking).into()) }
    }

    fn plan(&self, fate: Fate, steps: Vec<Step>, reasons: Vec<Reason>) -> Plan {
        Plan { image: self.image.clone(), fate, steps, reasons }
    }
}

/// The identity record goes first: whatever survives an interruption still has a name that people and the kubelet can
/// reach.
fn removal_of(image: &ImageId, parts: &Parts) -> Vec<Step> {
    let identity = parts.identity.iter().cloned().map(|record| Step::Remove { record, untagged: None });
    let named = in_removal_order(parts.named.iter()).into_iter().map(Step::remove);
    identity.chain(named).chain([Step::Deleted(image.clone())]).collect()
}

fn unparsable(records: &[Arc<Record>]) -> Vec<Reason> {
    let odd = records.iter().filter(|record| matches!(record.kind, Kind::Unparsable | Kind::Digest(_)));
    odd.map(|record| Reason::Unparsable(Arc::clone(&record.name))).collect()
}

fn ambiguous(inventory: &Inventory, query: &Query, images: Vec<ImageId>) -> NoPlan {
    let candidate = |image: ImageId| {
        let name = inventory.records_of(&image)?.find(|record| record.reference().is_some());
        Ok(Candidate { name: name.map(|record| record.familiar()), image })
    };
    match images.into_iter().map(candidate).collect() {
        Ok(candidates) => Refusal::Ambiguous { query: query.to_string(), candidates }.into(),
        Err(unread) => NoPlan::Unread(unread),
    }
}

fn list<T: fmt::Display>(items: &[T]) -> String {
    items.iter().map(T::to_string).collect::<Vec<_>>().join("; ")
}
