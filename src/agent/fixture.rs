//! What the tests of an agent share.

use kube::Client;
use tokio::sync::OnceCell;

use super::attempt::Attempts;
use super::cluster::Cluster;
use super::membership::Membership;
use crate::api::deletion::{ImageDeletion, ImageDeletionSpec};
use crate::telemetry::metrics::AgentMetrics;

/// The parts of the agent of `node-a`, before the API server behind `client`.
pub(super) fn attempts(client: Client, metrics: AgentMetrics) -> Attempts {
    let cluster = Cluster::new(client, "node-a");
    Attempts {
        membership: Membership::new(cluster.clone()),
        cluster,
        metrics,
        protect: Vec::new(),
        pod: None,
        own: OnceCell::new(),
    }
}

/// A deletion of one image.
pub(super) fn deletion(name: &str, uid: &str) -> ImageDeletion {
    let mut deletion = ImageDeletion::new(name, ImageDeletionSpec::of(["app:v1"]));
    deletion.metadata.uid = Some(uid.to_owned());
    deletion
}
