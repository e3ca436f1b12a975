use std::convert::Infallible;
use std::future::ready;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode};
use kube::Client;
use prometheus::Registry;
use serde_json::{Value, json};
use tower::service_fn;

use super::*;
use crate::agent::fixture;
use crate::image::Removal;
use crate::node::{self, EntryResult};
use crate::telemetry::metrics::AgentMetrics;

/// An API server that has one deletion and takes no report, or any.
fn attempts(metrics: &AgentMetrics, takes: bool) -> Attempts {
    let answer = move |request: Request<_>| {
        let (status, body) = match (request.method(), request.uri().path()) {
            (&Method::GET, path) if path.ends_with("/imagedeletions/drop") => {
                (StatusCode::OK, json!(fixture::deletion("drop", "5f2c")))
            }
            (&Method::POST, _) if takes => (StatusCode::CREATED, json!({"metadata": {}})),
            (&Method::POST, _) => (StatusCode::UNPROCESSABLE_ENTITY, refusal(422, "Invalid")),
            _ => (StatusCode::NOT_FOUND, refusal(404, "NotFound")),
        };
        let response = Response::builder().status(status).body(Body::from(body.to_string())).unwrap();
        ready(Ok::<_, Infallible>(response))
    };
    fixture::attempts(Client::new(service_fn(answer), "default"), metrics.clone())
}

fn refusal(code: u16, reason: &str) -> Value {
    json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": "no"})
}

fn recovered(owner: &str) -> Recovered {
    let result = EntryResult {
        entry: "app:v1".to_owned(),
        outcome: node::Outcome::Deleted,
        removals: vec![Removal::Deleted(format!("sha256:{}", "a".repeat(64)).parse().unwrap())],
        ..EntryResult::default()
    };
    Recovered { owner: owner.to_owned(), results: vec![result] }
}

fn counted(registry: &Registry, name: &str) -> f64 {
    let families = registry.gather().into_iter();
    let counted = families.filter(|family| family.name() == name);
    counted
        .flat_map(|family| family.get_metric().to_vec())
        .map(|metric| metric.get_counter().get_value())
        .sum()
}

#[tokio::test]
async fn what_is_found_again_after_a_report_that_was_not_taken_is_counted_once() {
    let all = [recovered(""), recovered("drop/5f2c")];
    let registry = Registry::new();
    let metrics = AgentMetrics::register(&registry).unwrap();
    for _ in 0..3 {
        let refused = attempts(&metrics, false);
        let refusal = refused.report_recovered(&all, None).await.unwrap_err();
        assert!(refusal.to_string().contains("write the ImageDeletionReport"), "{refusal}");
    }
    let taken = attempts(&metrics, true);
    let others = taken.report_recovered(&all, None).await.unwrap();
    let deleted = || counted(&registry, "secateur_images_deleted_total");
    assert_eq!(deleted(), 1.0, "that of the deletion, which was reported");
    taken.count(&others);
    assert_eq!(deleted(), 2.0);
}

#[tokio::test]
async fn what_an_attempt_did_without_anything_new_to_say_is_counted_and_not_kept() {
    let registry = Registry::new();
    let attempts = attempts(&AgentMetrics::register(&registry).unwrap(), true);
    let (deletion, mut draft) = (fixture::deletion("drop", "5f2c"), Draft::new(false));
    for tries in [1.0, 2.0, 3.0] {
        let held = EntryResult {
            entry: "app:v1".to_owned(),
            outcome: node::Outcome::Conflict,
            put_back: 1,
            ..EntryResult::default()
        };
        draft.take_in(Did::of(&[held]));
        attempts.report(&deletion, &mut draft, Standing::Held).await.unwrap();
        assert!(draft.uncounted.results.is_empty(), "{:?}", draft.uncounted);
        assert_eq!(counted(&registry, "secateur_rollbacks_total"), tries);
    }
}

#[tokio::test]
async fn what_a_dry_run_foretells_is_no_outcome() {
    for dry_run in [true, false] {
        let registry = Registry::new();
        let attempts = attempts(&AgentMetrics::register(&registry).unwrap(), true);
        let (mut deletion, mut draft) = (fixture::deletion("drop", "5f2c"), Draft::new(false));
        deletion.spec.dry_run = dry_run;
        let failed = EntryResult { outcome: node::Outcome::Failed, ..EntryResult::default() };
        draft.add(Did::of(&[failed]).results);
        attempts.report(&deletion, &mut draft, Standing::Done).await.unwrap();
        let outcomes = counted(&registry, "secateur_image_outcomes_total");
        assert_eq!(outcomes, if dry_run { 0.0 } else { 1.0 }, "dry run: {dry_run}");
    }
}

/// An API server that has a report already, and keeps what replaces it.
fn having(report: &ImageDeletionReport, metrics: &AgentMetrics) -> (Attempts, Arc<Mutex<Vec<Value>>>) {
    let (there, replaced) = (json!(report), Arc::new(Mutex::new(Vec::new())));
    let kept = Arc::clone(&replaced);
    let answer = move |request: Request<kube::client::Body>| {
        let (there, kept) = (there.clone(), Arc::clone(&kept));
        async move {
            let (status, body) = match *request.method() {
                Method::POST => (StatusCode::CONFLICT, refusal(409, "AlreadyExists")),
                Method::GET if request.uri().path().ends_with("/imagedeletions/drop") => {
                    (StatusCode::OK, json!(fixture::deletion("drop", "5f2c")))
                }
                Method::GET => (StatusCode::OK, there),
                _ => {
                    let body = request.into_body().collect_bytes().await.unwrap();
                    kept.lock().unwrap().push(serde_json::from_slice(&body).unwrap());
                    (StatusCode::OK, json!({"metadata": {}}))
                }
            };
            let body = Body::from(body.to_string());
            Ok::<_, Infallible>(Response::builder().status(status).body(body).unwrap())
        }
    };
    (fixture::attempts(Client::new(service_fn(answer), "default"), metrics.clone()), replaced)
}

/// Two live beside each other where a pod was removed by force, or the DaemonSet has another name.
#[tokio::test]
async fn what_another_agent_of_the_node_has_reported_is_not_lost() {
    use node::Outcome::*;
    let result = |outcome| {
        let removals = match outcome {
            Deleted => recovered("").results[0].removals.clone(),
            _ => Vec::new(),
        };
        EntryResult { entry: "app:v1".to_owned(), outcome, removals, ..EntryResult::default() }
    };
    let at = |second| Time(jiff::Timestamp::from_second(second).unwrap());
    // What the other has reported, and whether it was final; what came of it here; what replaces the report, and how often an outcome
    // is counted.
    let rows = [
        ("the other has ended it", Deleted, true, Absent, None, 0.0),
        ("it was written here, and the answer was lost", Deleted, true, Deleted, None, 1.0),
        ("the other waits", Conflict, false, Deleted, Some("Deleted"), 1.0),
        ("the other waits for less", Deleted, false, Absent, Some("Deleted"), 1.0),
        ("the other has ended it, and more was removed here", Absent, true, Deleted, Some("Deleted"), 0.0),
    ];
    for (case, theirs, is_final, ours, replaced_by, outcomes) in rows {
        let registry = Registry::new();
        let metrics = AgentMetrics::register(&registry).unwrap();
        let deletion = fixture::deletion("drop", "5f2c");
        let told = Did::of(&[result(theirs)]).results;
        let earlier = ImageDeletionReport::of(&deletion, "node-a", told, at(1), is_final.then(|| at(2)));
        let (attempts, replaced) = having(&earlier, &metrics);
        let mut draft = Draft::new(false);
        draft.take_in(Did::of(&[result(ours)]));
        let standing = attempts.report(&deletion, &mut draft, Standing::Done).await.unwrap();
        assert_eq!(standing, Standing::Done, "{case}");
        let replaced = replaced.lock().unwrap();
        let outcome = replaced.first().map(|report| report["results"][0]["outcome"].as_str().unwrap());
        assert_eq!(outcome, replaced_by, "{case}");
        for report in replaced.iter() {
            let times = (report["startTime"].as_str().unwrap(), report["completionTime"].is_string());
            assert_eq!(times, ("1970-01-01T00:00:01Z", true), "{case}");
        }
        assert_eq!(counted(&registry, "secateur_image_outcomes_total"), outcomes, "{case}");
        let removed = f64::from(u8::from(ours == Deleted));
        assert_eq!(counted(&registry, "secateur_images_deleted_total"), removed, "{case}");
    }
}

#[tokio::test]
async fn an_agent_that_waits_is_done_where_another_of_its_node_was() {
    let registry = Registry::new();
    let deletion = fixture::deletion("drop", "5f2c");
    let time = Time(jiff::Timestamp::UNIX_EPOCH);
    let earlier = ImageDeletionReport::of(&deletion, "node-a", Vec::new(), time.clone(), Some(time));
    let (attempts, replaced) = having(&earlier, &AgentMetrics::register(&registry).unwrap());
    let mut draft = Draft::new(false);
    let held = EntryResult { outcome: node::Outcome::Conflict, ..EntryResult::default() };
    draft.add(Did::of(&[held]).results);
    let standing = attempts.report(&deletion, &mut draft, Standing::Held).await.unwrap();
    assert_eq!((standing, replaced.lock().unwrap().len()), (Standing::Done, 0));
}

/// What could not be ended on the node before the deadline is found when it can be.
#[tokio::test]
async fn what_was_removed_of_an_entry_that_was_given_up_is_added_to_the_report() {
    let time = Time(jiff::Timestamp::UNIX_EPOCH);
    use node::Outcome::{Absent, Conflict, Failed};
    for (outcome, replaced_by) in [(Failed, Some("Deleted")), (Conflict, Some("Deleted")), (Absent, None)] {
        let registry = Registry::new();
        let metrics = AgentMetrics::register(&registry).unwrap();
        let given_up = EntryResult { entry: "app:v1".to_owned(), outcome, ..EntryResult::default() };
        let told = Did::of(&[given_up]).results;
        let deletion = fixture::deletion("drop", "5f2c");
        let report = ImageDeletionReport::of(&deletion, "node-a", told, time.clone(), Some(time.clone()));
        let (attempts, replaced) = having(&report, &metrics);
        attempts.report_recovered(&[recovered("drop/5f2c")], None).await.unwrap();
        let replaced = replaced.lock().unwrap();
        let found = replaced.first().map(|report| {
            assert!(report["completionTime"].is_string(), "{report}");
            report["results"][0]["outcome"].as_str().unwrap()
        });
        assert_eq!(found, replaced_by, "{outcome:?}");
        assert_eq!(counted(&registry, "secateur_image_outcomes_total"), 0.0, "it was counted: {outcome:?}");
    }
}
