use std::convert::Infallible;
use std::sync::Mutex;

use axum::body::Body;
use axum::http::{self, Method, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::service_fn;

use super::*;
use crate::controller::fixture::Nobody;

/// A Lease as the API server has it.
type Stored = Arc<Mutex<Value>>;

/// An API server that has this Lease, and replaces it by one of the same version.
fn candidate(stored: &Stored) -> Candidate {
    let stored = Arc::clone(stored);
    let answer = move |request: http::Request<kube::client::Body>| {
        let stored = Arc::clone(&stored);
        async move {
            let is_write = request.method() == Method::PUT;
            let body = request.into_body().collect().await.unwrap().to_bytes();
            let mut stored = stored.lock().unwrap();
            let response = match is_write.then(|| serde_json::from_slice::<Value>(&body).unwrap()) {
                Some(written) if version(&written) != version(&stored) => {
                    let refusal =
                        json!({"status": "Failure", "code": 409, "reason": "Conflict", "message": "no"});
                    (StatusCode::CONFLICT, refusal)
                }
                Some(mut written) => {
                    let next = version(&stored).parse::<u64>().unwrap() + 1;
                    written["metadata"]["resourceVersion"] = json!(next.to_string());
                    written["metadata"]["managedFields"] = stored["metadata"]["managedFields"].clone();
                    *stored = written;
                    (StatusCode::OK, stored.clone())
                }
                None => (StatusCode::OK, stored.clone()),
            };
            let (status, body) = response;
            Ok::<_, Infallible>(
                Response::builder().status(status).body(Body::from(body.to_string())).unwrap(),
            )
        }
    };
    let settings = Settings {
        pod_namespace: "secateur".into(),
        pod_name: "me".into(),
        agent_selector: String::new(),
        lease_name: "controller".into(),
    };
    Candidate::new(Client::new(service_fn(answer), "default"), &settings, Arc::new(Nobody))
}

fn version(lease: &Value) -> &str {
    lease["metadata"]["resourceVersion"].as_str().unwrap()
}

fn holder_of(stored: &Stored) -> Value {
    stored.lock().unwrap()["spec"]["holderIdentity"].clone()
}

fn lease(metadata: Value, spec: Value) -> Stored {
    let mut lease = json!({"metadata": {"name": "controller", "resourceVersion": "1"}, "spec": spec});
    lease["metadata"]["managedFields"] = metadata;
    Arc::new(Mutex::new(lease))
}

#[tokio::test]
async fn no_time_in_managed_fields_keeps_a_controller_from_leading() {
    let strange = json!([{"manager": "somebody", "time": "9999-12-31T23:00:00Z"}]);
    let stored = lease(strange, json!({"holderIdentity": ""}));
    let mut candidate = candidate(&stored);
    for renewal in 0..2 {
        assert!(candidate.claim().await.unwrap(), "{renewal}");
    }
    assert_eq!(holder_of(&stored), json!("me"));
    candidate.release().await;
    assert_eq!(holder_of(&stored), Value::Null);
}

#[tokio::test]
async fn a_lease_that_is_not_understood_is_replaced_unless_it_has_changed() {
    let stored = lease(json!([]), json!({"holderIdentity": "other", "renewTime": "9999-12-31T23:00:00Z"}));
    let mut candidate = candidate(&stored);
    assert!(!candidate.claim().await.unwrap(), "another may lead");
    let claim = |found| claimed(found, "me", Timestamp::now());
    let [early, late] = [candidate.read().await.unwrap(), candidate.read().await.unwrap()];
    let (early, late) = (candidate.claimable(early), candidate.claimable(late));
    assert!(candidate.write(claim(early)).await.unwrap());
    assert!(!candidate.write(claim(late)).await.unwrap());
    assert_eq!(holder_of(&stored), json!("me"));
    assert!(candidate.claim().await.unwrap(), "it goes on from what it has written");
}
