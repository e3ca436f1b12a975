//! Why a condition of a status holds or not, in one word for programs; its message says it to people.

use std::fmt;

use schemars::JsonSchema;

/// The reason of a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum Reason {
    /// Some nodes have not reported, or failed before all had reported.
    WaitingForNodes,
    /// All nodes have reported, and some wait until an image is free.
    WaitingForConflicts,
    /// No selected node runs an agent.
    NoNodes,
    /// Every node has reported, and none failed.
    AllNodesReported,
    /// Images were left alone.
    ConflictsReported,
    /// No image was left alone.
    NoConflicts,
    /// Every node has reported, and something went wrong on some.
    NodesFailed,
    /// Some nodes had not reported when the deadline had passed.
    DeadlineExceeded,
    /// Nothing went wrong.
    NoFailure,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
