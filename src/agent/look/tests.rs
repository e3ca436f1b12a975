use std::convert::Infallible;
use std::future::ready;
use std::sync::{Arc, Mutex};

use axum::body::Body;
use axum::http::{Request, Response};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Client;
use prometheus::Registry;
use serde_json::json;
use tower::service_fn;

use super::*;
use crate::agent::fixture;
use crate::api::result::{ImageResult, Outcome};
use crate::telemetry::metrics::AgentMetrics;

/// An API server that lists no deletion, and tells by which methods it was asked.
fn attempts() -> (Attempts, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&asked);
    let answer = move |request: Request<_>| {
        heard.lock().unwrap().push(request.method().to_string());
        let none =
            json!({"apiVersion": "secateur.dev/v1alpha1", "kind": "List", "metadata": {}, "items": []});
        ready(Ok::<_, Infallible>(Response::new(Body::from(none.to_string()))))
    };
    let metrics = AgentMetrics::register(&Registry::new()).unwrap();
    (fixture::attempts(Client::new(service_fn(answer), "default"), metrics), asked)
}

/// A deletion that was made so many seconds ago, with a deadline of ten minutes.
fn deletion(age: i64) -> ImageDeletion {
    let mut deletion = fixture::deletion("drop", "5f2c");
    deletion.metadata.creation_timestamp = Some(Time(Timestamp::now() - SignedDuration::from_secs(age)));
    deletion
}

fn key() -> Key {
    Key { created: Timestamp::MIN, name: "drop".to_owned(), uid: "5f2c".to_owned() }
}

#[tokio::test]
async fn what_was_removed_while_pods_were_listed_is_not_done() {
    // Whether it has left the watch, after how long, and how many requests that costs.
    let rows = [(false, 30, 0, true), (true, 9, 0, true), (true, 10, 1, false)];
    for (has_left, seconds, requests, is_due) in rows {
        let case = format!("left: {has_left}, after {seconds} s");
        let (attempts, asked) = attempts();
        let (deletion, mut draft) = (deletion(0), Draft::new(false));
        let known = Known::told(deletion.clone());
        if has_left {
            known.unwatch();
        }
        let seen = Instant::now() - Duration::from_secs(seconds);
        let due = attempts.still_due(&key(), &known, seen, deletion, &mut draft).await.unwrap();
        assert_eq!(due.is_some(), is_due, "{case}");
        assert_eq!(asked.lock().unwrap().len(), requests, "{case}");
    }
}

#[tokio::test]
async fn what_came_to_its_deadline_while_pods_were_listed_is_concluded_and_not_done() {
    for (age, has_reported, is_due, requests) in
        [(590, true, true, &[] as &[&str]), (600, false, false, &[]), (600, true, false, &["PATCH"])]
    {
        let (attempts, asked) = attempts();
        let (deletion, mut draft) = (deletion(age), Draft::new(false));
        let known = Known::told(deletion.clone());
        if has_reported {
            draft.reported = vec![ImageResult {
                image: "app:v1".into(),
                outcome: Outcome::Conflict,
                records: Vec::new(),
                conflicts: Vec::new(),
                reclaimed_bytes: 0,
                message: None,
            }];
        }
        let due = attempts.still_due(&key(), &known, Instant::now(), deletion, &mut draft).await.unwrap();
        assert_eq!(due.is_some(), is_due, "{age} s old");
        assert_eq!(*asked.lock().unwrap(), requests, "{age} s old");
    }
}
