//! Looks all the time whether a container has lost its content.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::RwLock;
use tokio::time::sleep;

use super::NAMESPACE;
use super::ledger::Ledger;
use crate::cluster::{Cluster, Node};

/// The time between two looks at a node.
const PAUSE: Duration = Duration::from_millis(250);

/// What was seen so far.
pub(super) struct Watchman<'a> {
    cluster: &'a Cluster,
    ledger: Arc<Mutex<Ledger>>,
    gate: Arc<RwLock<()>>,
    lost: Mutex<Vec<String>>,
    looks: AtomicUsize,
}

impl<'a> Watchman<'a> {
    pub(super) fn begin(cluster: &'a Cluster, ledger: Arc<Mutex<Ledger>>, gate: Arc<RwLock<()>>) -> Self {
        Self { cluster, ledger, gate, lost: Mutex::default(), looks: AtomicUsize::default() }
    }

    /// Looks until it is dropped.
    pub(super) async fn watch(&self) {
        loop {
            for (index, node) in self.cluster.nodes().iter().enumerate() {
                let _open = self.gate.read().await;
                self.look(index, node).await;
            }
            sleep(PAUSE).await;
        }
    }

    /// A container that runs before and after the look has all of its image.
    async fn look(&self, index: usize, node: &Node) {
        let before = running(node).await;
        if before.is_empty() {
            return;
        }
        let (content, snapshots) = tokio::join!(node.content(), node.snapshots());
        let after = running(node).await;
        let ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let given = ledger.given(index);
        for (container, config) in before.intersection(&after) {
            let Some(image) = given.get(config) else { continue };
            self.looks.fetch_add(1, Ordering::Relaxed);
            let content = image.content().into_iter().filter(|digest| !content.contains_key(digest));
            let layers = image.chain_ids().into_iter().filter(|chain| !snapshots.contains_key(&**chain));
            for digest in content.chain(layers) {
                let lost = format!("{digest} of {} under {container} on {}", image.name, node.name());
                self.lost.lock().unwrap_or_else(PoisonError::into_inner).push(lost);
            }
        }
    }

    pub(super) fn assert_nothing_lost(&self) {
        let lost = self.lost.lock().unwrap_or_else(PoisonError::into_inner);
        assert!(lost.is_empty(), "containers have lost content: {lost:#?}");
    }

    /// Whether anything was looked at.
    pub(super) fn has_looked(&self) -> bool {
        self.looks.load(Ordering::Relaxed) > 0
    }

    /// How much was looked at.
    pub(super) fn told(&self) -> String {
        format!("{} looks at the content of running containers", self.looks.load(Ordering::Relaxed))
    }
}

/// The running containers of the soak's pods, with the configs of their images.
async fn running(node: &Node) -> BTreeSet<(String, String)> {
    let containers = node.running_containers(&[("io.kubernetes.pod.namespace", NAMESPACE)]).await;
    let of = |container: k8s_cri::v1::Container| {
        let image = if container.image_id.is_empty() { container.image_ref } else { container.image_id };
        (container.id, image)
    };
    containers.into_iter().map(of).collect()
}
