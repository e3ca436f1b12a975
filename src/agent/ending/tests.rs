use std::convert::Infallible;
use std::future::ready;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Client;
use prometheus::Registry;
use serde_json::json;
use tower::service_fn;

use super::*;
use crate::agent::did::Did;
use crate::agent::fixture;
use crate::agent::known::Known;
use crate::agent::look::Seen;
use crate::agent::queue::Key;
use crate::api::status::{ImageDeletionStatus, Phase};
use crate::node::{EntryResult, Outcome};
use crate::telemetry::metrics::AgentMetrics;

/// What the agent of a test asks, and counts.
struct Bench {
    attempts: Attempts,
    asked: Arc<Mutex<Vec<String>>>,
    registry: Registry,
}

impl Bench {
    /// Before an API server that lists no deletion, and has an earlier report of the node or none.
    fn new(has_report: bool) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&asked);
        let answer = move |request: Request<_>| {
            heard.lock().unwrap().push(request.method().to_string());
            let (status, body) = match *request.method() {
                Method::PATCH if !has_report => (
                    StatusCode::NOT_FOUND,
                    json!({"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound", "message": "no"}),
                ),
                _ => (StatusCode::OK, json!({"metadata": {}, "items": []})),
            };
            let body = Body::from(body.to_string());
            ready(Ok::<_, Infallible>(Response::builder().status(status).body(body).unwrap()))
        };
        let registry = Registry::new();
        let metrics = AgentMetrics::register(&registry).unwrap();
        Self {
            attempts: fixture::attempts(Client::new(service_fn(answer), "default"), metrics),
            asked,
            registry,
        }
    }

    /// How many outcomes and durations were counted.
    fn ended(&self) -> [u64; 2] {
        let families = self.registry.gather();
        let metrics = |name: &str| {
            let family = families.iter().find(|family| family.name() == name).unwrap();
            family.get_metric().to_vec()
        };
        let outcomes = metrics("secateur_image_outcomes_total");
        let outcomes: f64 = outcomes.iter().map(|metric| metric.get_counter().get_value()).sum();
        let durations = metrics("secateur_deletion_duration_seconds");
        [outcomes as u64, durations[0].get_histogram().get_sample_count()]
    }
}

/// A draft of a deletion that waits, and has reported.
fn waiting(deletion: &ImageDeletion) -> Draft {
    let mut draft = Draft::new(false);
    let entry = "app:v1".to_owned();
    let held = EntryResult { entry, outcome: Outcome::Conflict, ..EntryResult::default() };
    draft.take_in(Did::of(&[held]));
    draft.reported = draft.listed(deletion);
    draft.see(deletion);
    draft
}

/// At a deadline thousands ask at once, and the controller gives up who is late.
#[tokio::test]
async fn what_waits_is_reported_to_its_end_also_when_the_deletion_is_finished_and_not_when_it_is_gone() {
    for (has_report, ended) in [(true, [1, 1]), (false, [0, 0])] {
        let bench = Bench::new(has_report);
        let mut draft = waiting(&fixture::deletion("drop", "5f2c"));
        bench.attempts.end(&mut draft).await.unwrap();
        assert_eq!(*bench.asked.lock().unwrap(), ["PATCH"], "there is a report: {has_report}");
        assert_eq!(bench.ended(), ended, "there is a report: {has_report}");
    }
}

#[tokio::test]
async fn what_was_never_reported_is_not_when_the_deletion_is_finished() {
    let bench = Bench::new(true);
    let mut draft = Draft::new(false);
    draft.see(&fixture::deletion("drop", "5f2c"));
    bench.attempts.end(&mut draft).await.unwrap();
    assert!(bench.asked.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_deletion_that_is_read_as_finished_is_concluded_and_one_that_is_going_is_not() {
    for (is_going, ended) in [(false, [1, 1]), (true, [0, 0])] {
        let bench = Bench::new(true);
        let mut deletion = fixture::deletion("drop", "5f2c");
        let mut draft = waiting(&deletion);
        deletion.status =
            Some(ImageDeletionStatus { phase: Phase::Complete, ..ImageDeletionStatus::default() });
        deletion.metadata.deletion_timestamp = is_going.then_some(Time(Timestamp::UNIX_EPOCH));
        bench.attempts.conclude(&deletion, &mut draft).await.unwrap();
        assert_eq!(bench.ended(), ended, "it is going: {is_going}");
    }
}

#[tokio::test]
async fn what_was_finished_while_pods_were_listed_is_reported_to_its_end() {
    let bench = Bench::new(true);
    let deletion = fixture::deletion("drop", "5f2c");
    let mut draft = waiting(&deletion);
    let known = Known::told(deletion.clone());
    let seen = Seen::long_ago(&known);
    known.unwatch();
    let key = Key { created: Timestamp::MIN, name: "drop".to_owned(), uid: "5f2c".to_owned() };
    let due = bench.attempts.still_due(&key, &known, &seen, deletion, &mut draft).await.unwrap();
    assert!(due.is_none());
    assert_eq!(
        (&**bench.asked.lock().unwrap(), bench.ended()),
        (&["GET".to_owned(), "PATCH".to_owned()][..], [1, 1])
    );
}
