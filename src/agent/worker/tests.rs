use std::convert::Infallible;
use std::future::pending;

use axum::body::Body;
use axum::http::{Request, Response};
use kube::Client;
use kube::core::PartialObjectMetaExt;
use prometheus::Registry;
use tokio::sync::OnceCell;
use tower::service_fn;

use super::*;
use crate::agent::cluster::Cluster;
use crate::agent::membership::Membership;
use crate::api::deletion::{ImageDeletion, ImageDeletionSpec};
use crate::telemetry::metrics::AgentMetrics;

/// An agent's parts, with an API server that does not answer.
fn attempts() -> Attempts {
    let silent = |_: Request<_>| pending::<Result<Response<Body>, Infallible>>();
    let cluster = Cluster::new(Client::new(service_fn(silent), "default"), "node-a");
    Attempts {
        membership: Membership::new(cluster.clone()),
        cluster,
        metrics: AgentMetrics::register(&Registry::new()).unwrap(),
        protect: Vec::new(),
        pod: None,
        own: OnceCell::new(),
    }
}

fn deletion(name: &str) -> ImageDeletion {
    let mut deletion = ImageDeletion::new(name, ImageDeletionSpec::of(["app:v1"]));
    deletion.metadata.uid = Some(format!("uid-of-{name}"));
    deletion
}

#[tokio::test]
async fn what_was_told_before_the_watch_began_anew_is_read_again() {
    let attempts = attempts();
    let health = Health::missing([API_SERVER]);
    let nowhere = "/nowhere/containerd.sock".into();
    let connection = Connection::keep(
        nowhere,
        "k8s.io".into(),
        health.clone(),
        AgentMetrics::register(&Registry::new()).unwrap(),
    );
    let mut worker = Worker::new(&attempts, connection, health);
    let (stays, goes) = (deletion("stays"), deletion("goes"));
    for deletion in [&stays, &goes] {
        worker.hear(Ok(Heard::New(Box::new(deletion.clone()))));
        assert!(worker.known[&key(deletion)].current().is_some());
    }

    worker.hear(Ok(Heard::Unfinished(vec![stays.metadata.clone().into_response_partial()])));
    let known = &worker.known[&key(&stays)];
    assert!(known.current().is_none() && known.last().is_some());
    assert!(!worker.known.contains_key(&key(&goes)));

    worker.hear(Ok(Heard::New(Box::new(stays.clone()))));
    assert!(worker.known[&key(&stays)].current().is_some(), "it was told of again");
}
