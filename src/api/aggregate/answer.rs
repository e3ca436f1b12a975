//! What a node has answered, as `nodeResults` shows it.

use std::cmp::Reverse;

use super::NodeReport;
use super::records::RecordId;
use crate::api::budget::cut;
use crate::api::result::{Conflict, Outcome};
use crate::api::status::NodeResult;

/// What a node has answered.
pub(super) enum Answer<'a> {
    /// Its report.
    Report(&'a NodeReport),
    /// Nothing in so many seconds, so that it was given up.
    Silence(u64),
}

impl Answer<'_> {
    /// The worst come first. A failure that says what it was is before silence.
    pub(super) fn rank(&self) -> (Reverse<Outcome>, bool) {
        match self {
            Self::Report(report) => (Reverse(report.outcome), false),
            Self::Silence(_) => (Reverse(Outcome::Failed), true),
        }
    }

    /// What holds images on the node, as far as that is known.
    pub(super) fn conflicts(&self) -> &[Conflict] {
        match self {
            Self::Report(report) => report.words.as_ref().map(|words| &*words.conflicts).unwrap_or_default(),
            Self::Silence(_) => &[],
        }
    }

    /// Where the records of what it removed are.
    pub(super) fn records(&self) -> &[RecordId] {
        match self {
            Self::Report(report) => &report.records,
            Self::Silence(_) => &[],
        }
    }

    /// Whether it has said more than is kept.
    pub(super) fn lacks_words(&self) -> bool {
        matches!(self, Self::Report(report) if report.words.is_none())
    }

    /// The node's outcome with the first message of that outcome, without details.
    pub(super) fn outline(&self, node: &str) -> NodeResult {
        let (outcome, message) = match self {
            Self::Report(report) => {
                let message = report.words.as_ref().and_then(|words| words.message.as_ref());
                (report.outcome, message.map(|message| cut(message)))
            }
            Self::Silence(seconds) => (Outcome::Failed, Some(silence(*seconds))),
        };
        NodeResult { node: node.to_owned(), outcome, message, conflicts: Vec::new(), records: Vec::new() }
    }
}

/// What is said of nodes that have not answered in time.
pub(super) fn silence(seconds: u64) -> String {
    format!("no report within {seconds} seconds")
}
