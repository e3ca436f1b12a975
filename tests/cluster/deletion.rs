//! The main job: a person applies an `ImageDeletion` and reads in its status what happened on every node.

mod clock;
mod faults;
mod hostile;
mod idle;
mod manners;
mod names;
mod nodes;
mod used;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use secateur::api::result::{Outcome, Record};
use secateur::api::status::{ImageDeletionStatus, Phase};

use crate::bed::{Image, Imported, eventually};
use crate::cluster::{Cluster, Node};
use crate::suite::Test;

pub(crate) fn tests() -> Vec<Test> {
    [
        idle::tests(),
        used::tests(),
        names::tests(),
        manners::tests(),
        nodes::tests(),
        hostile::tests(),
        faults::tests(),
        clock::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Imports `docker.io/<NAME>` on both nodes.
async fn on_both(cluster: &Cluster, name: &str) -> Imported {
    let image = Image::new(format!("docker.io/{name}")).layer(name);
    let [a, b] = cluster.nodes();
    let (imported, _) = tokio::join!(a.import(&image), b.import(&image));
    imported
}

fn untagged(name: &str) -> Record {
    Record::Untagged(name.to_owned())
}

fn deleted(image: &Imported) -> Record {
    Record::Deleted(image.target.to_string())
}

/// What is said of a node in the status.
fn outcome_of(status: &ImageDeletionStatus, node: &str) -> Option<Outcome> {
    status.node_results.iter().find(|result| result.node == node).map(|result| result.outcome)
}

/// Whether each of the checks passes that `docs/examples/leaked-secret.yaml` makes of its deletion, on this one.
fn checks_of_the_example(cluster: &Cluster, name: &str) -> Vec<bool> {
    let example = include_str!("../../docs/examples/leaked-secret.yaml");
    let checks = example.lines().filter_map(|line| line.strip_prefix("#   kubectl wait "));
    checks
        .map(|check| cluster.types(&format!("deletion=imagedeletion/{name}; kubectl wait {check}")))
        .collect()
}

#[track_caller]
fn assert_complete(status: &ImageDeletionStatus) {
    assert_eq!(status.phase, Phase::Complete, "{status:#?}");
    assert_eq!(condition(status, "Complete").status, "True");
    assert_eq!(condition(status, "Failed").status, "False");
}

/// Waits until nothing is left on a node of any deletion: an agent ends what it has there once it has reported.
async fn until_no_lease(node: &Node) {
    eventually("leases to end", async || {
        (!node.leases().await.keys().any(|lease| lease.starts_with("secateur-"))).then_some(())
    })
    .await;
}

#[track_caller]
pub(crate) fn condition<'a>(status: &'a ImageDeletionStatus, kind: &str) -> &'a Condition {
    status.conditions.iter().find(|condition| condition.type_ == kind).expect(kind)
}
