//! What an agent knows of a deletion between two attempts at it.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::time::Instant;

use super::changed::Changed;
use super::did::Did;
use crate::api::deletion::ImageDeletion;
use crate::api::report::{ImageDeletionReportSpec, leaves_out};
use crate::api::result::{Conflict, ConflictKind, ImageResult, Outcome};
use crate::image::Pattern;
use crate::node::{HeldImages, Operation, Sandboxes};
use crate::plain::plain;

/// How long a deletion that is held is taken to be wanted still.
const BETWEEN_LOOKS: Duration = Duration::from_secs(300);

/// How long what is known of pods is taken to be true while only pods change that hold nothing.
const BETWEEN_PODS: Duration = Duration::from_secs(60);

/// What is said of an entry that was not tried.
const UNTRIED: &str = "interrupted before it was reported: nothing is known to be removed";

/// What is said of an entry that could not be done, before the reason.
const GIVEN_UP: &str = "this could not be done before the deadline";

/// What is said of an entry that is not done.
const INTERRUPTED: &str = "this was interrupted, and goes on";

/// A report in the making.
#[derive(Debug)]
pub struct Draft {
    /// Whether the API server may have an earlier report that was not read yet.
    pub may_have_report: bool,
    /// The deletion as it was when it was looked at last: what is written of it may be asked for when it is over.
    pub deletion: Option<Box<ImageDeletion>>,
    /// When the first attempt began, once its turn had come.
    started: Option<Time>,
    /// What was reported already.
    pub reported: Vec<ImageResult>,
    /// What something held at the last attempt, and the images.
    pub held: Option<(Operation, HeldImages)>,
    /// Until when the deletion is to be done, or is waited for.
    pub until: Option<Timestamp>,
    /// Why it could not be done at the last attempt.
    pub failure: Option<String>,
    /// When it may be concluded, where that has failed.
    pub concluded_from: Option<Instant>,
    /// Whether the report is final.
    pub has_ended: bool,
    /// When it was asked last whether the deletion is still wanted.
    pub looked: Instant,
    /// What was done and is counted once it was reported.
    pub uncounted: Did,
    /// What came of each entry so far.
    results: HashMap<String, ImageResult>,
}

impl Draft {
    /// A deletion that is seen for the first time.
    pub fn new(may_have_report: bool) -> Self {
        Self {
            may_have_report,
            deletion: None,
            started: None,
            reported: Vec::new(),
            held: None,
            until: None,
            failure: None,
            concluded_from: None,
            has_ended: false,
            looked: Instant::now(),
            uncounted: Did::default(),
            results: HashMap::new(),
        }
    }

    /// An attempt begins now. Says when the first one did.
    pub fn begin(&mut self, now: Timestamp) -> &Time {
        self.started.get_or_insert(Time(now))
    }

    /// The deletion is this. Its status may be long, and is of no use here.
    pub fn see(&mut self, deletion: &ImageDeletion) {
        let ImageDeletion { metadata, spec, .. } = deletion.clone();
        self.until = Some(deletion.deadline().unwrap_or(Timestamp::MAX));
        self.deletion = Some(Box::new(ImageDeletion { metadata, spec, status: None }));
    }

    /// Goes on from a report that has not been completed.
    pub fn resume(&mut self, report: ImageDeletionReportSpec) {
        self.started = Some(report.start_time);
        self.has_ended = report.completion_time.is_some();
        self.reported.clone_from(&report.results);
        self.results = report.results.into_iter().map(|result| (result.image.clone(), result)).collect();
    }

    /// Another agent of this node has reported before: what came of entries here is behind that.
    pub fn come_after(&mut self, report: ImageDeletionReportSpec) {
        let own = std::mem::take(&mut self.results);
        self.resume(report);
        let is_news = |own: &ImageResult| {
            let says_nothing = own.records.is_empty() && is_given_up(own);
            !(self.has(own) || says_nothing && self.results.contains_key(&own.image))
        };
        let own = own.into_values().filter(is_news).collect::<Vec<_>>();
        self.add(own);
    }

    /// Whether a report has all that was done here and is in no other.
    pub fn is_told_in(&self, report: &ImageDeletionReportSpec) -> bool {
        let is_told = |did: &ImageResult| {
            let mut told = report.results.iter().filter(|told| told.image == did.image);
            told.any(|told| is_told(did, told))
        };
        self.uncounted.results.iter().all(is_told)
    }

    /// Forgets what an attempt that failed may have left half known. The API server has what was reported.
    pub fn reset(&mut self) {
        let (started, deletion, failure) = (self.started.take(), self.deletion.take(), self.failure.take());
        *self = Self { started, deletion, failure, until: self.until, ..Self::new(true) };
    }

    /// Whether an entry is to be tried: it was not yet, or something held it, or it failed.
    pub fn is_due(&self, image: &str) -> bool {
        self.results.get(image).is_none_or(is_due_again)
    }

    /// Adds what came of entries, each behind what came of it before.
    pub fn add(&mut self, results: impl IntoIterator<Item = ImageResult>) {
        for result in results {
            match self.results.get_mut(&result.image) {
                Some(earlier) => earlier.follow(result),
                None => drop(self.results.insert(result.image.clone(), result)),
            }
        }
    }

    /// Adds what was done on the node.
    pub fn take_in(&mut self, did: Did) {
        self.add(did.results.iter().cloned());
        self.uncounted.add(did);
    }

    /// The same of an operation that was killed, without what was reported before that.
    pub fn take_in_recovered(&mut self, mut did: Did) {
        if did.results.iter().all(|result| self.knows(result)) {
            did.put_back = 0;
        }
        did.results.retain(|result| !self.has(result));
        self.take_in(did);
    }

    /// What came of every entry of the deletion, in its order.
    pub fn listed(&self, deletion: &ImageDeletion) -> Vec<ImageResult> {
        let images = deletion.spec.images.iter().map(|image| image.as_str());
        images.map(|image| self.results.get(image).cloned().unwrap_or_else(|| untried(image))).collect()
    }

    /// Says of every entry of which nothing is known, or which was to go on, why it was not done.
    pub fn give_up(&mut self, deletion: &ImageDeletion, cause: &str) {
        let message = format!("{GIVEN_UP}: {}", plain(cause));
        for image in deletion.spec.images.iter().map(|image| image.as_str()) {
            let result = self.results.entry(image.to_owned()).or_insert_with(|| untried(image));
            if matches!(result.message.as_deref(), Some(UNTRIED | INTERRUPTED)) {
                result.message = Some(message.clone());
            }
        }
    }

    /// From when on the deletion is to be concluded: at its deadline, where there is something to say. Where nothing can be done on the
    /// node and the deadline is not known, that is to be read.
    pub fn concludes(
        &self,
        is_hindered: bool,
        instant_of: impl FnOnce(Timestamp) -> Instant,
    ) -> Option<Instant> {
        let has_to_say = is_hindered || self.failure.is_some() || self.has_reported();
        if !has_to_say || (self.until.is_none() && !is_hindered) {
            return None;
        }
        let over = self.until.map_or_else(Instant::now, instant_of);
        Some(self.concluded_from.map_or(over, |from| from.max(over)))
    }

    /// Whether what is held is waited for no longer, as far as is known.
    pub fn is_overdue(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }

    /// Whether it is to be asked whether the deletion is still wanted: nobody tells an agent that it was removed.
    pub fn is_to_be_looked_at(&self, now: Instant) -> bool {
        now.duration_since(self.looked) >= BETWEEN_LOOKS
    }

    /// Keeps what is held of an operation, to be tried again `until` the deletion is over. The pods of that time count only
    /// where their changes are heard of.
    pub fn hold(&mut self, mut operation: Operation, images: HeldImages, until: Option<Timestamp>) {
        self.until = until;
        self.looked = Instant::now();
        let is_held = |image: &str| self.results.get(image).is_some_and(ImageResult::is_held);
        operation.request.entries.retain(|entry| is_held(&entry.text));
        if !self.is_held_by_pod() {
            operation.pods.clear();
        }
        operation.sandboxes = Sandboxes::default();
        self.held = Some((operation, images));
    }

    /// Whether this node has reported on the deletion.
    pub fn has_reported(&self) -> bool {
        !self.reported.is_empty()
    }

    /// Whether a result is known already, with all that was removed.
    fn has(&self, result: &ImageResult) -> bool {
        let known = self.results.get(&result.image);
        known.is_some_and(|known| !result.records.is_empty() && is_told(result, known))
    }

    /// Whether a result says nothing of what was removed, or is held, that is not known.
    fn knows(&self, result: &ImageResult) -> bool {
        self.results.get(&result.image).is_some_and(|known| {
            result.records.iter().all(|record| known.records.contains(record))
                && result.conflicts.iter().all(|conflict| known.conflicts.contains(conflict))
        })
    }

    /// A pattern whose operation was killed may match more than that operation has planned for.
    pub fn leave_patterns_due(&mut self) {
        for (image, result) in &mut self.results {
            if Pattern::is_pattern(image) && result.outcome != Outcome::Conflict {
                result.outcome = Outcome::Failed;
                result.message = Some(INTERRUPTED.to_owned());
            }
        }
    }

    /// Whether something still holds an image.
    pub fn has_conflict(&self) -> bool {
        self.results.values().any(ImageResult::is_held)
    }

    /// Whether a pod holds an image that has no container yet, of whose end containerd would say nothing.
    pub fn waits_for_pod(&self) -> bool {
        self.held.is_some() && self.is_held_by_pod()
    }

    /// Whether what is known of the pods that hold an image is of an earlier time once these have changed. One that holds it by its
    /// container is among them: it may need the image longer than its container lives.
    pub fn is_held_by_any(&self, changed: &Changed) -> bool {
        let mut conflicts = self.results.values().flat_map(|result| &result.conflicts);
        conflicts.any(|conflict| {
            let pod = conflict.namespace.as_deref().zip(conflict.pod.as_deref());
            pod.is_some_and(|(namespace, name)| changed.may_have(namespace, name))
        })
    }

    /// Whether it is by now as soon as any pod changes.
    pub fn is_to_be_refreshed(&self, now: Instant) -> bool {
        now.duration_since(self.looked) >= BETWEEN_PODS
    }

    fn is_held_by_pod(&self) -> bool {
        let mut conflicts = self.results.values().flat_map(|result| &result.conflicts);
        conflicts.any(|conflict| conflict.kind == ConflictKind::PendingPod)
    }

    /// The conflicts of results that were not reported before.
    pub fn new_conflicts<'a>(&'a self, results: &'a [ImageResult]) -> impl Iterator<Item = &'a Conflict> {
        let known =
            |conflict: &Conflict| self.reported.iter().any(|result| result.conflicts.contains(conflict));
        results.iter().flat_map(|result| &result.conflicts).filter(move |conflict| !known(conflict))
    }
}

/// Whether all that was removed is in what was told, as far as there was room for it.
fn is_told(did: &ImageResult, told: &ImageResult) -> bool {
    let is_whole = || did.records.iter().all(|record| told.records.contains(record));
    let has_gone = !told.records.is_empty() || matches!(told.outcome, Outcome::Deleted | Outcome::Untagged);
    let is_cut = leaves_out(told) && has_gone;
    is_whole() || (is_cut && did.records.starts_with(&told.records))
}

/// Whether an entry of which this is known is to be tried again.
pub(super) fn is_due_again(earlier: &ImageResult) -> bool {
    matches!(earlier.outcome, Outcome::Conflict | Outcome::Failed)
}

/// Whether nothing was done for an entry by the deadline.
fn is_given_up(result: &ImageResult) -> bool {
    result.message.as_deref().is_some_and(|message| message == UNTRIED || message.starts_with(GIVEN_UP))
}

/// An entry of which nothing is known: its turn did not come before the agent was stopped, or what came of it removed nothing, and no
/// report says it.
fn untried(image: &str) -> ImageResult {
    ImageResult {
        image: image.to_owned(),
        outcome: Outcome::Failed,
        records: Vec::new(),
        conflicts: Vec::new(),
        reclaimed_bytes: 0,
        message: Some(UNTRIED.to_owned()),
    }
}

#[cfg(test)]
mod tests;
