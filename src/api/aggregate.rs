//! Folds the nodes' reports into the status of an `ImageDeletion`: a pure function.
//!
//! The status stays under [`MAX_STATUS_BYTES`] whatever the number of nodes and the length of what they say. What is left
//! out for that is marked by `truncated`, and the reports still have it.

mod conditions;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::budget::{Budget, cut};
use super::deletion::ImageDeletion;
use super::quantity;
use super::report::ImageDeletionReportSpec;
use super::result::{Outcome, Record};
use super::status::{ImageDeletionStatus, MergedRecord, NodeCounts, NodeResult, Phase};

/// The size that a status stays under, in bytes of JSON.
pub const MAX_STATUS_BYTES: usize = 64 * 1024;
/// The greatest number of entries of `nodeResults`.
pub const MAX_NODE_RESULTS: usize = 100;

const RECORDS_BYTES: usize = 16 * 1024;
const NODE_RESULTS_BYTES: usize = 40 * 1024;

/// The status that these reports add up to at `now`.
///
/// `desired` are the names of the selected nodes that run an agent; only their reports on this very deletion count. There
/// is at most one of each node, because a report is named for both ([`name_of`](super::report::name_of)).
/// `without_agent` is the number of selected nodes that run none. A status that has come to its end stays as it is but for
/// the generation that it speaks of: neither late reports nor nodes that vanish later change it.
pub fn aggregate<'a>(
    deletion: &ImageDeletion,
    desired: &'a BTreeSet<String>,
    without_agent: usize,
    reports: impl IntoIterator<Item = &'a ImageDeletionReportSpec>,
    now: Timestamp,
) -> ImageDeletionStatus {
    let previous = deletion.status.as_ref();
    if deletion.is_finished()
        && let Some(status) = previous
    {
        return observed(status.clone(), deletion.metadata.generation);
    }
    let tally = Tally::new(deletion, desired, without_agent, reports);
    let standing = tally.standing(deletion.gives_up().is_some_and(|time| now >= time));
    let now = Time(Timestamp::from_second(now.as_second()).unwrap_or(now));

    let (records, some_records_left_out) = tally.records();
    let (node_results, some_nodes_left_out) = tally.node_results();
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
        truncated: some_records_left_out || some_nodes_left_out,
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

/// The reports that count, by node.
struct Tally<'a> {
    desired: &'a BTreeSet<String>,
    without_agent: usize,
    reports: BTreeMap<&'a str, &'a ImageDeletionReportSpec>,
}

impl<'a> Tally<'a> {
    fn new(
        deletion: &ImageDeletion,
        desired: &'a BTreeSet<String>,
        without_agent: usize,
        reports: impl IntoIterator<Item = &'a ImageDeletionReportSpec>,
    ) -> Self {
        let uid = deletion.metadata.uid.as_deref();
        let is_of_this_deletion = |report: &&ImageDeletionReportSpec| {
            uid.is_none_or(|uid| report.image_deletion_uid == uid) && desired.contains(&report.node_name)
        };
        let reports = reports
            .into_iter()
            .filter(is_of_this_deletion)
            .map(|report| (&*report.node_name, report))
            .collect();
        Self { desired, without_agent, reports }
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
        self.desired.iter().map(String::as_str).filter(|node| !self.reports.contains_key(node))
    }

    /// The nodes that have reported a conflict and wait for its end.
    fn waiting(&self) -> impl Iterator<Item = &'a str> {
        self.nodes_where(|report| report.completion_time.is_none())
    }

    /// The nodes whose worst outcome is this one.
    fn with_outcome(&self, outcome: Outcome) -> impl Iterator<Item = &'a str> {
        self.nodes_where(move |report| report.outcome == outcome)
    }

    /// The nodes that left at least one image alone.
    fn with_conflicts(&self) -> impl Iterator<Item = &'a str> {
        self.nodes_where(|report| report.results.iter().any(|result| result.outcome == Outcome::Conflict))
    }

    fn nodes_where(&self, holds: impl Fn(&ImageDeletionReportSpec) -> bool) -> impl Iterator<Item = &'a str> {
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
        let results = self.reports.values().flat_map(|report| &report.results);
        results.fold(0u64, |sum, result| sum.saturating_add(result.reclaimed_bytes)).min(i64::MAX as u64)
    }

    /// The records with the number of nodes that wrote them, and whether some were left out.
    fn records(&self) -> (Vec<MergedRecord>, bool) {
        let mut nodes_by_record: BTreeMap<&Record, u32> = BTreeMap::new();
        for report in self.reports.values() {
            let of_this_node: BTreeSet<_> =
                report.results.iter().flat_map(|result| &result.records).collect();
            for record in of_this_node {
                *nodes_by_record.entry(record).or_default() += 1;
            }
        }
        let mut records: Vec<_> = nodes_by_record.into_iter().collect();
        records.sort_by_key(|(record, nodes)| (std::cmp::Reverse(*nodes), *record));

        let mut budget = Budget::new(RECORDS_BYTES);
        let merged =
            records.into_iter().map(|(record, nodes)| MergedRecord { record: record.clone(), nodes });
        let kept: Vec<_> = merged.map_while(|record| budget.admit(record)).collect();
        (kept, budget.is_exhausted())
    }

    /// The nodes one by one, bad ones first, and whether anything was left out. Every node gets its outcome before any
    /// gets its details.
    fn node_results(&self) -> (Vec<NodeResult>, bool) {
        let mut reports: Vec<_> = self.reports.values().collect();
        reports.sort_by_key(|report| (std::cmp::Reverse(report.outcome), &report.node_name));

        let mut budget = Budget::new(NODE_RESULTS_BYTES);
        let mut truncated = reports.len() > MAX_NODE_RESULTS;
        reports.truncate(MAX_NODE_RESULTS);
        let mut shown: Vec<_> = reports.iter().map_while(|report| budget.admit(outline(report))).collect();
        for (node, report) in shown.iter_mut().zip(&reports) {
            for result in &report.results {
                let conflicts = result.conflicts.iter().map(|conflict| {
                    let message = cut(&conflict.message);
                    truncated |= message != conflict.message;
                    super::result::Conflict { message, ..conflict.clone() }
                });
                node.conflicts.extend(conflicts.map_while(|conflict| budget.admit(conflict)));
                node.records.extend(result.records.iter().cloned().map_while(|record| budget.admit(record)));
            }
        }
        (shown, truncated || budget.is_exhausted())
    }
}

/// A node's outcome with the first message of that outcome, without details.
fn outline(report: &ImageDeletionReportSpec) -> NodeResult {
    let result = report.results.iter().find(|result| result.outcome == report.outcome);
    let message = result.and_then(|result| {
        let conflict = result.conflicts.first().map(|conflict| &conflict.message);
        result.message.as_ref().or(conflict)
    });
    NodeResult {
        node: report.node_name.clone(),
        outcome: report.outcome,
        message: message.map(|message| cut(message)),
        conflicts: Vec::new(),
        records: Vec::new(),
    }
}

fn saturate(number: usize) -> u32 {
    i32::try_from(number).unwrap_or(i32::MAX).unsigned_abs()
}

#[cfg(test)]
mod tests;
