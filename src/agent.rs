//! The agent of one node: it hears of `ImageDeletion`s, lets its node carry them out, and reports.
//!
//! One standing watch, of deletions without a status ([`cluster`]); a [`queue`] that says which deletion comes next; an [`attempt`] at it, which
//! ends in a report or is tried again; a [`connection`] to containerd that is made anew whenever it breaks; a [`worker`] that
//! brings these together. What is decided about images is not decided here, and nothing here knows of other nodes.

mod attempt;
mod changed;
mod cluster;
mod connection;
mod did;
mod draft;
mod ending;
mod error;
#[cfg(test)]
mod fixture;
mod known;
mod look;
mod membership;
mod owner;
mod pods;
mod queue;
mod telling;
mod worker;

use std::path::PathBuf;

use kube::Client;
use tokio::sync::OnceCell;
use tokio_util::sync::CancellationToken;

use crate::image::Pattern;
use crate::telemetry::health::Health;
use crate::telemetry::metrics::AgentMetrics;
use attempt::Attempts;
use cluster::Cluster;
use connection::{CONTAINERD, Connection};
use membership::Membership;
use worker::{API_SERVER, Worker};

/// What an agent must be told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The name of its node.
    pub node: String,
    /// The agent's own pod, by namespace and name.
    pub pod: Option<(String, String)>,
    /// The socket of containerd.
    pub address: PathBuf,
    /// The namespace of containerd.
    pub namespace: String,
    /// Images that no one may delete.
    pub protect: Vec<Pattern>,
}

/// The parts without which an agent is not ready.
pub const PARTS: [&str; 2] = [CONTAINERD, API_SERVER];

/// Works until it is cancelled, and then ends what it has begun.
pub async fn run(
    settings: Settings,
    client: Client,
    metrics: AgentMetrics,
    health: Health,
    cancel: CancellationToken,
) {
    let cluster = Cluster::new(client, &settings.node);
    let connection = Connection::keep(settings.address, settings.namespace, health.clone(), metrics.clone());
    let attempts = Attempts {
        membership: Membership::new(cluster.clone()),
        cluster,
        metrics,
        protect: settings.protect,
        pod: settings.pod,
        own: OnceCell::new(),
    };
    Worker::new(&attempts, connection, health).work(cancel).await;
}
