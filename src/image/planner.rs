//! Deciding one deletion: which branch it takes, what holds it, and what goes with it (the algorithm's "Choose the branch" and
//! "Delete the image").

use std::sync::Arc;

use super::conflict::{
    ActiveReference, Conflict, against_deletion, against_last_name, against_removal, named_meanwhile,
};
use super::digest::ImageId;
use super::inventory::{Inventory, Parts};
use super::lineage;
use super::plan::{Candidate, Fate, Meant, Others, Plan, Reason, Refusal, Step};
use super::query::Query;
use super::record::{Kind, Record};
use super::resolve::{By, Resolved, Unresolved, resolve};
use super::rules::Rules;
use super::same::{in_removal_order, same_references};
use super::unread::Unread;

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
        Unresolved::Ambiguous(images) => ambiguous(inventory, query, images).into(),
        Unresolved::Unread(unread) => NoPlan::Unread(unread),
    })?;
    let parts = inventory.parts(&image)?;
    let meant = match by {
        By::Id | By::Digest(_) | By::Names(_) => Meant::Image,
        By::Record(..) => Meant::Name,
    };
    let planner = Planner { inventory, rules, image: &image, meant, parts: &parts };
    match by {
        By::Id => {
            let same = same_references(&parts.named, None);
            planner.delete_image(planner.active_reference(same.len() == parts.named.len()))
        }
        By::Names(names) => {
            if !parts.named.iter().all(|record| names.contains(&record.name)) {
                planner.refuse(vec![named_meanwhile(&image)])?;
            }
            planner.delete_image(ActiveReference::Ignore)
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
    meant: Meant,
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
        let mut reasons = vec![Reason::OtherReferences(Others::of(others))];
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
            && lineage::has_children(self.inventory, self.image)
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
        Plan { image: self.image.clone(), meant: self.meant, fate, steps, reasons }
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

fn ambiguous(inventory: &Inventory, query: &Query, images: Vec<ImageId>) -> Refusal {
    let candidate = |image: ImageId| {
        let name = inventory.records_of(&image).find(|record| record.reference().is_some());
        Candidate { name: name.map(|record| record.familiar()), image }
    };
    Refusal::Ambiguous { query: query.to_string(), candidates: images.into_iter().map(candidate).collect() }
}
