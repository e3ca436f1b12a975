use std::convert::Infallible;
use std::future::pending;

use axum::body::Body;
use axum::http::{Request, Response};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Client;
use kube::core::PartialObjectMetaExt;
use prometheus::Registry;
use tower::service_fn;

use super::*;
use crate::agent::fixture;
use crate::api::deletion::ImageDeletion;
use crate::api::result::{Conflict, ConflictKind, ImageResult, Outcome};
use crate::node::{HeldImages, Operation};
use crate::telemetry::metrics::AgentMetrics;

/// An agent's parts, with an API server that does not answer.
fn attempts() -> Attempts {
    let silent = |_: Request<_>| pending::<Result<Response<Body>, Infallible>>();
    let metrics = AgentMetrics::register(&Registry::new()).unwrap();
    fixture::attempts(Client::new(service_fn(silent), "default"), metrics)
}

fn deletion(name: &str) -> ImageDeletion {
    fixture::deletion(name, &format!("uid-of-{name}"))
}

/// A worker that has no containerd.
fn worker(attempts: &Attempts) -> Worker<'_> {
    let health = Health::missing([API_SERVER]);
    let nowhere = "/nowhere/containerd.sock".into();
    let connection = Connection::keep(
        nowhere,
        "k8s.io".into(),
        health.clone(),
        AgentMetrics::register(&Registry::new()).unwrap(),
    );
    Worker::new(attempts, connection, health)
}

#[tokio::test]
async fn an_attempt_that_waits_for_its_turn_learns_that_its_deletion_has_changed() {
    let attempts = attempts();
    let mut worker = worker(&attempts);
    let mut changing = deletion("changing");
    worker.hear(Ok(Heard::New(Box::new(changing.clone()))));
    let copy = worker.known[&key(&changing.metadata)].clone();
    changing.spec.active_deadline_seconds = 60;
    worker.hear(Ok(Heard::New(Box::new(changing.clone()))));
    assert!(copy.current().is_none() && copy.last().is_some(), "it looks again");
    assert!(worker.known[&key(&changing.metadata)].current().is_some());
}

/// A draft of what the pod `shop/cart` holds.
fn held_by_cart(kind: ConflictKind) -> Draft {
    let mut draft = Draft::new(false);
    draft.add([ImageResult {
        image: "app:v1".into(),
        outcome: Outcome::Conflict,
        records: Vec::new(),
        conflicts: vec![Conflict {
            image: "app:v1".into(),
            kind,
            forcible: false,
            namespace: Some("shop".into()),
            pod: Some("cart".into()),
            container: None,
            message: String::new(),
        }],
        reclaimed_bytes: 0,
        message: None,
    }]);
    draft.hold(Operation::default(), HeldImages::default(), None);
    draft
}

#[tokio::test]
async fn pods_are_watched_only_while_one_is_waited_for() {
    let attempts = attempts();
    let mut worker = worker(&attempts);
    let waiting = deletion("waiting");
    worker.hear(Ok(Heard::New(Box::new(waiting.clone()))));
    for (kind, is_watched) in [(ConflictKind::PendingPod, true), (ConflictKind::RunningContainer, false)] {
        let key = key(&waiting.metadata);
        worker.settle_attempt(key, held_by_cart(kind), Instant::now(), Ok(Standing::Held));
        assert_eq!(!worker.waiting_for_pods.is_empty(), is_watched, "{kind:?}");
    }
}

#[tokio::test]
async fn only_a_pod_that_holds_an_image_is_a_reason_to_try_again() {
    let attempts = attempts();
    let waiting = deletion("waiting");
    let key = key(&waiting.metadata);
    let pod = |name: &str| Changed::These([("shop".to_owned(), name.to_owned())].into());
    for is_tried in [true, false] {
        for (changed, is_reason) in [(pod("till"), false), (pod("cart"), true), (Changed::Any, true)] {
            let case = format!("{changed:?}, while it is tried: {is_tried}");
            let mut worker = worker(&attempts);
            worker.hear(Ok(Heard::New(Box::new(waiting.clone()))));
            worker.queue.next(Instant::now()).unwrap();
            let settle = |worker: &mut Worker<'_>| {
                let draft = held_by_cart(ConflictKind::PendingPod);
                worker.settle_attempt(key.clone(), draft, Instant::now(), Ok(Standing::Held));
            };
            if is_tried {
                worker.pods_change(changed);
                settle(&mut worker);
            } else {
                settle(&mut worker);
                worker.pods_change(changed);
            }
            assert_eq!(worker.queue.wakes().is_some(), is_reason, "{case}");
            assert_eq!(worker.drafts[&key].held.is_none(), is_reason, "{case}");
        }
    }
}

#[tokio::test]
async fn what_was_told_before_the_watch_began_anew_is_read_again() {
    let attempts = attempts();
    let mut worker = worker(&attempts);
    let (stays, goes) = (deletion("stays"), deletion("goes"));
    for deletion in [&stays, &goes] {
        worker.hear(Ok(Heard::New(Box::new(deletion.clone()))));
        assert!(worker.known[&key(&deletion.metadata)].current().is_some());
    }

    worker.hear(Ok(Heard::Unfinished(vec![stays.metadata.clone().into_response_partial()])));
    let known = &worker.known[&key(&stays.metadata)];
    assert!(known.current().is_none() && known.last().is_some());
    assert!(!worker.known.contains_key(&key(&goes.metadata)));

    worker.hear(Ok(Heard::New(Box::new(stays.clone()))));
    assert!(worker.known[&key(&stays.metadata)].current().is_some(), "it was told of again");
}

#[tokio::test]
async fn what_was_told_before_the_watch_broke_or_left_it_is_read_again() {
    let attempts = attempts();
    let told = deletion("told");
    let broken = || Err(watcher::Error::NoResourceVersion);
    let left = || Ok(Heard::Left(Box::new(told.metadata.clone())));
    for event in [broken(), left()] {
        let (mut worker, name) = (worker(&attempts), format!("{event:?}"));
        worker.hear(Ok(Heard::New(Box::new(told.clone()))));
        let copy = worker.known[&key(&told.metadata)].clone();
        worker.hear(event);
        assert!(copy.current().is_none() && copy.last().is_some(), "{name}");
        worker.hear(Ok(Heard::New(Box::new(told.clone()))));
        assert!(worker.known[&key(&told.metadata)].current().is_some(), "{name}");
    }
}

/// It waits for no connection: that may be what is missing.
#[tokio::test]
async fn what_failed_is_concluded_at_the_deadline_without_containerd() {
    for (age, is_over) in [(0, false), (600, true)] {
        let attempts = attempts();
        let mut worker = worker(&attempts);
        worker.hear(Ok(Heard::Unfinished(Vec::new())));
        let mut told = deletion("told");
        told.metadata.creation_timestamp =
            Some(Time(Timestamp::now() - jiff::SignedDuration::from_secs(age)));
        worker.hear(Ok(Heard::New(Box::new(told.clone()))));
        worker.health.lacks(crate::agent::connection::CONTAINERD, "nobody listens");
        assert_eq!(worker.next_job().is_some(), is_over, "{age} s old");
        if !is_over {
            let remains = worker.wakes().unwrap() - Instant::now();
            assert!((590..=600).contains(&remains.as_secs()), "{remains:?}");
        }
    }
}

#[tokio::test]
async fn a_deadline_that_is_later_by_now_is_waited_for() {
    let attempts = attempts();
    let mut worker = worker(&attempts);
    let told = deletion("told");
    worker.hear(Ok(Heard::New(Box::new(told.clone()))));
    let key = key(&told.metadata);
    let rows = [(Ok(Standing::Held), true), (Ok(Standing::Done), false)];
    for (result, is_kept) in rows {
        let case = format!("{result:?}");
        worker.settle_conclusion(key.clone(), Draft::new(false), result);
        assert_eq!(
            (worker.drafts.contains_key(&key), worker.queue.is_open(&key)),
            (is_kept, is_kept),
            "{case}"
        );
    }
}
