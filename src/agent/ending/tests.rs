use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Client;
use prometheus::Registry;
use serde_json::{Value, json};
use tokio::time::Instant;
use tower::service_fn;

use super::*;
use crate::agent::did::Did;
use crate::agent::fixture;
use crate::agent::known::Known;
use crate::agent::queue::Key;
use crate::api::report::ImageDeletionReport;
use crate::api::status::{ImageDeletionStatus, Phase};
use crate::node::{EntryResult, Outcome};
use crate::telemetry::metrics::AgentMetrics;

/// What the agent of a test asks, and counts.
struct Bench {
    attempts: Attempts,
    asked: Arc<Mutex<Vec<String>>>,
    created: Arc<Mutex<Vec<Value>>>,
    registry: Registry,
}

impl Bench {
    /// Before an API server that lists no deletion, and has an earlier report of the node or none.
    fn new(has_report: bool) -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&asked);
        let created = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&created);
        let answer = move |request: Request<kube::client::Body>| {
            let (heard, kept) = (Arc::clone(&heard), Arc::clone(&kept));
            async move {
                heard.lock().unwrap().push(request.method().to_string());
                if request.method() == Method::POST {
                    let body = request.into_body().collect_bytes().await.unwrap();
                    kept.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
                    return Ok::<_, Infallible>(Response::new(Body::from(
                        json!({"metadata": {}}).to_string(),
                    )));
                }
                let (status, body) = match *request.method() {
                    Method::PATCH if !has_report => (
                        StatusCode::NOT_FOUND,
                        json!({"kind": "Status", "status": "Failure", "code": 404, "reason": "NotFound", "message": "no"}),
                    ),
                    _ => (StatusCode::OK, json!({"metadata": {}, "items": []})),
                };
                let body = Body::from(body.to_string());
                Ok::<_, Infallible>(Response::builder().status(status).body(body).unwrap())
            }
        };
        let registry = Registry::new();
        let metrics = AgentMetrics::register(&registry).unwrap();
        let attempts = fixture::attempts(Client::new(service_fn(answer), "default"), metrics);
        Self { attempts, asked, created, registry }
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

fn key() -> Key {
    Key { created: Timestamp::MIN, name: "drop".to_owned(), uid: "5f2c".to_owned() }
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

/// What was killed was ended meanwhile, and told in the report.
#[tokio::test]
async fn what_a_recovery_has_reported_is_not_overwritten() {
    let deletion = fixture::deletion("drop", "5f2c");
    for (is_final, requests) in [(true, &["GET"][..]), (false, &["GET", "PATCH"])] {
        let time = Time(Timestamp::UNIX_EPOCH);
        let deleted =
            EntryResult { entry: "app:v1".to_owned(), outcome: Outcome::Deleted, ..EntryResult::default() };
        let told = Did::of(&[deleted]).results;
        let report =
            ImageDeletionReport::of(&deletion, "node-a", told, time.clone(), is_final.then_some(time));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&asked);
        let answer = move |request: Request<kube::client::Body>| {
            heard.lock().unwrap().push(request.method().to_string());
            let body = serde_json::to_string(&report).unwrap();
            std::future::ready(Ok::<_, Infallible>(Response::new(Body::from(body))))
        };
        let metrics = AgentMetrics::register(&Registry::new()).unwrap();
        let attempts = fixture::attempts(Client::new(service_fn(answer), "default"), metrics);
        let mut draft = waiting(&deletion);
        draft.may_have_report = true;
        attempts.end(&mut draft).await.unwrap();
        assert_eq!(*asked.lock().unwrap(), requests, "it is final: {is_final}");
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
    known.unwatch();
    let seen = Instant::now() - Duration::from_secs(30);
    let due = bench.attempts.still_due(&key(), &known, seen, deletion, &mut draft).await.unwrap();
    assert!(due.is_none());
    assert_eq!(
        (&**bench.asked.lock().unwrap(), bench.ended()),
        (&["GET".to_owned(), "PATCH".to_owned()][..], [1, 1])
    );
}

#[tokio::test]
async fn a_node_that_failed_until_the_deadline_says_why() {
    const REFUSED: &str = "leases.Create: no space left on device (Unknown)";
    const AWAY: &str = "no connection to containerd: nobody listens";
    // How old the deletion is, what the last attempt failed for, what stands in the way now, and what is said.
    let rows = [
        (600, Some(REFUSED), None, Standing::Done, Some(REFUSED)),
        (600, None, Some(AWAY), Standing::Done, Some(AWAY)),
        (600, Some(REFUSED), Some(AWAY), Standing::Done, Some(AWAY)),
        (600, None, None, Standing::Done, None),
        (590, Some(REFUSED), None, Standing::Held, None),
    ];
    for (age, failure, hindrance, standing, said) in rows {
        let case = format!("{age} s old, {failure:?}, {hindrance:?}");
        let bench = Bench::new(false);
        let mut deletion = fixture::deletion("drop", "5f2c");
        deletion.metadata.creation_timestamp = Some(Time(Timestamp::now() - SignedDuration::from_secs(age)));
        let mut draft = Draft::new(false);
        draft.failure = failure.map(str::to_owned);
        let (known, hindrance) = (Known::told(deletion), hindrance.map(str::to_owned));
        let found = bench.attempts.give_up(&key(), &known, &mut draft, hindrance).await.unwrap();
        assert_eq!(found, standing, "{case}");
        let created = bench.created.lock().unwrap();
        let told = created.first().map(|report| {
            assert!(report["completionTime"].is_string() && report["outcome"] == "Failed", "{report}");
            report["results"][0]["message"].as_str().unwrap().to_owned()
        });
        let said = said.map(|why| format!("this could not be done before the deadline: {why}"));
        assert_eq!(told, said, "{case}");
    }
}

#[tokio::test]
async fn a_node_that_is_not_selected_says_nothing_of_its_failure() {
    let bench = Bench::new(false);
    let mut deletion = fixture::deletion("drop", "5f2c");
    deletion.metadata.creation_timestamp = Some(Time(Timestamp::now() - SignedDuration::from_secs(600)));
    let labels = json!({"matchLabels": {"pool": "other"}});
    deletion.spec.node_selector = Some(serde_json::from_value(labels).unwrap());
    let mut draft = Draft::new(false);
    draft.failure = Some("away".to_owned());
    let known = Known::told(deletion);
    let standing = bench.attempts.give_up(&key(), &known, &mut draft, None).await.unwrap();
    assert_eq!((standing, bench.created.lock().unwrap().len()), (Standing::Done, 0));
}
