//! The conditions of a status: Complete, Conflicted and Failed.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::answer::silence;
use super::{Standing, Tally};
use crate::api::deletion::ImageDeletion;
use crate::api::reason::Reason;
use crate::api::result::Outcome;
use crate::plain::plain;

/// The longest list of node names in a message, in bytes.
const MAX_NAMES_BYTES: usize = 1024;

/// What a condition says, before it is compared with what it said last time.
struct Finding {
    holds: bool,
    reason: Reason,
    message: String,
}

/// The three conditions. One whose status is what it was keeps its time of transition.
pub(super) fn all(
    deletion: &ImageDeletion,
    tally: &Tally<'_>,
    standing: Standing,
    now: &Time,
) -> Vec<Condition> {
    let previous = deletion.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let deadline = deletion.spec.active_deadline_seconds;
    [
        ("Complete", complete(tally, standing, deletion.spec.dry_run)),
        ("Conflicted", conflicted(tally)),
        ("Failed", failed(tally, standing, deadline)),
    ]
    .into_iter()
    .map(|(type_, finding)| {
        let status = if finding.holds { "True" } else { "False" };
        let unchanged =
            previous.iter().find(|condition| condition.type_ == type_ && condition.status == status);
        Condition {
            last_transition_time: unchanged.map_or(now, |condition| &condition.last_transition_time).clone(),
            message: plain(&finding.message).into_owned(),
            observed_generation: deletion.metadata.generation,
            reason: finding.reason.to_string(),
            status: status.to_owned(),
            type_: type_.to_owned(),
        }
    })
    .collect()
}

fn complete(tally: &Tally<'_>, standing: Standing, dry_run: bool) -> Finding {
    let reason = match standing {
        Standing::Pending => Reason::WaitingForNodes,
        Standing::Active if tally.missing().chain(tally.unfinished()).next().is_some() => {
            Reason::WaitingForNodes
        }
        Standing::Active => Reason::WaitingForConflicts,
        Standing::Complete if tally.desired.is_empty() => Reason::NoNodes,
        Standing::Complete => Reason::AllNodesReported,
        Standing::NodesFailed => Reason::NodesFailed,
        Standing::DeadlineExceeded => Reason::DeadlineExceeded,
    };
    let mut message = progress(tally);
    if !standing.is_final() {
        append(&mut message, "waiting for ", tally.missing());
        append(&mut message, "images in use on ", tally.held());
        append(&mut message, "not finished on ", tally.unfinished());
    }
    match tally.without_agent {
        0 => {}
        1 => message.push_str("; 1 selected node runs no agent and was left alone"),
        nodes => message.push_str(&format!("; {nodes} selected nodes run no agent and were left alone")),
    }
    if dry_run {
        message.push_str("; a dry run, so nothing was removed");
    }
    Finding { holds: standing == Standing::Complete, reason, message }
}

/// How many nodes have reported, and what: `2 of 2 nodes reported: 1 deleted, 1 conflicted`.
fn progress(tally: &Tally<'_>) -> String {
    if tally.desired.is_empty() {
        return "no selected node runs an agent, so there was nothing to do".to_owned();
    }
    let counts = tally.counts();
    let by_outcome = [
        (counts.deleted, "deleted"),
        (counts.untagged, "untagged"),
        (counts.absent, "absent"),
        (counts.conflicted, "conflicted"),
        (counts.failed, "failed"),
    ];
    let parts: Vec<_> = by_outcome
        .iter()
        .filter(|(nodes, _)| *nodes > 0)
        .map(|(nodes, word)| format!("{nodes} {word}"))
        .collect();
    let nodes = if counts.desired == 1 { "node" } else { "nodes" };
    let colon = if parts.is_empty() { "" } else { ": " };
    format!("{} of {} {nodes} reported{colon}{}", counts.reported, counts.desired, parts.join(", "))
}

fn conflicted(tally: &Tally<'_>) -> Finding {
    match names(tally.with_conflicts()) {
        Some(nodes) => Finding {
            holds: true,
            reason: Reason::ConflictsReported,
            message: format!("images left alone on {nodes}"),
        },
        None => Finding {
            holds: false,
            reason: Reason::NoConflicts,
            message: "no node reported a conflict".to_owned(),
        },
    }
}

fn failed(tally: &Tally<'_>, standing: Standing, deadline_seconds: u64) -> Finding {
    let failed = names(tally.with_outcome(Outcome::Failed));
    match standing {
        Standing::DeadlineExceeded => {
            let mut message = String::new();
            append(&mut message, &format!("{} from ", silence(deadline_seconds)), tally.missing());
            append(&mut message, "failed on ", tally.with_outcome(Outcome::Failed));
            Finding { holds: true, reason: Reason::DeadlineExceeded, message }
        }
        Standing::NodesFailed => {
            let message = format!("failed on {}", failed.unwrap_or_default());
            Finding { holds: true, reason: Reason::NodesFailed, message }
        }
        Standing::Pending | Standing::Active | Standing::Complete => match failed {
            Some(nodes) => Finding {
                holds: false,
                reason: Reason::WaitingForNodes,
                message: format!("failed on {nodes}; the other nodes are not done yet"),
            },
            None => {
                Finding { holds: false, reason: Reason::NoFailure, message: "no node has failed".to_owned() }
            }
        },
    }
}

fn append<'a>(message: &mut String, before: &str, nodes: impl Iterator<Item = &'a str>) {
    if let Some(nodes) = names(nodes) {
        let separator = if message.is_empty() { "" } else { "; " };
        message.push_str(&format!("{separator}{before}{nodes}"));
    }
}

/// The names as a list of bounded length: `node-a, node-b and 3 more`. `None` when there are none.
fn names<'a>(nodes: impl Iterator<Item = &'a str>) -> Option<String> {
    const MAX_NAMES: usize = 10;
    let nodes: Vec<_> = nodes.collect();
    let (first, others) = nodes.split_first()?;
    let mut list = (*first).to_owned();
    let mut shown = 1;
    for name in others.iter().take(MAX_NAMES - 1) {
        if list.len() + name.len() > MAX_NAMES_BYTES {
            break;
        }
        list.push_str(", ");
        list.push_str(name);
        shown += 1;
    }
    match nodes.len() - shown {
        0 => {}
        more => list.push_str(&format!(" and {more} more")),
    }
    Some(list)
}
