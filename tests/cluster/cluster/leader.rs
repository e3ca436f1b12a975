//! The replicas of the controller.

use nix::sys::signal::Signal;

use super::secateur::NAMESPACE;
use super::{Cluster, Node};
use crate::bed::eventually;

/// Replicas of the controller, by the chart's defaults.
const REPLICAS: usize = 2;

impl Cluster {
    /// Waits until every agent and every replica of the controller runs and is ready.
    ///
    /// The nodes are asked first: the API server hears late of containers that were killed.
    pub(crate) async fn await_secateur(&self) {
        eventually("all of Secateur to run", async || {
            let mut controllers = 0;
            for node in self.nodes() {
                if node.container_pids(NAMESPACE, "agent").await.len() != 1 {
                    return None;
                }
                controllers += node.container_pids(NAMESPACE, "controller").await.len();
            }
            (controllers == REPLICAS).then_some(())
        })
        .await;
        for what in ["daemonset/secateur-agent", "deployment/secateur-controller"] {
            self.kubectl(["rollout", "status", what, "--namespace", NAMESPACE, "--timeout", "60s"]);
        }
    }

    /// The pod of the replica that leads, by the Lease.
    pub(crate) fn leader(&self) -> String {
        let holder =
            ["get", "lease", "secateur-controller", "-n", NAMESPACE, "-o", "jsonpath={.spec.holderIdentity}"];
        self.kubectl(holder)
    }

    /// Kills the replica that leads, and the kubelet of its node, which would start it again. Returns the node.
    pub(crate) async fn kill_leader(&self) -> &Node {
        let node = ["get", "pod", &self.leader(), "-n", NAMESPACE, "-o", "jsonpath={.spec.nodeName}"];
        let node = self.kubectl(node);
        let node = self.nodes().iter().find(|known| known.name() == node).expect("the leader runs on a node");
        node.kubelet.kill();
        node.signal_container(NAMESPACE, "controller", Signal::SIGKILL).await;
        node
    }
}
