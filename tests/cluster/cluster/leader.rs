//! The replicas of the controller.

use super::Cluster;
use super::secateur::NAMESPACE;

impl Cluster {
    /// Waits until every agent and every replica of the controller is ready.
    pub(crate) async fn await_secateur(&self) {
        for what in ["daemonset/secateur-agent", "deployment/secateur-controller"] {
            self.kubectl(["rollout", "status", what, "--namespace", NAMESPACE, "--timeout", "60s"]);
        }
    }

    /// Kills the replica that leads, as a crash would, and returns its pod's name.
    pub(crate) async fn kill_leader(&self) -> String {
        let holder =
            ["get", "lease", "secateur-controller", "-n", NAMESPACE, "-o", "jsonpath={.spec.holderIdentity}"];
        let leader = self.kubectl(holder);
        let node = self.kubectl(["get", "pod", &leader, "-n", NAMESPACE, "-o", "jsonpath={.spec.nodeName}"]);
        let node = self.nodes().iter().find(|known| known.name() == node).expect("the leader runs on a node");
        node.kill_container(NAMESPACE, "controller").await;
        leader
    }
}
