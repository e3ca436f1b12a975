use std::convert::Infallible;
use std::future::ready;

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
