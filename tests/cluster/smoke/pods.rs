//! Pods run, and reach what pods reach.

use nix::sys::signal::Signal;

use crate::bed::{Image, eventually};
use crate::cluster::{Cluster, Pod, kubernetes};
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![Shared: a_pod_runs_on_each_node, pods_reach_the_api_server, an_init_container_holds_the_others_back,
        images_are_seen_where_they_are, a_killed_container_starts_again]
}

async fn a_pod_runs_on_each_node(cluster: &Cluster) {
    let image = Image::new("docker.io/smoke/each:v1").layer("each");
    cluster.namespace("smoke-each").await;
    for node in cluster.nodes() {
        node.import(&image).await;
        let pod = Pod::new("smoke-each", node.name(), "docker.io/smoke/each:v1", node)
            .shell("echo I am on $(hostname); exec sleep 1000");
        cluster.run_pod(&pod);

        let namespace = ["--namespace", "smoke-each"];
        let logs = [&["logs", node.name()][..], &namespace].concat();
        assert_eq!(cluster.kubectl(&logs), format!("I am on {}\n", node.name()));
        let exec =
            [&["exec", node.name()][..], &namespace, &["--", "/bin/busybox", "cat", "/proc/1/cmdline"]]
                .concat();
        assert_eq!(cluster.kubectl(&exec), "sleep\x001000\x00");
    }
    let nodes =
        cluster.kubectl(["get", "pods", "-n", "smoke-each", "-o", "jsonpath={.items[*].spec.nodeName}"]);
    assert_eq!(nodes, "node-a node-b");
}

/// With the address, the token and the authority that every pod is given, on a network of its own and on the node's.
async fn pods_reach_the_api_server(cluster: &Cluster) {
    let name = "docker.io/smoke/api:v1";
    cluster.namespace("smoke-api").await;
    for node in cluster.nodes() {
        node.import(&Image::new(name).layer("api")).await;
        let pod = |kind: &str| {
            Pod::new("smoke-api", &format!("{kind}-{}", node.name()), name, node)
                .host_directory(&kubernetes(), "/kubernetes")
                .shell("/kubernetes/kubectl auth whoami")
                .once()
        };
        for pod in [pod("own"), pod("host").host_network()] {
            cluster.create_pod(&pod);
            cluster.wait("jsonpath={.status.phase}=Succeeded", ["pod", pod.name(), "-n", "smoke-api"]);
            let answer = cluster.kubectl(["logs", pod.name(), "-n", "smoke-api"]);
            assert!(answer.contains("system:serviceaccount:smoke-api:default"), "{answer}");
            assert!(answer.contains(node.name()), "{answer}");
        }
    }
    let addresses = "jsonpath={.items[*].status.podIP}";
    let addresses = cluster.kubectl(["get", "pods", "-n", "smoke-api", "-o", addresses]);
    assert!(addresses.contains("10.88.1.") && addresses.contains("10.88.2."), "{addresses}");
}

async fn an_init_container_holds_the_others_back(cluster: &Cluster) {
    let (name, node) = ("docker.io/smoke/init:v1", cluster.node_b());
    node.import(&Image::new(name).layer("init")).await;
    cluster.namespace("smoke-init").await;
    let pod = Pod::new("smoke-init", "slow", name, node).init(name, "sleep 1000");
    cluster.create_pod(&pod);
    cluster.wait(
        "jsonpath={.status.initContainerStatuses[0].started}=true",
        ["pod", "slow", "-n", "smoke-init"],
    );
    let containers = cluster.kubectl([
        "get",
        "pod",
        "slow",
        "-n",
        "smoke-init",
        "-o",
        "jsonpath={.status.containerStatuses[*].state.waiting.reason}",
    ]);
    assert_eq!(containers, "PodInitializing");
    cluster.delete_pod(&pod);
    assert!(cluster.kubectl(["get", "pods", "-n", "smoke-init", "-o", "name"]).is_empty());
}

async fn images_are_seen_where_they_are(cluster: &Cluster) {
    let name = "docker.io/smoke/seen:v1";
    let [here, there] = cluster.nodes();
    let image = here.import(&Image::new(name).layer("seen")).await;
    assert!(here.has_image(name).await && here.has_content(image.config()).await);
    assert!(!there.has_image(name).await && !there.has_content(image.config()).await);
}

async fn a_killed_container_starts_again(cluster: &Cluster) {
    let name = "docker.io/smoke/killed:v1";
    cluster.namespace("smoke-killed").await;
    for node in cluster.nodes() {
        node.import(&Image::new(name).layer("killed")).await;
        cluster.run_pod(&Pod::new("smoke-killed", node.name(), name, node));
        node.signal_container("smoke-killed", "main", Signal::SIGKILL).await;
        let restarts = "jsonpath={.status.containerStatuses[0].restartCount}";
        eventually("the kubelet to start the container again", async || {
            let count = cluster.kubectl(["get", "pod", node.name(), "-n", "smoke-killed", "-o", restarts]);
            (count == "1").then_some(())
        })
        .await;
        cluster.wait("condition=Ready", ["pod", node.name(), "-n", "smoke-killed"]);
    }
}
