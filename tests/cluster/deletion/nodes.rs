//! Which nodes a deletion is for, and nodes that do not answer.

use nix::sys::signal::Signal;
use secateur::api::result::Outcome;
use secateur::api::status::Phase;
use serde_json::json;

use super::{assert_complete, checks_of_the_example, condition, on_both, outcome_of};
use crate::bed::eventually;
use crate::cluster::{Cluster, SECATEUR};
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![Shared: only_selected_nodes_delete, a_selector_that_selects_nothing_completes;
        Alone: a_node_without_an_agent_is_counted, a_node_whose_agent_is_being_replaced_is_waited_for, a_node_that_is_no_longer_selected_is_not_waited_for, a_dead_node_is_named_at_the_deadline]
}

async fn only_selected_nodes_delete(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let image = on_both(cluster, "nodes/some:v1").await;
    let expression = json!({"key": "kubernetes.io/hostname", "operator": "NotIn", "values": ["node-a"]});
    let spec = json!({"images": ["nodes/some:v1"], "nodeSelector": {"matchExpressions": [expression]}});
    let status = cluster.delete("nodes-some", spec).await;
    assert_complete(&status);
    assert_eq!((status.nodes.desired, status.nodes.deleted), (1, 1));
    assert!(cluster.node_a().has_image("docker.io/nodes/some:v1").await);
    assert!(cluster.node_b().has_nothing_of(&image).await);
    assert_eq!(cluster.reports("nodes-some").await.into_keys().collect::<Vec<_>>(), ["node-b"]);
}

async fn a_selector_that_selects_nothing_completes(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let spec = json!({"images": ["nodes/none:v1"], "nodeSelector": {"matchLabels": {"nodes": "none"}}});
    let status = cluster.delete("nodes-none", spec).await;
    assert_complete(&status);
    assert_eq!(condition(&status, "Complete").reason, "NoNodes");
}

async fn a_node_without_an_agent_is_counted(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    on_both(cluster, "nodes/bare:v1").await;
    cluster.install_secateur(&["--set", r"agent.nodeSelector.kubernetes\.io/hostname=node-a"]).await;
    let status = cluster.delete("nodes-bare", json!({"images": ["nodes/bare:v1"]})).await;
    assert_complete(&status);
    assert_eq!((status.nodes.desired, status.nodes.deleted, status.nodes.without_agent), (1, 1, 1));
    let message = &condition(&status, "Complete").message;
    assert!(message.contains("1 selected node runs no agent"), "{message}");
    let checks = checks_of_the_example(cluster, "nodes-bare");
    assert_eq!(checks, [true, true, false], "what is not gone from every node does not pass for gone");
    assert!(cluster.node_b().has_image("docker.io/nodes/bare:v1").await);
    cluster.install_secateur(&[]).await;
}

/// For a moment nothing is bound to the node: the old pod is gone, and the next one has only been made for it.
async fn a_node_whose_agent_is_being_replaced_is_waited_for(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let image = on_both(cluster, "nodes/replaced:v1").await;
    let node = cluster.node_b();
    let (old, _) = cluster.agent_of(node);
    cluster.scheduler().kill();
    cluster.kubectl(["delete", "pod", "-n", SECATEUR, &old]);
    let unbound = ["get", "pods", "-n", SECATEUR, "--field-selector", "spec.nodeName=", "-o", "name"];
    eventually("the next agent to be made", async || {
        cluster.kubectl(unbound).contains("agent").then_some(())
    })
    .await;
    cluster.request("nodes-replaced", json!({"images": ["nodes/replaced:v1"]}));
    cluster.status_where("nodes-replaced", "one node reports", |status| status.nodes.reported == 1).await;
    cluster.scheduler().start();
    let status = cluster.finished("nodes-replaced").await;
    assert_complete(&status);
    assert_eq!((status.nodes.desired, status.nodes.deleted, status.nodes.without_agent), (2, 2, 0));
    assert!(node.has_nothing_of(&image).await);
}

async fn a_node_that_is_no_longer_selected_is_not_waited_for(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let image = on_both(cluster, "nodes/moved:v1").await;
    cluster.kubectl(["label", "nodes", "--all", "nodes/pool=old"]);
    let moved = cluster.node_b();
    moved.signal_agent(Signal::SIGSTOP).await;
    let selector = json!({"matchLabels": {"nodes/pool": "old"}});
    cluster.request("nodes-moved", json!({"images": ["nodes/moved:v1"], "nodeSelector": selector}));
    cluster
        .status_where("nodes-moved", "one of two nodes reports", |status| status.nodes_reported == "1/2")
        .await;
    cluster.kubectl(["label", "node", "node-b", "nodes/pool=new", "--overwrite"]);
    let status = cluster.finished("nodes-moved").await;
    moved.signal_agent(Signal::SIGCONT).await;
    assert_complete(&status);
    assert_eq!((status.nodes.desired, status.nodes.deleted), (1, 1));
    assert_complete(&cluster.delete("nodes-after", json!({"images": ["nodes/none:v1"]})).await);
    assert!(cluster.node_a().has_nothing_of(&image).await);
    assert!(moved.has_image("docker.io/nodes/moved:v1").await);
    cluster.kubectl(["label", "nodes", "--all", "nodes/pool-"]);
}

async fn a_dead_node_is_named_at_the_deadline(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    on_both(cluster, "nodes/dead:v1").await;
    let dead = cluster.node_b();
    dead.kubelet.kill();
    dead.signal_agent(Signal::SIGKILL).await;
    let spec = json!({"images": ["nodes/dead:v1"], "activeDeadlineSeconds": 3});
    let status = cluster.delete("nodes-dead", spec).await;
    assert_eq!(status.phase, Phase::Failed);
    assert_eq!((status.nodes.desired, status.nodes.reported), (2, 1));
    assert_eq!(outcome_of(&status, "node-a"), Some(Outcome::Deleted));
    assert_eq!(outcome_of(&status, "node-b"), Some(Outcome::Failed));
    let failed = condition(&status, "Failed");
    assert_eq!(failed.reason, "DeadlineExceeded");
    assert!(failed.message.contains("node-b") && !failed.message.contains("node-a"), "{}", failed.message);
    dead.kubelet.start();
    cluster.await_secateur().await;
    // The agent does what came after it, so it has passed it over.
    assert_complete(&cluster.delete("nodes-after-dead", json!({"images": ["nodes/none:v1"]})).await);
    assert!(dead.has_image("docker.io/nodes/dead:v1").await, "after the deadline no agent acts");
}
