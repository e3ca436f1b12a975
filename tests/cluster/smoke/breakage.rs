//! Parts of the cluster can be stopped and come back.

use crate::bed::{Image, eventually};
use crate::cluster::{Cluster, Pod};
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![Alone: the_api_server_goes_and_comes_back, a_node_without_a_kubelet_is_not_ready,
        a_restart_of_containerd_keeps_pods]
}

async fn the_api_server_goes_and_comes_back(cluster: &Cluster) {
    cluster.api_server().kill();
    let answer = cluster.kubectl_fails(["get", "nodes"]);
    assert!(answer.contains("refused"), "{answer}");
    cluster.api_server().start();
    cluster.await_api().await;
    cluster.kubectl(["get", "nodes"]);
}

async fn a_node_without_a_kubelet_is_not_ready(cluster: &Cluster) {
    cluster.node_b().kubelet.kill();
    cluster.wait("condition=Ready=Unknown", ["node", "node-b"]);
    cluster.node_b().kubelet.start();
    cluster.wait("condition=Ready", ["node", "node-b"]);
}

async fn a_restart_of_containerd_keeps_pods(cluster: &Cluster) {
    let name = "docker.io/smoke/kept:v1";
    cluster.namespace("smoke-kept").await;
    for node in cluster.nodes() {
        node.import(&Image::new(name).layer("kept")).await;
        cluster.run_pod(&Pod::new("smoke-kept", node.name(), name, node));
        node.restart_containerd().await;
        assert!(node.has_image(name).await);
        let exec = ["exec", node.name(), "-n", "smoke-kept", "--", "/bin/busybox", "echo", "here"];
        // The kubelet may not have found its way back to containerd yet.
        eventually("the pod to answer", async || {
            let answer = cluster.kubectl_command(&exec).output().expect("kubectl starts");
            (answer.status.success() && answer.stdout == b"here\n").then_some(())
        })
        .await;
        let restarts = "jsonpath={.status.containerStatuses[0].restartCount}";
        assert_eq!(cluster.kubectl(["get", "pod", node.name(), "-n", "smoke-kept", "-o", restarts]), "0");
    }
}
