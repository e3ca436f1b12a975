//! The standing connection to containerd: made again whenever it breaks, with a growing delay.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::backoff::Backoff;
use crate::image::Pattern;
use crate::node::{CallError, Node};
use crate::telemetry::health::Health;
use crate::telemetry::metrics::AgentMetrics;

/// What `readyz` calls it.
pub const CONTAINERD: &str = "containerd";
/// The longest time between two attempts to connect.
const LONGEST: Duration = Duration::from_secs(5);

/// A connection that stands: a node, and what belongs to this very connection.
#[derive(Debug, Clone)]
pub struct Link {
    /// The node.
    pub node: Arc<Node>,
    /// What protects the image of its pod sandboxes, which must stay.
    pub sandbox: Vec<Pattern>,
    /// Which connection it is: they are counted from 1.
    pub number: u64,
}

/// Keeps a connection until it is dropped.
#[derive(Debug)]
pub struct Connection {
    link: watch::Receiver<Option<Link>>,
    news: Arc<Notify>,
    keeper: JoinHandle<()>,
}

impl Connection {
    /// Begins to connect to the containerd at `address`, and tells `health` whether it is there.
    pub fn keep(address: PathBuf, namespace: String, health: Health, metrics: AgentMetrics) -> Self {
        let (sender, link) = watch::channel(None);
        let news = Arc::new(Notify::new());
        let keeper = Keeper { address, namespace, health, metrics, sender, news: Arc::clone(&news) };
        Self { link, news, keeper: tokio::spawn(keeper.keep()) }
    }

    /// The connection, if there is one now.
    pub fn link(&self) -> Option<Link> {
        self.link.borrow().clone()
    }

    /// Returns when something may have let go of an image, or has while there was no connection.
    pub async fn news(&self) {
        self.news.notified().await;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

struct Keeper {
    address: PathBuf,
    namespace: String,
    health: Health,
    metrics: AgentMetrics,
    sender: watch::Sender<Option<Link>>,
    news: Arc<Notify>,
}

impl Keeper {
    async fn keep(self) {
        let mut backoff = Backoff::up_to(LONGEST);
        let mut number = 0;
        loop {
            match Node::connect(&self.address, &self.namespace).await {
                Ok(node) => {
                    number += 1;
                    let lost = self.hold(node, number).await;
                    if self.sender.borrow().is_some() {
                        backoff = Backoff::up_to(LONGEST);
                    }
                    self.complain(&lost);
                }
                Err(error) => self.complain(&error),
            }
            self.sender.send_replace(None);
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    fn complain(&self, error: &(dyn Error + 'static)) {
        tracing::warn!(error, "no connection to containerd");
        self.metrics.error("containerd");
        self.health.lacks(CONTAINERD, error);
    }

    /// Holds a connection until it breaks, and says why it did.
    async fn hold(&self, node: Node, number: u64) -> CallError {
        let node = Arc::new(node);
        let (mut releases, sandbox) = match tokio::try_join!(node.releases(), node.sandbox_image()) {
            Ok(both) => both,
            Err(error) => return error,
        };
        if sandbox.is_empty() {
            tracing::info!(
                "the CRI names no image of pod sandboxes: containerd pins it, or it is protected by the rules only"
            );
        }
        tracing::info!(address = %self.address.display(), "connected to containerd");
        self.sender.send_replace(Some(Link { node, sandbox, number }));
        self.health.has(CONTAINERD);
        self.news.notify_one();
        loop {
            match releases.next().await {
                Ok(()) => self.news.notify_one(),
                Err(error) => return error,
            }
        }
    }
}
