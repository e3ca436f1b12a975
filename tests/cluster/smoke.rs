//! The bed itself is what the other tests believe it is.

use crate::bed::Image;
use crate::cluster::{Cluster, Pod};
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![Shared: both_nodes_are_ready, a_pod_runs_on_each_node]
}

async fn both_nodes_are_ready(cluster: &Cluster) {
    println!("{}", cluster.kubectl(["get", "nodes", "-o", "wide"]));
}

async fn a_pod_runs_on_each_node(cluster: &Cluster) {
    let image = Image::new("docker.io/smoke/pod:v1").layer("a pod on each node");
    cluster.namespace("smoke-pods").await;
    for node in cluster.nodes() {
        node.import(&image).await;
        cluster.run_pod(&Pod::new("smoke-pods", node.name(), "docker.io/smoke/pod:v1", node));
    }
    println!("{}", cluster.kubectl(["get", "pods", "-A", "-o", "wide"]));
}
