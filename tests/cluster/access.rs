//! Who may do what: people, agents, and nobody else.

use secateur::api::report::name_of;
use serde_json::json;

use crate::cluster::{Cluster, SECATEUR, manifest};
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![Shared: an_agent_reports_for_its_own_node_only, an_agent_writes_no_deletion, a_viewer_creates_no_deletion,
        the_controller_writes_only_status]
}

/// A token of the agent's service account, bound to the agent's pod on a node.
fn agent_token(cluster: &Cluster, node: &str) -> String {
    let pods = ["get", "pods", "-n", SECATEUR, "-l", "app.kubernetes.io/component=agent", "--field-selector"];
    let on_node = format!("spec.nodeName={node}");
    let pod = cluster.kubectl([&pods[..], &[&on_node, "-o", "jsonpath={.items[0].metadata.name}"]].concat());
    let arguments = [
        "create",
        "token",
        "secateur-agent",
        "-n",
        SECATEUR,
        "--bound-object-kind",
        "Pod",
        "--bound-object-name",
        &pod,
    ];
    cluster.kubectl(arguments)
}

/// The UID of a deletion that there is not.
const UID: &str = "5f2c1f7e-3c55-4a38-9a3f-1f0e2a1b2c3d";

fn report(name: &str, node: &str) -> String {
    json!({
        "apiVersion": "secateur.dev/v1alpha1", "kind": "ImageDeletionReport", "metadata": {"name": name},
        "nodeName": node, "imageDeletion": "access", "imageDeletionUid": UID, "generation": 1,
        "outcome": "Absent", "results": [], "startTime": "2026-01-01T00:00:00Z",
    })
    .to_string()
}

async fn an_agent_reports_for_its_own_node_only(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let token = agent_token(cluster, "node-a");
    let [own, other] = ["node-a", "node-b"].map(|node| name_of(node, UID));
    cluster.apply_as(&token, &report(&own, "node-a"));
    let answer = cluster.apply_fails_as(&token, &report(&other, "node-b"));
    assert!(answer.contains("node-b") && answer.contains("own node"), "{answer}");
    let answer = cluster.apply_fails_as(&token, &report(&own, "node-b"));
    assert!(answer.contains("own node"), "a report can't be handed to another node: {answer}");
    let answer = cluster.apply_fails_as(&token, &report(&other, "node-a"));
    assert!(answer.contains("NODE.UID"), "nor can another's name be taken: {answer}");
    cluster.kubectl(["delete", "imagedeletionreport", &own]);
    let unbound = cluster.kubectl(["create", "token", "secateur-agent", "-n", SECATEUR]);
    let answer = cluster.apply_fails_as(&unbound, &report(&own, "node-a"));
    assert!(answer.contains("names none"), "a token that is of no pod: {answer}");
}

async fn an_agent_writes_no_deletion(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let token = agent_token(cluster, "node-b");
    let answer =
        cluster.apply_fails_as(&token, &manifest("access-agent", json!({"images": ["access/none:v1"]})));
    assert!(answer.contains("forbidden"), "{answer}");
    for (verb, what) in [
        ("delete", "imagedeletions.secateur.dev"),
        ("patch", "imagedeletions.secateur.dev/status"),
        ("delete", "imagedeletionreports.secateur.dev"),
        ("create", "pods"),
        ("get", "secrets"),
    ] {
        assert!(!cluster.may("agent", verb, what), "{verb} {what}");
    }
}

async fn the_controller_writes_only_status(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    for (verb, what, may) in [
        ("patch", "imagedeletions.secateur.dev/status", true),
        ("delete", "imagedeletions.secateur.dev", true),
        ("create", "imagedeletions.secateur.dev", false),
        ("patch", "imagedeletions.secateur.dev", false),
        ("patch", "imagedeletionreports.secateur.dev", false),
        ("get", "secrets", false),
        ("create", "pods", false),
    ] {
        assert_eq!(cluster.may("controller", verb, what), may, "{verb} {what}");
    }
}

async fn a_viewer_creates_no_deletion(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    for (role, user) in [("view", "viewer"), ("admin", "gardener")] {
        cluster.kubectl(["create", "clusterrolebinding", user, "--clusterrole", role, "--user", user]);
    }
    let deletion = manifest("access-viewer", json!({"images": ["access/none:v1"], "dryRun": true}));
    let answer = cluster.apply_fails_by("viewer", &deletion);
    assert!(answer.contains("forbidden"), "{answer}");
    cluster.kubectl(["get", "imagedeletions", "--as", "viewer"]);
    cluster.apply_by("gardener", &deletion);
    let listed = cluster.kubectl(["get", "imgdel", "access-viewer", "--as", "viewer", "-o", "name"]);
    assert_eq!(listed, "imagedeletion.secateur.dev/access-viewer\n");
}
