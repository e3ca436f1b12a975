//! The reports that an agent may write: of its own node, and only as reports are.

use kube::{Api, ResourceExt};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use secateur::api::report::{ImageDeletionReport, name_of};
use secateur::api::status::Phase;
use serde_json::{Value, json};

use crate::bed::eventually;
use crate::cluster::{Cluster, SECATEUR};
use crate::deletion::condition;
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![Shared: an_agent_reports_for_its_own_node_only, a_token_that_is_of_no_pod_reports_nothing,
        a_token_is_of_the_node_that_it_was_made_for, a_report_goes_with_its_deletion;
        Alone: a_report_that_is_not_understood_keeps_no_deletion_from_its_end,
        a_time_in_managed_fields_keeps_nobody_from_anything]
}

/// UIDs of deletions that there are not, one for each test.
const UIDS: [&str; 4] = [
    "1a1a1a1a-3c55-4a38-9a3f-1f0e2a1b2c3d",
    "2a2a2a2a-3c55-4a38-9a3f-1f0e2a1b2c3d",
    "3a3a3a3a-3c55-4a38-9a3f-1f0e2a1b2c3d",
    "4a4a4a4a-3c55-4a38-9a3f-1f0e2a1b2c3d",
];

/// A report on a deletion, named for one node and about one.
fn report(uid: &str, named_for: &str, node: &str) -> Value {
    let owner = json!({
        "apiVersion": "secateur.dev/v1alpha1", "kind": "ImageDeletion", "name": "access", "uid": uid,
    });
    json!({
        "apiVersion": "secateur.dev/v1alpha1", "kind": "ImageDeletionReport",
        "metadata": {"name": name_of(named_for, uid), "ownerReferences": [owner]},
        "nodeName": node, "imageDeletion": "access", "imageDeletionUid": uid, "generation": 1,
        "outcome": "Absent", "results": [], "startTime": "2026-01-01T00:00:00Z",
    })
}

async fn an_agent_reports_for_its_own_node_only(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let token = cluster.node_a().steal_token("agent").await;
    let report = |named_for, node| report(UIDS[0], named_for, node).to_string();
    cluster.apply_as(&token, &report("node-a", "node-a"));
    let answer = cluster.apply_fails_as(&token, &report("node-b", "node-b"));
    assert!(answer.contains("node-b") && answer.contains("own node"), "{answer}");
    let answer = cluster.apply_fails_as(&token, &report("node-a", "node-b"));
    assert!(answer.contains("own node"), "a report can't be handed to another node: {answer}");
    let answer = cluster.apply_fails_as(&token, &report("node-b", "node-a"));
    assert!(answer.contains("NODE.UID"), "nor can another's name be taken: {answer}");
}

async fn a_token_that_is_of_no_pod_reports_nothing(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let unbound = cluster.kubectl(["create", "token", "secateur-agent", "-n", SECATEUR]);
    let answer = cluster.apply_fails_as(&unbound, &report(UIDS[1], "node-a", "node-a").to_string());
    assert!(answer.contains("names none"), "{answer}");
}

/// Whoever may make tokens of the agents' account chooses the node. Nothing that the chart installs may.
async fn a_token_is_of_the_node_that_it_was_made_for(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let token = ["create", "token", "secateur-agent", "-n", SECATEUR];
    let bound = ["--bound-object-kind", "Node", "--bound-object-name", "node-b"];
    let token = cluster.kubectl([&token[..], &bound].concat());
    let [a, b] = ["node-a", "node-b"].map(|node| report(UIDS[2], node, node).to_string());
    let answer = cluster.apply_fails_as(&token, &a);
    assert!(answer.contains("the agent of node node-b writes reports of its own node only"), "{answer}");
    cluster.apply_as(&token, &b);
    for component in ["agent", "controller"] {
        assert!(!cluster.may(component, "create", "serviceaccounts/token"), "{component}");
    }
}

/// So there are no reports on deletions that there are not, and nobody keeps one from going.
async fn a_report_goes_with_its_deletion(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let token = cluster.node_b().steal_token("agent").await;
    let mut unowned = report(UIDS[3], "node-b", "node-b");
    unowned["metadata"]["ownerReferences"] = json!([]);
    let mut owned_by_another = report(UIDS[3], "node-b", "node-b");
    owned_by_another["metadata"]["ownerReferences"][0]["uid"] = json!(UIDS[0]);
    for report in [unowned, owned_by_another] {
        let answer = cluster.apply_fails_as(&token, &report.to_string());
        assert!(answer.contains("is owned by the ImageDeletion that it is about"), "{answer}");
    }
    let mut kept = report(UIDS[3], "node-b", "node-b");
    kept["metadata"]["finalizers"] = json!(["access.example/kept"]);
    let answer = cluster.apply_fails_as(&token, &kept.to_string());
    assert!(answer.contains("may not change its finalizers"), "{answer}");

    cluster.apply_as(&token, &report(UIDS[3], "node-b", "node-b").to_string());
    let reports: Api<ImageDeletionReport> = Api::all(cluster.client());
    eventually("a report on a deletion that there is not to be collected", async || {
        let name = name_of("node-b", UIDS[3]);
        reports.get_opt(&name).await.expect("the API server answers").is_none().then_some(())
    })
    .await;
}

/// The API server takes a time for one that Rust's calendar has not.
async fn a_report_that_is_not_understood_keeps_no_deletion_from_its_end(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let node = cluster.node_b();
    let token = node.steal_token("agent").await;
    node.signal_agent(Signal::SIGSTOP).await;
    cluster.request("access", json!({"images": ["access/none:v1"], "activeDeadlineSeconds": 10}));
    let uid = cluster.deletion("access").await.uid().unwrap_or_default();
    let mut strange = report(&uid, "node-b", "node-b");
    strange["startTime"] = json!("2026-01-01T00:00:00+99:99");
    cluster.apply_as(&token, &strange.to_string());
    let stored =
        cluster.kubectl(["get", "imgdelrep", &name_of("node-b", &uid), "-o", "jsonpath={.startTime}"]);
    assert_eq!(stored, "2026-01-01T00:00:00+99:99");
    assert!(!cluster.deletion("access").await.is_finished());
    let status = cluster.finished("access").await;
    assert_eq!((status.phase, &*status.nodes_reported), (Phase::Failed, "1/2"));
    let failed = condition(&status, "Failed");
    assert!(failed.reason == "DeadlineExceeded" && failed.message.contains("node-b"), "{failed:?}");
    cluster.kubectl(["delete", "imagedeletion", "access"]);
    node.signal_agent(Signal::SIGCONT).await;
    cluster.deletion_is_gone("access").await;
    let after = cluster.delete("access-after", json!({"images": ["access/none:v1"]})).await;
    assert_eq!(after.phase, Phase::Complete, "{after:#?}");
}

/// Whoever may change an object may write any time there, and the API server takes it.
async fn a_time_in_managed_fields_keeps_nobody_from_anything(cluster: &Cluster) {
    const TIME: &str = "9999-12-31T23:00:00Z";
    let cluster = cluster.with_secateur().await;
    let entry = |version: &str, fields: Value| {
        let entry = json!({
            "manager": "somebody", "operation": "Update", "apiVersion": version, "time": TIME,
            "fieldsType": "FieldsV1", "fieldsV1": fields,
        });
        json!([{"op": "add", "path": "/metadata/managedFields/-", "value": entry}]).to_string()
    };
    let patch = |what: &str, patch: &str| {
        cluster.kubectl(["patch", what, "-n", SECATEUR, "--type=json", "-p", patch]);
        let patched = cluster.kubectl(["get", what, "-n", SECATEUR, "-o", "json", "--show-managed-fields"]);
        assert!(patched.contains(TIME), "{patched}");
    };
    let spec = || json!({"images": ["access/none:v1"]});
    cluster.delete("strange", spec()).await;
    patch("imagedeletion/strange", &entry("secateur.dev/v1alpha1", json!({"f:spec": {"f:images": {}}})));
    // Reports on deletions that there are not go by themselves.
    let of_it = ["get", "imgdelrep", "--field-selector", "imageDeletion=strange", "-o", "name"];
    let (reports, pods) =
        (cluster.kubectl(of_it), cluster.kubectl(["get", "pods", "-n", SECATEUR, "-o", "name"]));
    let (reports, pods): (Vec<&str>, Vec<&str>) = (reports.lines().collect(), pods.lines().collect());
    assert!(reports.len() == 2 && !pods.is_empty(), "{reports:?} {pods:?}");
    reports.iter().for_each(|name| patch(name, &entry("secateur.dev/v1alpha1", json!({"f:outcome": {}}))));
    pods.iter().for_each(|name| patch(name, &entry("v1", json!({"f:spec": {"f:restartPolicy": {}}}))));
    let lease = "lease/secateur-controller";
    patch(lease, &entry("coordination.k8s.io/v1", json!({"f:spec": {"f:leaseTransitions": {}}})));

    let status = cluster.delete("strange-after", spec()).await;
    assert_eq!((status.phase, &*status.nodes_reported), (Phase::Complete, "2/2"), "{status:#?}");
    for node in [cluster.node_a(), cluster.node_b()] {
        node.signal_agent(Signal::SIGKILL).await;
        for pid in node.container_pids(SECATEUR, "controller").await {
            kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it runs");
        }
    }
    let status = cluster.delete("strange-anew", spec()).await;
    assert_eq!(
        (status.phase, &*status.nodes_reported),
        (Phase::Complete, "2/2"),
        "they list all of it: {status:#?}"
    );
    cluster.await_secateur().await;
    // Not every client is as patient, those of other tests are not.
    let forget = json!([{"op": "replace", "path": "/metadata/managedFields", "value": [{}]}]).to_string();
    for patched in pods.into_iter().chain([lease]) {
        cluster.kubectl(["patch", patched, "-n", SECATEUR, "--type=json", "-p", &forget]);
    }
    cluster.kubectl(["delete", "imagedeletion", "strange", "strange-after", "strange-anew"]);
    cluster.kubectl(["delete", "imagedeletionreport", "--all"]);
}
