//! What the tests of watches and listings work with: one deletion, reports on it, an observer that looks away, and an API server that
//! is a script.

use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Client;
use serde_json::Value;
use tokio::time::sleep;
use tower::service_fn;

use super::observer::{ErrorKind, Observer};
use crate::api::deletion::{ImageDeletion, ImageDeletionSpec};
use crate::api::report::ImageDeletionReport;
use crate::api::status::Phase;

/// A request that is expected, by what its query has, and the lines of its answer.
pub(super) type Exchange = (&'static str, Vec<Value>);

/// An API server that is asked these in turn, each answered after this delay, and one request more that it does not answer.
pub(super) fn api_server(exchanges: Vec<Exchange>, delay: Duration) -> Client {
    let exchanges = Arc::new(Mutex::new(VecDeque::from(exchanges)));
    let answer = move |request: Request<_>| {
        let exchanges = Arc::clone(&exchanges);
        async move {
            let next = exchanges.lock().unwrap().pop_front();
            let Some((expected, lines)) = next else { std::future::pending().await };
            let query = request.uri().query().unwrap_or_default().to_owned();
            assert!(query.contains(expected), "{expected} is asked for, and not {query}");
            sleep(delay).await;
            let lines: String = lines.iter().map(|line| format!("{line}\n")).collect();
            Ok::<_, Infallible>(Response::new(Body::from(lines)))
        }
    };
    Client::new(service_fn(answer), "default")
}

/// Who is told everything and keeps nothing.
pub(super) struct Nobody;

impl Observer for Nobody {
    fn phases(&self, _: &BTreeMap<Phase, usize>) {}

    fn error(&self, _: ErrorKind) {}

    fn ready(&self, _: bool) {}
}

/// The deletion `one`.
pub(super) fn deletion() -> ImageDeletion {
    let mut deletion = ImageDeletion::new("one", ImageDeletionSpec::of(["app:v1"]));
    deletion.metadata.uid = Some("uid-one".into());
    deletion
}

/// The final report of a node on it.
pub(super) fn report(node: &str) -> ImageDeletionReport {
    let time = Time(Timestamp::UNIX_EPOCH);
    ImageDeletionReport::of(&deletion(), node, vec![], time.clone(), Some(time))
}
