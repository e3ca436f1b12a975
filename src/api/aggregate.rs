//! Folds the nodes' reports into the status of an `ImageDeletion`: a pure function.
//!
//! The status stays under [`MAX_STATUS_BYTES`] whatever the number of nodes and the length of what they say. What is left
//! out for that is marked by `truncated`, and the reports have all that nodes said.

mod answer;
mod conditions;
mod records;
mod reports;

use std::cmp::Reverse;
use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::budget::{Budget, cut};
use super::deletion::ImageDeletion;
use super::quantity;
use super::result::{Conflict, Outcome};
use super::status::{ImageDeletionStatus, MergedRecord, NodeCounts, NodeResult, Phase};
use answer::Answer;
use reports::NodeReport;
pub use reports::{Reports, Stage};

/// The size that a status stays under, in bytes of JSON.
pub const MAX_STATUS_BYTES: usize = 64 * 1024;
/// The greatest number of entries of `nodeResults`.
pub const MAX_NODE_RESULTS: usize = 100;

const RECORDS_BYTES: usize = 16 * 1024;
const NODE_RESULTS_BYTES: usize = 40 * 1024;

/// The status that these reports add up to at `now`.
///
/// `desired` are the names of the selected nodes that run an agent; only their reports count. `without_agent` is the number of selected nodes that run none. A status that has come to its end stays as it is but for
/// the generation that it speaks of: neither late reports nor nodes that vanish later change it.
pub fn aggregate(
    deletion: &ImageDeletion,
    desired: &BTreeSet<String>,
    without_agent: usize,
    reports: &Reports,
    now: Timestamp,
) -> ImageDeletionStatus {
    let previous = deletion.status.as_ref();
    if deletion.is_finished()
        && let Some(status) = previous
    {
        return observed(status.clone(), deletion.metadata.generation);
    }
    let tally = Tally::new(desired, without_agent, reports);
    let standing = tally.standing(deletion.gives_up().is_some_and(|time| now >= time));
    let now = Time(Timestamp::from_second(now.as_second()).unwrap_or(now));

    let (records, some_records_left_out) = tally.records();
    let silent_for =
        (standing == Standing::DeadlineExceeded).then_some(deletion.spec.active_deadline_seconds);
    let (node_results, some_nodes_left_out) = tally.node_results(silent_for);
    let reclaimed_bytes = tally.reclaimed_bytes();
    ImageDeletionStatus {
        observed_generation: deletion.metadata.generation,
        phase: standing.phase(),
        start_time: previous.and_then(|status| status.start_time.clone()).or_else(|| Some(now.clone())),
        completion_time: standing.is_final().then(|| now.clone()),
        nodes: tally.counts(),
        nodes_reported: format!("{}/{}", tally.reports.len(), tally.desired.len()),
        reclaimed_bytes,
        reclaimed: quantity::human(reclaimed_bytes),
        records,
        node_results,
        truncated: some_records_left_out || some_nodes_left_out || tally.is_cut(),
        conditions: conditions::all(deletion, &tally, standing, &now),
    }
}

/// The finished status as one that speaks of this generation: what may still change in a spec does not change the outcome,
/// and `kubectl wait` does not believe a condition of an earlier generation.
fn observed(mut status: ImageDeletionStatus, generation: Option<i64>) -> ImageDeletionStatus {
    status.observed_generation = generation;
    for condition in &mut status.conditions {
        condition.observed_generation = generation;
    }
    status
}

/// Where a deletion stands, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// No node has reported.
    Pending,
    /// Nodes are missing, or wait for a conflict to end.
    Active,
    /// Every node has reported, and none failed.
    Complete,
    /// Every node has reported, and some failed.
    NodesFailed,
    /// Nodes had not reported when they were given up.
    DeadlineExceeded,
}

impl Standing {
    fn phase(self) -> Phase {
        match self {
            Standing::Pending => Phase::Pending,
            Standing::Active => Phase::Active,
            Standing::Complete => Phase::Complete,
            Standing::NodesFailed | Standing::DeadlineExceeded => Phase::Failed,
        }
    }

    fn is_final(self) -> bool {
        matches!(self.phase(), Phase::Complete | Phase::Failed)
    }
}

/// The reports that count.
struct Tally<'a> {
    desired: &'a BTreeSet<String>,
    without_agent: usize,
    all: &'a Reports,
    /// Those of desired nodes, in the order of their names.
    reports: Vec<(&'a str, &'a NodeReport)>,
}

impl<'a> Tally<'a> {
    fn new(desired: &'a BTreeSet<String>, without_agent: usize, all: &'a Reports) -> Self {
        let reports = all.iter().filter(|(node, _)| desired.contains(*node)).collect();
        Self { desired, without_agent, all, reports }
    }

    fn standing(&self, given_up: bool) -> Standing {
        let some_missing = self.reports.len() < self.desired.len();
        if !given_up && (some_missing || self.waiting().next().is_some()) {
            return if self.reports.is_empty() { Standing::Pending } else { Standing::Active };
        }
        if some_missing {
            Standing::DeadlineExceeded
        } else if self.with_outcome(Outcome::Failed).next().is_some() {
            Standing::NodesFailed
        } else {
            Standing::Complete
        }
    }

    /// The nodes that have not reported.
    fn missing(&self) -> impl Iterator<Item = &'a str> {
        self.desired.iter().map(String::as_str).filter(|node| self.all.stage(node).is_none())
    }

    /// The nodes that have reported, but not for the last time.
    fn waiting(&self) -> impl Iterator<Item = &'a str> {
        self.nodes_where(|report| report.stage == Stage::Waiting)
    }

    /// Those of them that have reported a conflict and wait for its end.
    fn held(&self) -> impl Iterator<Item = &'a str> {
        self.nodes_where(|report| report.stage == Stage::Waiting && report.conflicted)
    }

    /// Those that were stopped in the middle and go on.
    fn unfinished(&self) -> impl Iterator<Item = &'a str> {
        self.nodes_where(|report| report.stage == Stage::Waiting && !report.conflicted)
    }

    /// The nodes whose worst outcome is this one.
    fn with_outcome(&self, outcome: Outcome) -> impl Iterator<Item = &'a str> {
        self.nodes_where(move |report| report.outcome == outcome)
    }

    /// The nodes that left at least one image alone.
    fn with_conflicts(&self) -> impl Iterator<Item = &'a str> {
        self.nodes_where(|report| report.conflicted)
    }

    fn nodes_where(&self, holds: impl Fn(&NodeReport) -> bool) -> impl Iterator<Item = &'a str> {
        self.reports.iter().filter(move |(_, report)| holds(report)).map(|(node, _)| *node)
    }

    fn counts(&self) -> NodeCounts {
        let with = |outcome| saturate(self.with_outcome(outcome).count());
        NodeCounts {
            desired: saturate(self.desired.len()),
            reported: saturate(self.reports.len()),
            deleted: with(Outcome::Deleted),
            untagged: with(Outcome::Untagged),
            absent: with(Outcome::Absent),
            conflicted: with(Outcome::Conflict),
            failed: with(Outcome::Failed),
            without_agent: saturate(self.without_agent),
        }
    }

    /// At most what the schema's `int64` holds.
    fn reclaimed_bytes(&self) -> u64 {
        let bytes = self.reports.iter().map(|(_, report)| report.reclaimed_bytes);
        bytes.fold(0u64, u64::saturating_add).min(i64::MAX as u64)
    }

    /// Whether something that a node said was too long to be repeated.
    fn is_cut(&self) -> bool {
        self.reports.iter().any(|(_, report)| report.is_cut)
    }

    /// The records with the number of nodes that wrote them, and whether some were left out.
    fn records(&self) -> (Vec<MergedRecord>, bool) {
        let mut records: Vec<_> = self
            .nodes_by_record()
            .into_iter()
            .zip(self.all.records().places())
            .filter_map(|(nodes, record)| Some((Reverse(nodes), record?)))
            .filter(|(Reverse(nodes), _)| *nodes > 0)
            .collect();
        records.sort_unstable();

        let mut budget = Budget::new(RECORDS_BYTES);
        let merged = records
            .into_iter()
            .map(|(Reverse(nodes), record)| MergedRecord { record: record.clone(), nodes });
        let kept: Vec<_> = merged.map_while(|record| budget.admit(record)).collect();
        (kept, budget.is_exhausted())
    }

    /// How many nodes wrote each record. A node counts once, however often it wrote it.
    fn nodes_by_record(&self) -> Vec<u32> {
        let mut nodes = vec![0; self.all.records().places().len()];
        let mut last_writer = vec![usize::MAX; nodes.len()];
        for (writer, (_, report)) in self.reports.iter().enumerate() {
            for record in report.records.iter().map(|id| *id as usize) {
                nodes[record] += u32::from(last_writer[record] != writer);
                last_writer[record] = writer;
            }
        }
        nodes
    }

    /// The nodes one by one, bad ones first, and whether anything was left out. Every node gets its outcome before any gets its
    /// details, and of these each gets one before any gets another, so that a node that says much hides no other: first what holds
    /// images, and then what was removed. Those that have not reported are among them where they were given up after `silent_for`
    /// seconds.
    fn node_results(&self, silent_for: Option<u64>) -> (Vec<NodeResult>, bool) {
        let mut budget = Budget::new(NODE_RESULTS_BYTES);
        let (worst, are_more) = self.worst(silent_for);
        let mut shown: Vec<_> =
            worst.iter().map_while(|(node, answer)| budget.admit(answer.outline(node))).collect();
        let conflicts = worst.iter().map(|(_, answer)| answer.conflicts().iter());
        let mut is_cut = false;
        in_turns(&mut shown, conflicts.collect(), |result, conflict| {
            let message = cut(&conflict.message);
            is_cut |= message != conflict.message;
            let admitted = budget.admit(Conflict { message, ..conflict.clone() });
            admitted.map(|conflict| result.conflicts.push(conflict))
        });
        let records = worst.iter().map(|(_, answer)| answer.records().iter());
        in_turns(&mut shown, records.collect(), |result, id| {
            let admitted = budget.admit(self.all.records().get(*id)?.clone());
            admitted.map(|record| result.records.push(record))
        });
        let lacks = |(_, answer): &(&str, Answer<'_>)| answer.lacks_words();
        let truncated = are_more || is_cut || budget.is_exhausted() || worst.iter().any(lacks);
        (shown, truncated)
    }

    /// The nodes to be shown, and whether there are more: the worst, and of equals those with the first names.
    fn worst(&self, silent_for: Option<u64>) -> (Vec<(&'a str, Answer<'a>)>, bool) {
        let silent = silent_for
            .into_iter()
            .flat_map(|seconds| self.missing().map(move |node| (node, Answer::Silence(seconds))));
        let reported = self.reports.iter().map(|(node, report)| (*node, Answer::Report(report)));
        let mut worst: Vec<_> = reported.chain(silent).collect();
        let rank = |(node, answer): &(&'a str, Answer<'a>)| (answer.rank(), *node);
        let are_more = worst.len() > MAX_NODE_RESULTS;
        if are_more {
            worst.select_nth_unstable_by_key(MAX_NODE_RESULTS, rank);
            worst.truncate(MAX_NODE_RESULTS);
        }
        worst.sort_unstable_by_key(rank);
        (worst, are_more)
    }
}

/// Gives each of these its first detail, then each its second, until one is not taken.
fn in_turns<T, I: Iterator>(
    to: &mut [T],
    mut details: Vec<I>,
    mut take: impl FnMut(&mut T, I::Item) -> Option<()>,
) {
    let mut is_any_left = true;
    while std::mem::take(&mut is_any_left) {
        for (to, details) in to.iter_mut().zip(&mut details) {
            if let Some(detail) = details.next() {
                if take(to, detail).is_none() {
                    return;
                }
                is_any_left = true;
            }
        }
    }
}

fn saturate(number: usize) -> u32 {
    i32::try_from(number).unwrap_or(i32::MAX).unsigned_abs()
}

#[cfg(test)]
mod tests;
