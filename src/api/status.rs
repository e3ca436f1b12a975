//! The status of an `ImageDeletion`: what every node's report adds up to. Its size does not grow with the cluster.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::result::{Conflict, Outcome, Record};
use super::schema;

/// What happened on the nodes so far.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageDeletionStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,

    /// Where the deletion stands.
    #[serde(default)]
    pub phase: Phase,

    /// When work on the deletion began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_time: Option<Time>,

    /// When the deletion came to its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,

    /// How many nodes there are, by what came of them.
    #[serde(default)]
    pub nodes: NodeCounts,

    /// Nodes that have reported, of those that were asked, for people: `1/2`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub nodes_reported: String,

    /// The bytes that all nodes together got back.
    #[serde(default)]
    #[schemars(schema_with = "schema::bytes")]
    pub reclaimed_bytes: u64,

    /// `reclaimedBytes` for people: `1.9Mi`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reclaimed: String,

    /// What was removed, with the number of nodes that removed it; what most nodes removed comes first.
    #[serde(default)]
    pub records: Vec<MergedRecord>,

    /// The nodes one by one, at most 100: failed ones first, then those that did not report in time, then those with a conflict.
    #[serde(default)]
    pub node_results: Vec<NodeResult>,

    /// Whether anything was left out here to bound the status's size. The reports have all that nodes said.
    #[serde(default)]
    pub truncated: bool,

    /// Complete, Conflicted and Failed, each True or False.
    #[serde(default)]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// Where a deletion stands.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub enum Phase {
    /// No node has reported yet.
    #[default]
    Pending,
    /// Some nodes have reported.
    Active,
    /// Every node has reported, and none failed.
    Complete,
    /// A node failed, or did not report before the deadline.
    Failed,
}

impl Phase {
    /// Every phase.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Active, Self::Complete, Self::Failed];
}

/// Numbers of nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeCounts {
    /// Selected nodes that run an agent.
    #[schemars(schema_with = "schema::count")]
    pub desired: u32,
    /// Desired nodes that have reported: the sum of the five that follow.
    #[schemars(schema_with = "schema::count")]
    pub reported: u32,
    /// Nodes whose worst outcome is Deleted.
    #[schemars(schema_with = "schema::count")]
    pub deleted: u32,
    /// Nodes whose worst outcome is Untagged.
    #[schemars(schema_with = "schema::count")]
    pub untagged: u32,
    /// Nodes that had none of the images.
    #[schemars(schema_with = "schema::count")]
    pub absent: u32,
    /// Nodes whose worst outcome is Conflict.
    #[schemars(schema_with = "schema::count")]
    pub conflicted: u32,
    /// Nodes whose worst outcome is Failed.
    #[schemars(schema_with = "schema::count")]
    pub failed: u32,
    /// Selected nodes that run no agent. They do not fail the deletion.
    #[schemars(schema_with = "schema::count")]
    pub without_agent: u32,
}

/// A record, and on how many nodes it was written: `{untagged: NAME, nodes: 2}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MergedRecord {
    /// What was removed.
    #[serde(flatten)]
    pub record: Record,
    /// How many nodes removed it.
    #[schemars(schema_with = "schema::count")]
    pub nodes: u32,
}

/// What came of one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct NodeResult {
    /// The node's name.
    pub node: String,
    /// The worst outcome of its images, and Failed where it did not report before the deadline.
    pub outcome: Outcome,
    /// The first message of that outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What stood in the way there.
    pub conflicts: Vec<Conflict>,
    /// What was removed there.
    pub records: Vec<Record>,
}
