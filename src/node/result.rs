//! What an operation did, entry by entry.

use std::collections::BTreeSet;

use crate::image::{Conflict, Decision, Fate, ImageId, Plan, Reason, Refusal, Removal, Request};

/// What became of one entry of a request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EntryResult {
    /// The entry as written.
    pub entry: String,
    /// What happened, in one word.
    pub outcome: Outcome,
    /// What is gone, in order.
    pub removals: Vec<Removal>,
    /// What held the image.
    pub conflicts: Vec<Conflict>,
    /// The bytes that left the content store and the snapshotters for it, measured.
    pub reclaimed_bytes: u64,
    /// What a person should know, a sentence each.
    pub messages: Vec<String>,
    /// Why it was decided so.
    pub reasons: Vec<Reason>,
    /// How many images were put back, because something began to use them meanwhile.
    pub put_back: usize,
}

/// What happened to an image, the least bad first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// It was not there.
    #[default]
    Absent,
    /// It is gone.
    Deleted,
    /// It lost names and stays.
    Untagged,
    /// Something holds it, and nothing was done.
    Conflict,
    /// It could not be done, or not all of it.
    Failed,
}

impl EntryResult {
    /// The result of an entry that nothing was done for yet.
    pub(super) fn of(entry: &str) -> Self {
        Self { entry: entry.to_owned(), ..Self::default() }
    }

    /// Whether something holds an image of the entry, whatever became of the others.
    pub fn is_held(&self) -> bool {
        self.outcome == Outcome::Conflict || !self.conflicts.is_empty()
    }

    /// Whether an image of the entry is gone, not only names.
    pub(super) fn has_deleted(&self) -> bool {
        self.removals.iter().any(|removal| matches!(removal, Removal::Deleted(_)))
    }

    /// Adds what became of one more image of the entry; the worst counts.
    pub(super) fn add(&mut self, other: Self) {
        self.outcome = self.outcome.max(other.outcome);
        self.removals.extend(other.removals);
        self.conflicts.extend(other.conflicts);
        self.reclaimed_bytes += other.reclaimed_bytes;
        self.messages.extend(other.messages);
        self.reasons.extend(other.reasons);
        self.put_back += other.put_back;
    }

    /// Adds what a later attempt came to, at what was held before: it decides, and what is gone stays gone.
    pub fn follow(&mut self, later: Self) {
        let is_deleted = self.has_deleted();
        let mut removals = std::mem::take(&mut self.removals);
        let (outcome, messages) = match (later.outcome, is_deleted) {
            (Outcome::Absent, true) => (Outcome::Deleted, Vec::new()),
            (Outcome::Absent, false) if !removals.is_empty() => (Outcome::Untagged, Vec::new()),
            (outcome, _) => (outcome, later.messages),
        };
        removals.extend(later.removals);
        *self = Self {
            outcome,
            messages,
            removals,
            reclaimed_bytes: self.reclaimed_bytes + later.reclaimed_bytes,
            put_back: self.put_back + later.put_back,
            ..later
        };
    }

    /// What a plan will do, if nothing comes between.
    pub(super) fn planned(plan: &Plan) -> Self {
        Self {
            outcome: plan.fate.into(),
            removals: plan.report(),
            messages: plan.warnings().collect(),
            reasons: plan.reasons.clone(),
            ..Self::default()
        }
    }

    fn refused(refusal: &Refusal) -> Self {
        let messages = vec![refusal.to_string()];
        match refusal {
            Refusal::NoSuchImage(_) => Self { outcome: Outcome::Absent, messages, ..Self::default() },
            Refusal::Ambiguous { .. } => Self { outcome: Outcome::Failed, messages, ..Self::default() },
            Refusal::Conflict(conflicts) => Self::held(conflicts.clone()),
        }
    }

    /// Another operation had begun on the image, and somebody else is to end that.
    pub(super) fn left_to(owner: &str) -> Self {
        let message = format!(
            "ImageDeletion {owner} was at work on this image when its agent was killed, and the agent ends that when it runs \
             again: nothing was removed"
        );
        Self { outcome: Outcome::Failed, messages: vec![message], ..Self::default() }
    }

    /// Something holds the image.
    pub(super) fn held(conflicts: Vec<Conflict>) -> Self {
        let messages = conflicts.iter().map(ToString::to_string).collect();
        Self { outcome: Outcome::Conflict, conflicts, messages, ..Self::default() }
    }
}

/// The images that something held. A deletion that waits is tried again when one of them is free: what failed beside them would only
/// fail again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HeldImages(BTreeSet<ImageId>);

impl HeldImages {
    /// Those of some entries.
    pub fn of<'a>(results: impl IntoIterator<Item = &'a EntryResult>) -> Self {
        let conflicts = results.into_iter().flat_map(|result| &result.conflicts);
        Self(conflicts.map(|conflict| conflict.image.clone()).collect())
    }

    /// Whether nothing holds one of them by now, as a dry run says.
    pub fn is_any_free(&self, foretold: &[EntryResult]) -> bool {
        self.0.is_empty() || !self.0.is_subset(&Self::of(foretold).0)
    }
}

impl From<Fate> for Outcome {
    fn from(fate: Fate) -> Self {
        match fate {
            Fate::Deleted => Self::Deleted,
            Fate::Untagged => Self::Untagged,
        }
    }
}

/// One result for each entry of a request, in its order; `done` says what became of each plan, in order.
pub(super) fn results(
    request: &Request,
    decisions: &[Decision],
    mut done: impl FnMut(&Plan) -> EntryResult,
) -> Vec<EntryResult> {
    let mut results: Vec<_> = request.entries.iter().map(|entry| EntryResult::of(&entry.text)).collect();
    for decision in decisions {
        let result = match &decision.verdict {
            Ok(plan) => done(plan),
            Err(refusal) => EntryResult::refused(refusal),
        };
        results[decision.entry].add(result);
    }
    results
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Cause;

    fn held(images: &[&str], outcome: Outcome) -> EntryResult {
        let conflict = |image: &&str| Conflict {
            image: format!("sha256:{}", image.repeat(32)).parse().unwrap(),
            subject: (*image).into(),
            cause: Cause::Pinned,
            doubt: None,
        };
        EntryResult { outcome, conflicts: images.iter().map(conflict).collect(), ..EntryResult::default() }
    }

    #[test]
    fn what_is_held_is_free_when_nothing_holds_it_whatever_is_with_the_others() {
        use Outcome::*;
        let before = HeldImages::of(&[held(&["a1", "b2"], Failed), held(&[], Failed)]);
        let rows: &[(&[EntryResult], bool)] = &[
            (&[held(&["a1", "b2"], Conflict), held(&[], Deleted)], false),
            (&[held(&["b2"], Conflict), held(&["a1"], Failed)], false),
            (&[held(&["a1", "b2", "c3"], Conflict)], false),
            (&[held(&["a1"], Conflict), held(&[], Failed)], true),
            (&[held(&[], Absent)], true),
        ];
        for (foretold, expected) in rows {
            assert_eq!(before.is_any_free(foretold), *expected, "{foretold:?}");
        }
        assert!(HeldImages::default().is_any_free(&[]));
    }
}
