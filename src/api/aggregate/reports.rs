//! The reports on one deletion, kept as small as the fold allows.
//!
//! Thousands of nodes say the same of up to 64 images each. So each record is kept once, and what a node says in words only
//! where the status would repeat it. What it says is cut on its way in to what any real name has: whoever has stolen a node's token
//! may write as much as the API server takes, and a status has room for little.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::MAX_NODE_RESULTS;
use super::records::{RecordId, Records};
use crate::api::budget::cut_name;
use crate::api::report::ImageDeletionReportSpec;
use crate::api::result::{Conflict, ImageResult, Outcome, Record};

/// The longest name of a namespace (RFC 1123 label), in bytes.
const MAX_NAMESPACE: usize = 63;
/// The longest name of a pod (RFC 1123 subdomain). A container's is shorter, as is its ID.
const MAX_POD: usize = 253;
/// The longest entry of `images`. No name of an image is as long: 255 for its repository, with a registry, a tag and a digest.
const MAX_IMAGE: usize = 1024;

/// The reports on one deletion, one of each node.
#[derive(Clone, Debug, Default)]
pub struct Reports {
    uid: String,
    nodes: BTreeMap<Arc<str>, NodeReport>,
    records: Records,
    /// The nodes whose words are kept, worst first.
    spoken: BTreeSet<(Reverse<Outcome>, Arc<str>)>,
}

/// Whether a node has done what it could.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It waits for a conflict to end, and will report again.
    Waiting,
    /// It will not.
    Done,
}

/// What is kept of a node's report.
#[derive(Clone, Debug)]
pub(super) struct NodeReport {
    pub(super) outcome: Outcome,
    pub(super) stage: Stage,
    /// Whether it left an image alone.
    pub(super) conflicted: bool,
    pub(super) reclaimed_bytes: u64,
    /// Whether something that it said was too long to be repeated.
    pub(super) is_cut: bool,
    /// Where its records are, in their order.
    pub(super) records: Box<[RecordId]>,
    /// What it said in words; `None` where others have worse to say.
    pub(super) words: Option<Box<Words>>,
}

/// What a node said in words.
#[derive(Clone, Debug)]
pub(super) struct Words {
    /// The first message of the worst outcome.
    pub(super) message: Option<String>,
    pub(super) conflicts: Vec<Conflict>,
}

impl Reports {
    /// No reports yet on the deletion with this UID.
    pub fn on(uid: &str) -> Self {
        Self { uid: uid.to_owned(), ..Self::default() }
    }

    /// Takes a node's report in, in place of an earlier one. One on another deletion is not taken: returns whether it was.
    pub fn insert(&mut self, report: ImageDeletionReportSpec) -> bool {
        if self.uid != report.image_deletion_uid {
            return false;
        }
        self.remove(&report.node_name);
        let node: Arc<str> = report.node_name.as_str().into();
        self.spoken.insert((Reverse(report.outcome), Arc::clone(&node)));
        self.nodes.insert(node, NodeReport::of(report, &mut self.records));
        if self.spoken.len() > MAX_NODE_RESULTS
            && let Some((_, least)) = self.spoken.pop_last()
            && let Some(report) = self.nodes.get_mut(&least)
        {
            report.words = None;
        }
        true
    }

    /// Forgets a node's report, and says whether there was one.
    pub fn remove(&mut self, node: &str) -> bool {
        let Some((node, report)) = self.nodes.remove_entry(node) else { return false };
        report.records.iter().for_each(|id| self.records.release(*id));
        self.spoken.remove(&(Reverse(report.outcome), node));
        true
    }

    /// How far a node is that has reported.
    pub fn stage(&self, node: &str) -> Option<Stage> {
        self.nodes.get(node).map(|report| report.stage)
    }

    /// The nodes that have reported, in the order of their names.
    pub fn stages(&self) -> impl Iterator<Item = (&str, Stage)> {
        self.nodes.iter().map(|(node, report)| (&**node, report.stage))
    }

    /// Whether words are missing that the status would repeat: those who had worse to say have less to say now.
    pub fn lacks_words(&self) -> bool {
        let least = self.spoken.last().map(|(Reverse(outcome), _)| *outcome);
        self.nodes.values().any(|report| report.words.is_none() && Some(report.outcome) > least)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &NodeReport)> {
        self.nodes.iter().map(|(node, report)| (&**node, report))
    }

    /// Every record that a node has written.
    pub(super) fn records(&self) -> &Records {
        &self.records
    }
}

impl NodeReport {
    fn of(report: ImageDeletionReportSpec, records: &mut Records) -> Self {
        let ImageDeletionReportSpec { outcome, results, completion_time, .. } = report;
        let stage = if completion_time.is_some() { Stage::Done } else { Stage::Waiting };
        let conflicted = results.iter().any(ImageResult::is_held);
        let reclaimed_bytes =
            results.iter().fold(0u64, |sum, result| sum.saturating_add(result.reclaimed_bytes));
        let message = first_message(&results, outcome);
        let (mut ids, mut conflicts, mut is_cut) = (Vec::new(), Vec::new(), false);
        for result in results {
            for mut record in result.records {
                is_cut |= cut_record(&mut record);
                ids.push(records.hold(record));
            }
            for mut conflict in result.conflicts {
                is_cut |= cut_conflict(&mut conflict);
                conflicts.push(conflict);
            }
        }
        let words = Some(Box::new(Words { message, conflicts }));
        Self { outcome, stage, conflicted, reclaimed_bytes, is_cut, records: ids.into(), words }
    }
}

fn cut_record(record: &mut Record) -> bool {
    let (Record::Untagged(name) | Record::Deleted(name)) = record;
    cut_name(MAX_IMAGE, name)
}

/// But for its message: few are ever repeated.
fn cut_conflict(conflict: &mut Conflict) -> bool {
    let mut is_cut = false;
    let Conflict { image, namespace, pod, container, .. } = conflict;
    let named = [(namespace, MAX_NAMESPACE), (pod, MAX_POD), (container, MAX_POD)];
    let named = named.into_iter().filter_map(|(name, bytes)| Some((name.as_mut()?, bytes)));
    for (name, bytes) in named.chain([(image, MAX_IMAGE)]) {
        is_cut |= cut_name(bytes, name);
    }
    is_cut
}

fn first_message(results: &[ImageResult], outcome: Outcome) -> Option<String> {
    let result = results.iter().find(|result| result.outcome == outcome)?;
    let conflict = result.conflicts.first().map(|conflict| &conflict.message);
    result.message.as_ref().or(conflict).cloned()
}
