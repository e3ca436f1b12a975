//! One plan of an operation while it is carried out, and what became of it in words.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::sync::Arc;

use super::error::CallError;
use super::open_journal::Kept;
use super::result::{EntryResult, Outcome};
use crate::image::{Conflict, ImageId, Plan, Record, Step};

/// A plan that is carried out, and what became of it.
#[derive(Debug)]
pub(super) struct Carried {
    /// Its place in the journal.
    pub(super) place: usize,
    /// The entry that it is for.
    pub(super) entry: String,
    pub(super) plan: Plan,
    /// Whether anything was done for it.
    pub(super) begun: bool,
    /// The names that are gone by it.
    pub(super) removed: BTreeSet<Arc<str>>,
    /// The names that point elsewhere now, and where.
    pub(super) moved: Vec<(Arc<str>, String)>,
    /// The call at which it ended early.
    pub(super) failed: Option<CallError>,
    /// The same of a run that was killed, in words.
    refused: Option<String>,
    /// What holds the image now.
    pub(super) conflicts: Vec<Conflict>,
    /// Images that keep names which were to go.
    pub(super) stays: BTreeMap<ImageId, Stays>,
}

/// How an image stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Stays {
    /// As it was.
    AsItWas,
    /// By the names that others gave it meanwhile.
    Named(Vec<String>),
    /// By the names that were to go: others have taken all the rest from it meanwhile.
    ByItsLastNames,
}

impl fmt::Display for Stays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AsItWas => f.write_str(" as it was"),
            Self::Named(names) => write!(f, ": meanwhile it was named {}", names.join(", ")),
            Self::ByItsLastNames => f.write_str(
                " as it was: meanwhile its other names were removed, and this would have been the end of the image; \
                 delete it again if it is to go",
            ),
        }
    }
}

impl Carried {
    /// A plan of which nothing is done yet.
    pub(super) fn new(place: usize, entry: String, plan: Plan) -> Self {
        Self {
            place,
            entry,
            plan,
            begun: false,
            removed: BTreeSet::new(),
            moved: Vec::new(),
            failed: None,
            refused: None,
            conflicts: Vec::new(),
            stays: BTreeMap::new(),
        }
    }

    /// With what a killed operation had done, as far as it can be known by which names are there and which point elsewhere now.
    pub(super) fn resumed(
        self,
        is_there: impl Fn(&str) -> bool,
        elsewhere: impl Fn(&Arc<Record>) -> Option<String>,
    ) -> Self {
        let names = self.plan.removed().map(|record| Arc::clone(&record.name));
        let removed = names.filter(|name| !is_there(name)).collect();
        let moved = |record: &Arc<Record>| Some((Arc::clone(&record.name), elsewhere(record)?));
        let moved = self.plan.removed().filter_map(moved).collect();
        Self { begun: true, removed, moved, ..self }
    }

    /// The same once the outcome was certain, by what was kept.
    pub(super) fn settled(self, kept: &Kept) -> Self {
        let moved_to = |record: &Arc<Record>| kept.lost.get(&*record.name)?.clone();
        let refused = kept.refused.get(&self.place).cloned();
        Self { refused, ..self.resumed(|name| !kept.has_removed(name), moved_to) }
    }

    /// The images of the plan that are gone.
    pub(super) fn gone(&self) -> impl Iterator<Item = &ImageId> {
        self.plan.deleted().filter(|image| self.went(image))
    }

    /// Whether an image of the plan is gone. Where a parent could not go, what went before it is.
    pub(super) fn went(&self, image: &ImageId) -> bool {
        let is_done = !self.has_failed() || self.names_of(image).all(|record| self.has_left(record));
        self.begun && is_done && self.conflicts.is_empty() && !self.stays.contains_key(image)
    }

    /// The same, but for what others had removed before.
    pub(super) fn took(&self) -> impl Iterator<Item = &ImageId> {
        self.gone().filter(|image| !self.came_too_late_for(image))
    }

    /// Whether others had removed every name of an image before.
    fn came_too_late_for(&self, image: &ImageId) -> bool {
        !self.has_failed()
            && !self.stays.contains_key(image)
            && self.plan.kept().next().is_none()
            && !self.names_of(image).any(|record| self.has_left(record))
    }

    /// The records of an image that are to go.
    fn names_of(&self, image: &ImageId) -> impl Iterator<Item = &Arc<Record>> {
        self.plan.removed().filter(move |record| record.target == *image)
    }

    /// Whether a record is gone by this, or was moved meanwhile.
    fn has_left(&self, record: &Record) -> bool {
        self.removed.contains(&record.name) || self.moved_to(record).is_some()
    }

    /// Whether it ended early.
    pub(super) fn has_failed(&self) -> bool {
        self.failed.is_some() || self.refused.is_some()
    }

    /// Why it ended early.
    pub(super) fn failure(&self) -> Option<String> {
        self.failed.as_ref().map(ToString::to_string).or_else(|| self.refused.clone())
    }

    /// Whether a record that it has not removed is there still, as far as it knows.
    pub(super) fn keeps(&self, record: &Record) -> bool {
        let is_kept = !self.begun || self.has_failed() || self.stays.contains_key(&record.target);
        is_kept && self.moved_to(record).is_none()
    }

    /// Where a record points that was moved meanwhile.
    pub(super) fn moved_to(&self, record: &Record) -> Option<&str> {
        let mut moved = self.moved.iter().filter(|(name, _)| *name == record.name);
        moved.next().map(|(_, to)| to.as_str())
    }

    /// Whether a record is still to be removed.
    pub(super) fn is_due(&self, record: &Record) -> bool {
        !self.has_left(record) && !self.stays.contains_key(&record.target)
    }

    /// The parents that go after an image stay with it, but for what has gone already.
    pub(super) fn spare_after(&mut self, image: &ImageId) {
        let after = self.plan.deleted().skip_while(|gone| *gone != image).skip(1);
        let is_there = |image: &&ImageId| self.names_of(image).any(|record| self.is_due(record));
        let after: Vec<ImageId> = after.filter(is_there).cloned().collect();
        self.stays.extend(after.into_iter().map(|image| (image, Stays::AsItWas)));
    }

    /// What to say of it.
    pub(super) fn result(&self) -> EntryResult {
        if !self.conflicts.is_empty() {
            let put_back = usize::from(self.begun);
            return EntryResult { put_back, ..EntryResult::held(self.conflicts.clone()) };
        }
        if !self.begun {
            let messages = vec!["interrupted before it was begun; nothing was removed".to_owned()];
            return EntryResult { outcome: Outcome::Failed, messages, ..EntryResult::default() };
        }
        let gone: HashSet<&ImageId> = self.took().collect();
        let happened = |step: &&Step| match step {
            Step::Keep(_) => false,
            Step::Remove { record, .. } => self.removed.contains(&record.name),
            Step::Deleted(image) => gone.contains(image),
        };
        let removals: Vec<_> = self.plan.steps.iter().filter(happened).filter_map(Step::report).collect();
        let outcome = match (self.has_failed(), removals.is_empty()) {
            (true, _) => Outcome::Failed,
            (false, true) if self.came_too_late_for(&self.plan.image) => Outcome::Absent,
            (false, true) if !self.moved.is_empty() || !self.stays.is_empty() => Outcome::Failed,
            _ if self.gone().any(|image| *image == self.plan.image) => Outcome::Deleted,
            _ => Outcome::Untagged,
        };
        EntryResult {
            outcome,
            removals,
            messages: self.messages(),
            reasons: self.plan.reasons.clone(),
            ..EntryResult::default()
        }
    }

    fn messages(&self) -> Vec<String> {
        let moved = self.moved.iter().map(|(name, to)| {
            format!("{name} was moved to {to} meanwhile and was left alone: delete it again if that image is meant too")
        });
        // A parent that something holds by now is not what was asked for.
        let is_told = |(image, stays): &(&ImageId, &Stays)| {
            !self.has_failed() && (**image == self.plan.image || **stays != Stays::AsItWas)
        };
        let told = self.stays.iter().filter(is_told);
        let stays = told.map(|(image, stays)| format!("image {} stays{stays}", image.short()));
        let by_others = self.came_too_late_for(&self.plan.image).then(|| {
            format!("others have removed what was to go of image {} meanwhile", self.plan.image.short())
        });
        moved.chain(stays).chain(self.failure()).chain(by_others).chain(self.plan.warnings()).collect()
    }
}

#[cfg(test)]
mod tests;
