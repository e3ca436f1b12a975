//! What is said of a deletion in the log and in Kubernetes Events, each once. No I/O.
//!
//! It follows from what the status was and what it becomes, so that a controller that starts again repeats nothing.

use schemars::JsonSchema;

use crate::api::result::Conflict;
use crate::api::status::{ImageDeletionStatus, NodeResult, Phase};
use crate::plain::plain;

/// The API server's bound on the text of an Event, in bytes.
const MAX_TEXT: usize = 1024;
/// The most nodes whose holders are named.
const MAX_HOLDERS: usize = 3;

/// Something that happened to a deletion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Note {
    /// What it was.
    pub(super) kind: Kind,
    /// In one sentence, of at most 1,024 bytes.
    pub(super) text: String,
}

/// What can happen to a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
pub enum Kind {
    /// Its nodes are known.
    Started,
    /// A node was the first to leave an image alone.
    Conflict,
    /// Every node has reported, and none failed.
    Completed,
    /// A node failed or was silent.
    Failed,
}

impl Kind {
    /// The reason of the Event.
    pub(super) fn reason(self) -> String {
        format!("{self:?}")
    }

    /// Whether somebody should have a look.
    pub(super) const fn is_warning(self) -> bool {
        matches!(self, Self::Conflict | Self::Failed)
    }
}

/// What happens when the status `before` becomes `after`; `before` is `None` when none was ever written.
pub(super) fn notes(before: Option<&ImageDeletionStatus>, after: &ImageDeletionStatus) -> Vec<Note> {
    let had_phase = |phase| before.is_some_and(|before| before.phase == phase);
    let had_conflict = before.is_some_and(|before| holds(before, "Conflicted"));
    let happened = [
        (Kind::Started, before.is_none()),
        (Kind::Conflict, holds(after, "Conflicted") && !had_conflict),
        (Kind::Completed, after.phase == Phase::Complete && !had_phase(Phase::Complete)),
        (Kind::Failed, after.phase == Phase::Failed && !had_phase(Phase::Failed)),
    ];
    let kinds = happened.into_iter().filter(|(_, happened)| *happened).map(|(kind, _)| kind);
    kinds.map(|kind| Note { kind, text: bounded(plain(&text(kind, after)).into_owned()) }).collect()
}

fn holds(status: &ImageDeletionStatus, condition: &str) -> bool {
    status.conditions.iter().any(|found| found.type_ == condition && found.status == "True")
}

fn text(kind: Kind, status: &ImageDeletionStatus) -> String {
    match kind {
        Kind::Started => started(status),
        Kind::Conflict => conflict(status),
        Kind::Completed => message(status, "Complete").to_owned(),
        Kind::Failed => {
            let reason = status.conditions.iter().find(|found| found.type_ == "Failed");
            let reason = reason.map_or("", |found| found.reason.as_str());
            format!("{reason}: {}", message(status, "Failed"))
        }
    }
}

fn message<'a>(status: &'a ImageDeletionStatus, condition: &str) -> &'a str {
    status.conditions.iter().find(|found| found.type_ == condition).map_or("", |found| &found.message)
}

fn started(status: &ImageDeletionStatus) -> String {
    let nodes = |number: u32| if number == 1 { "1 node".to_owned() } else { format!("{number} nodes") };
    let asked = format!("{} asked", nodes(status.nodes.desired));
    match status.nodes.without_agent {
        0 => asked,
        without => format!("{asked}; {} without an agent left alone", nodes(without)),
    }
}

fn conflict(status: &ImageDeletionStatus) -> String {
    let holders = status.node_results.iter().filter_map(holder).take(MAX_HOLDERS);
    [message(status, "Conflicted").to_owned()].into_iter().chain(holders).collect::<Vec<_>>().join("; ")
}

/// `node-b: app:v1 is held by pod shop/cart-7d9`.
fn holder(node: &NodeResult) -> Option<String> {
    let first = node.conflicts.first()?;
    let Conflict { image, namespace, pod, container, .. } = first;
    let holder = match (namespace, pod, container) {
        (Some(namespace), Some(pod), _) => format!("pod {namespace}/{pod}"),
        (_, _, Some(container)) => format!("container {container}"),
        _ => return Some(format!("{}: {}", node.node, first.message)),
    };
    Some(format!("{}: {image} is held by {holder}", node.node))
}

fn bounded(mut text: String) -> String {
    const ELLIPSIS: &str = "...";
    if text.len() > MAX_TEXT {
        let end = (0..=MAX_TEXT - ELLIPSIS.len()).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
        text.push_str(ELLIPSIS);
    }
    text
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
    use serde_json::json;

    use super::*;
    use crate::api::status::NodeCounts;

    fn condition(type_: &str, status: &str, message: &str) -> Condition {
        Condition {
            type_: type_.into(),
            status: status.into(),
            reason: "DeadlineExceeded".into(),
            message: message.into(),
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
            observed_generation: None,
        }
    }

    fn status(phase: Phase, conflicted: &str) -> ImageDeletionStatus {
        ImageDeletionStatus {
            phase,
            nodes: NodeCounts { desired: 2, ..NodeCounts::default() },
            conditions: vec![
                condition("Complete", "True", "all done"),
                condition("Conflicted", conflicted, "images left alone on b"),
                condition("Failed", "True", "no report from c"),
            ],
            ..ImageDeletionStatus::default()
        }
    }

    #[test]
    fn each_thing_is_said_when_it_happens_and_not_again() {
        use Kind::{Completed, Conflict, Failed, Started};
        let rows: [(Option<_>, _, &[Kind]); _] = [
            (None, status(Phase::Pending, "False"), &[Started]),
            (None, status(Phase::Complete, "True"), &[Started, Conflict, Completed]),
            (Some(status(Phase::Pending, "False")), status(Phase::Active, "False"), &[]),
            (Some(status(Phase::Pending, "False")), status(Phase::Active, "True"), &[Conflict]),
            (Some(status(Phase::Active, "True")), status(Phase::Active, "True"), &[]),
            (Some(status(Phase::Active, "True")), status(Phase::Complete, "True"), &[Completed]),
            (Some(status(Phase::Active, "False")), status(Phase::Failed, "False"), &[Failed]),
            (Some(status(Phase::Failed, "False")), status(Phase::Failed, "False"), &[]),
        ];
        for (before, after, expected) in rows {
            let kinds: Vec<_> = notes(before.as_ref(), &after).iter().map(|note| note.kind).collect();
            assert_eq!(kinds, expected, "{:?} to {:?}", before.map(|before| before.phase), after.phase);
        }
    }

    #[test]
    fn the_texts_say_how_many_who_and_why() {
        let mut after = status(Phase::Failed, "True");
        after.node_results = serde_json::from_value(json!([
            {"node": "a", "outcome": "Absent", "conflicts": [], "records": []},
            {"node": "b", "outcome": "Conflict", "records": [], "conflicts": [{
                "image": "app:v1", "kind": "RunningContainer", "forcible": false, "namespace": "shop",
                "pod": "cart-7d9", "container": "cart", "message": "in use"}]},
            {"node": "c", "outcome": "Conflict", "records": [], "conflicts": [{
                "image": "app:v2", "kind": "StoppedContainer", "forcible": true, "container": "0d3f",
                "message": "in use"}]},
            {"node": "d", "outcome": "Conflict", "records": [], "conflicts": [{
                "image": "app:v3", "kind": "Pinned", "forcible": false, "message": "app:v3 is pinned"}]},
        ]))
        .unwrap();
        let texts: Vec<_> = notes(None, &after).into_iter().map(|note| note.text).collect();
        assert_eq!(
            texts,
            [
                "2 nodes asked",
                "images left alone on b; b: app:v1 is held by pod shop/cart-7d9; c: app:v2 is held by container 0d3f; \
                 d: app:v3 is pinned",
                "DeadlineExceeded: no report from c",
            ]
        );
        after.nodes = NodeCounts { desired: 1, without_agent: 2, ..NodeCounts::default() };
        assert_eq!(notes(None, &after)[0].text, "1 node asked; 2 nodes without an agent left alone");
        assert_eq!(notes(None, &status(Phase::Complete, "False"))[1].text, "all done");
    }

    #[test]
    fn a_text_is_no_longer_than_the_api_server_takes() {
        let mut after = status(Phase::Complete, "False");
        after.conditions[0].message = "\u{e9}".repeat(600);
        let text = notes(None, &after).remove(1).text;
        assert_eq!(text.len(), 1023);
        assert!(text.ends_with("\u{e9}..."));
    }
}
