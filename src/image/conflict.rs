//! Why an image must stay (the algorithm's table of conflicts).

use std::fmt;
use std::sync::Arc;

use super::container::{Container, Pod, State};
use super::digest::ImageId;
use super::illegible::Illegible;
use super::inventory::Inventory;
use super::plan::Meant;
use super::record::Record;
use super::rules::Rules;
use super::unread::Unread;

/// One reason why an image can't be deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The image.
    pub image: ImageId,
    /// What stands in the message for what was to be deleted: the image's short ID or a familiar name.
    pub subject: Box<str>,
    /// What holds it.
    pub cause: Cause,
    /// What of the image can't be read, if anything is: who uses it is not certain then.
    pub doubt: Option<Illegible>,
}

/// What holds an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// A running container uses it.
    RunningContainer(Arc<Container>),
    /// A container that doesn't run could be started again.
    StoppedContainer(Arc<Container>),
    /// The last name of an image that a container uses was to be deleted.
    UsedReference(Arc<Container>),
    /// More than one reference names it, and not all of them were meant.
    MultipleReferences,
    /// It was found with other names than it has now.
    NamedMeanwhile,
    /// containerd's pinned label is on a record of it.
    Pinned,
    /// A rule of the people who run the node protects it.
    Protected(Box<str>),
    /// A pod that is bound to this node needs it and has no container of it yet.
    PendingPod(Arc<Pod>),
}

/// Whether forcing helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Hardness {
    /// It blocks unless forced.
    Soft,
    /// It always blocks.
    Hard,
}

impl Cause {
    /// Whether forcing helps.
    pub const fn hardness(&self) -> Hardness {
        match self {
            Self::RunningContainer(_) | Self::NamedMeanwhile | Self::Pinned | Self::Protected(_) => {
                Hardness::Hard
            }
            Self::StoppedContainer(_)
            | Self::UsedReference(_)
            | Self::MultipleReferences
            | Self::PendingPod(_) => Hardness::Soft,
        }
    }

    const fn is_container(&self) -> bool {
        matches!(self, Self::RunningContainer(_) | Self::StoppedContainer(_) | Self::UsedReference(_))
    }
}

impl Conflict {
    /// Whether it blocks under these rules.
    pub const fn blocks(&self, rules: &Rules) -> bool {
        matches!(self.cause.hardness(), Hardness::Hard) || !rules.force
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let forcing = match self.cause.hardness() {
            Hardness::Hard => "cannot be forced",
            Hardness::Soft => "must be forced",
        };
        write!(f, "conflict: unable to delete {} ({forcing}) - ", self.subject)?;
        let (is, may) = if self.doubt.is_some() { ("may be", "may be") } else { ("is being", "is") };
        match &self.cause {
            Cause::RunningContainer(container) => {
                write!(f, "image {is} used by running container {}", container.short())?;
            }
            Cause::StoppedContainer(container) => {
                write!(f, "image {is} used by stopped container {}", container.short())?;
            }
            Cause::UsedReference(container) => {
                let (container, image) = (container.short(), self.image.short());
                write!(f, "container {container} {may} using its referenced image {image}")?;
            }
            Cause::MultipleReferences => return f.write_str("image is referenced in multiple repositories"),
            Cause::NamedMeanwhile => return f.write_str("image was given another name meanwhile"),
            Cause::Pinned => return f.write_str("image is pinned"),
            Cause::Protected(rule) => return write!(f, "image is protected by {rule}"),
            Cause::PendingPod(pod) => {
                return write!(f, "image is needed by pod {}/{}", pod.namespace, pod.name);
            }
        }
        self.doubt.iter().try_for_each(|illegible| write!(f, ", for its content cannot be read: {illegible}"))
    }
}

/// Whether several references of an image block its deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ActiveReference {
    /// They do.
    Check,
    /// They were all meant.
    Ignore,
}

/// Every conflict with the deletion of an image as a whole.
pub(super) fn against_deletion(
    inventory: &Inventory,
    image: &ImageId,
    active: ActiveReference,
    rules: &Rules,
) -> Result<Vec<Conflict>, Unread> {
    let containers = inventory.usage().containers(inventory, image)?;
    let mut causes: Vec<_> = containers
        .iter()
        .map(|container| match container.state {
            State::Running => Cause::RunningContainer(Arc::clone(container)),
            State::Stopped => Cause::StoppedContainer(Arc::clone(container)),
        })
        .collect();
    if active == ActiveReference::Check && inventory.parts(image)?.named.len() > 1 {
        causes.push(Cause::MultipleReferences);
    }
    causes.extend(guards(inventory.records_of(image), rules));
    causes.extend(pending(inventory, image, &containers)?);
    let doubt = inventory.content(image)?.illegible.as_ref();
    Ok(about(image, image.short(), doubt, causes))
}

/// The image has names that it did not have when it was found.
pub(super) fn named_meanwhile(image: &ImageId) -> Conflict {
    Conflict {
        image: image.clone(),
        subject: image.short().into(),
        cause: Cause::NamedMeanwhile,
        doubt: None,
    }
}

/// What has come to hold an image since its deletion was decided, and blocks it. Several references do not: they were all
/// meant. Where its last name was meant any container does, forced or not: had it been there before, only the name would go.
pub fn since(
    inventory: &Inventory,
    image: &ImageId,
    meant: Meant,
    rules: &Rules,
) -> Result<Vec<Conflict>, Unread> {
    let mut conflicts = against_deletion(inventory, image, ActiveReference::Ignore, rules)?;
    let keeps = |cause: &Cause| meant == Meant::Name && cause.is_container();
    conflicts.retain(|conflict| conflict.blocks(rules) || keeps(&conflict.cause));
    Ok(conflicts)
}

/// Whether a container of the image may be on its way: a pod waits for one, or one that is stopped may be made anew.
pub fn is_awaited(inventory: &Inventory, image: &ImageId) -> Result<bool, Unread> {
    let containers = inventory.usage().containers(inventory, image)?;
    let is_stopped = containers.iter().any(|container| container.state == State::Stopped);
    Ok(is_stopped || pending(inventory, image, &containers)?.next().is_some())
}

/// Every conflict with the removal of single names of an image.
pub(super) fn against_removal<'a>(
    image: &ImageId,
    records: impl Iterator<Item = &'a Arc<Record>>,
    rules: &Rules,
) -> Vec<Conflict> {
    about(image, image.short(), None, guards(records, rules))
}

/// What has come to guard names of an image since their removal was decided.
pub fn guarding<'a>(
    image: &ImageId,
    records: impl Iterator<Item = &'a Arc<Record>>,
    rules: &Rules,
) -> Vec<Conflict> {
    against_removal(image, records, rules).into_iter().filter(|conflict| conflict.blocks(rules)).collect()
}

/// Every conflict with taking the last name, `subject`, from an image that containers use.
pub(super) fn against_last_name(
    inventory: &Inventory,
    image: &ImageId,
    subject: &str,
    containers: &[Arc<Container>],
    rules: &Rules,
) -> Result<Vec<Conflict>, Unread> {
    let used = containers.iter().cloned().map(Cause::UsedReference);
    let mut held = guards(inventory.records_of(image), rules);
    held.extend(pending(inventory, image, containers)?);
    let doubt = inventory.content(image)?.illegible.as_ref();
    let mut conflicts = about(image, subject, doubt, used);
    conflicts.extend(about(image, image.short(), doubt, held));
    Ok(conflicts)
}

/// Ours: a pod needs the image and none of the image's containers is the pod's.
fn pending(
    inventory: &Inventory,
    image: &ImageId,
    containers: &[Arc<Container>],
) -> Result<impl Iterator<Item = Cause>, Unread> {
    let pods = inventory.usage().pods(inventory, image)?;
    let waits = |pod: &Arc<Pod>| {
        !containers.iter().filter_map(|container| container.owner.as_ref()).any(|owner| {
            owner.namespace == pod.namespace && owner.pod == pod.name && owner.container.is_some()
        })
    };
    Ok(pods.into_iter().filter(waits).map(Cause::PendingPod))
}

/// Ours: what containerd or the people who run the node want to keep is kept, by any of its names.
fn guards<'a>(records: impl Iterator<Item = &'a Arc<Record>>, rules: &Rules) -> Vec<Cause> {
    let mut causes = Vec::new();
    for record in records {
        let protection = record.reference().and_then(|reference| rules.protection(reference));
        let found = [record.pinned.then_some(Cause::Pinned), protection.map(Cause::Protected)];
        for cause in found.into_iter().flatten() {
            if !causes.contains(&cause) {
                causes.push(cause);
            }
        }
    }
    causes
}

fn about(
    image: &ImageId,
    subject: &str,
    doubt: Option<&Illegible>,
    causes: impl IntoIterator<Item = Cause>,
) -> Vec<Conflict> {
    let about =
        |cause| Conflict { image: image.clone(), subject: subject.into(), cause, doubt: doubt.cloned() };
    causes.into_iter().map(about).collect()
}
