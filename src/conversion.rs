//! From what the node did to what the API says of it. The command line prints it and agents report it, so both say the same.

mod asked;

pub use asked::{Asked, Validity};

use crate::api::result::{Conflict, ConflictKind, ImageResult, Outcome, Record};
use crate::image::{Cause, Container, Hardness, Removal, State};
use crate::plain::plain;
use crate::{image, node};

/// The most messages of one entry that are repeated in full.
const MESSAGES: usize = 3;

/// The longest name that is reported whole, in characters.
const NAME_MAX: usize = 1024;

/// What came of an entry, as the API says it.
pub fn image_result(result: &node::EntryResult) -> ImageResult {
    ImageResult {
        image: result.entry.clone(),
        outcome: outcome(result.outcome),
        records: result.removals.iter().map(record).collect(),
        conflicts: result.conflicts.iter().map(|found| conflict(&result.entry, found)).collect(),
        reclaimed_bytes: result.reclaimed_bytes,
        message: message(&told(result)),
    }
}

fn outcome(outcome: node::Outcome) -> Outcome {
    match outcome {
        node::Outcome::Absent => Outcome::Absent,
        node::Outcome::Deleted => Outcome::Deleted,
        node::Outcome::Untagged => Outcome::Untagged,
        node::Outcome::Conflict => Outcome::Conflict,
        node::Outcome::Failed => Outcome::Failed,
    }
}

fn record(removal: &Removal) -> Record {
    match removal {
        Removal::Untagged(name) => Record::Untagged(bounded(name)),
        Removal::Deleted(image) => Record::Deleted(image.to_string()),
    }
}

fn conflict(entry: &str, found: &image::Conflict) -> Conflict {
    let (namespace, pod, container) = holder(&found.cause);
    Conflict {
        image: entry.to_owned(),
        kind: kind(&found.cause),
        forcible: found.cause.hardness() == Hardness::Soft,
        namespace,
        pod,
        container,
        message: plain(&found.to_string()).into_owned(),
    }
}

fn kind(cause: &Cause) -> ConflictKind {
    match cause {
        Cause::RunningContainer(_) => ConflictKind::RunningContainer,
        Cause::StoppedContainer(_) => ConflictKind::StoppedContainer,
        Cause::UsedReference(container) => match container.state {
            State::Running => ConflictKind::RunningContainer,
            State::Stopped => ConflictKind::StoppedContainer,
        },
        Cause::MultipleReferences | Cause::NamedMeanwhile => ConflictKind::MultipleReferences,
        Cause::Pinned => ConflictKind::Pinned,
        Cause::Protected(_) => ConflictKind::Protected,
        Cause::PendingPod(_) => ConflictKind::PendingPod,
    }
}

/// A reference is shorter than this; containerd takes names of megabytes, and reports must fit into etcd.
fn bounded(name: &str) -> String {
    match name.char_indices().nth(NAME_MAX) {
        None => name.to_owned(),
        Some((end, _)) => format!("{}...", &name[..end]),
    }
}

/// Namespace, pod and container.
type Holder = (Option<String>, Option<String>, Option<String>);

fn holder(cause: &Cause) -> Holder {
    match cause {
        Cause::RunningContainer(container)
        | Cause::StoppedContainer(container)
        | Cause::UsedReference(container) => container_names(container),
        Cause::PendingPod(pod) => (Some(pod.namespace.to_string()), Some(pod.name.to_string()), None),
        Cause::MultipleReferences | Cause::NamedMeanwhile | Cause::Pinned | Cause::Protected(_) => {
            (None, None, None)
        }
    }
}

/// A pod's sandbox has no name in its pod, and no other container has none.
fn container_names(container: &Container) -> Holder {
    match &container.owner {
        Some(owner) => (
            Some(owner.namespace.to_string()),
            Some(owner.pod.to_string()),
            owner.container.as_ref().map(ToString::to_string),
        ),
        None => (None, None, Some(container.id.to_string())),
    }
}

/// What is to be told of an entry: how it failed, or else what held its images. Each conflict has its own message beside.
fn told(result: &node::EntryResult) -> Vec<String> {
    let mut messages = result.messages.clone();
    if result.outcome == node::Outcome::Failed {
        let conflicts: Vec<String> = result.conflicts.iter().map(ToString::to_string).collect();
        messages.retain(|message| !conflicts.contains(message));
    }
    messages
}

fn message(messages: &[String]) -> Option<String> {
    let mut distinct: Vec<&str> = Vec::new();
    for message in messages {
        if !distinct.contains(&message.as_str()) {
            distinct.push(message);
        }
    }
    let more = distinct.len().saturating_sub(MESSAGES);
    let mut text = plain(&distinct[..distinct.len() - more].join("; ")).into_owned();
    if more > 0 {
        text.push_str(&format!("; and {more} more"));
    }
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::image::{Evidence, Owner, Pod};

    fn container(state: State, owner: Option<Owner>) -> Arc<Container> {
        Arc::new(Container {
            id: "0d3f9e3c1a2b4c5d".into(),
            state,
            owner,
            image: Evidence::Name("app".into()),
            volumes: Vec::new(),
        })
    }

    fn owner(container: Option<&str>) -> Option<Owner> {
        Some(Owner { namespace: "shop".into(), pod: "cart-7d9".into(), container: container.map(Into::into) })
    }

    #[test]
    fn a_conflict_has_its_kind_its_hardness_and_its_holder() {
        use ConflictKind::*;
        let pod = Arc::new(Pod { namespace: "shop".into(), name: "cart".into(), images: Vec::new() });
        let running = || container(State::Running, owner(Some("cart")));
        let in_pod: [Option<&str>; 3] = [Some("shop"), Some("cart-7d9"), Some("cart")];
        let rows = [
            (Cause::RunningContainer(running()), RunningContainer, false, in_pod),
            (Cause::UsedReference(running()), RunningContainer, true, in_pod),
            (
                Cause::UsedReference(container(State::Stopped, None)),
                StoppedContainer,
                true,
                [None, None, Some("0d3f9e3c1a2b4c5d")],
            ),
            (
                Cause::StoppedContainer(container(State::Stopped, owner(None))),
                StoppedContainer,
                true,
                [Some("shop"), Some("cart-7d9"), None],
            ),
            (Cause::MultipleReferences, MultipleReferences, true, [None; 3]),
            (Cause::Pinned, Pinned, false, [None; 3]),
            (Cause::Protected("a/**".into()), Protected, false, [None; 3]),
            (Cause::PendingPod(pod), PendingPod, true, [Some("shop"), Some("cart"), None]),
        ];
        for (cause, kind, forcible, [namespace, pod, container]) in rows {
            let found = image::Conflict {
                image: format!("sha256:{}", "a1".repeat(32)).parse().unwrap(),
                subject: "app:v1".into(),
                cause,
                doubt: None,
            };
            let expected = Conflict {
                image: "app".into(),
                kind,
                forcible,
                namespace: namespace.map(Into::into),
                pod: pod.map(Into::into),
                container: container.map(Into::into),
                message: found.to_string(),
            };
            assert_eq!(conflict("app", &found), expected);
        }
    }

    #[test]
    fn of_what_has_failed_the_conflicts_of_others_do_not_hide_why() {
        let found = |subject: &str| image::Conflict {
            image: format!("sha256:{}", "a1".repeat(32)).parse().unwrap(),
            subject: subject.into(),
            cause: Cause::MultipleReferences,
            doubt: None,
        };
        let conflicts: Vec<_> = ["a", "b", "c"].map(found).to_vec();
        let held: Vec<String> = conflicts.iter().map(ToString::to_string).collect();
        let other = "refused by containerd".to_owned();
        let messages: Vec<String> = held.iter().cloned().chain([other.clone()]).collect();
        let rows = [
            (node::Outcome::Failed, other),
            (node::Outcome::Conflict, format!("{}; and 1 more", held.join("; "))),
        ];
        for (outcome, expected) in rows {
            let (conflicts, messages) = (conflicts.clone(), messages.clone());
            let result = node::EntryResult { outcome, conflicts, messages, ..Default::default() };
            assert_eq!(image_result(&result).message, Some(expected), "{outcome:?}");
        }
    }

    #[test]
    fn messages_are_told_once_and_bounded() {
        let told =
            |messages: &[&str]| message(&messages.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        assert_eq!(told(&[]), None);
        assert_eq!(told(&["a", "a"]).as_deref(), Some("a"));
        assert_eq!(told(&["a", "b", "c"]).as_deref(), Some("a; b; c"));
        assert_eq!(told(&["a", "b", "c", "d", "e"]).as_deref(), Some("a; b; c; and 2 more"));
    }
}
