//! What the token of a controller is good for, in the hands of somebody who has stolen it.

use serde_json::{Value, json};

use crate::cluster::{Cluster, SECATEUR, Thief, manifest};
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![Shared: a_controllers_token_writes_status_and_does_little_else,
        a_controllers_token_can_lie_in_a_status_and_remove_a_deletion]
}

async fn thief(cluster: &Cluster) -> Thief {
    let name = ["get", "pod", &cluster.leader(), "-n", SECATEUR, "-o", "jsonpath={.spec.nodeName}"];
    let name = cluster.kubectl(name);
    let node = cluster.nodes().iter().find(|node| node.name() == name).expect("the leader runs on a node");
    cluster.thief(&node.steal_token("controller").await)
}

async fn a_controllers_token_writes_status_and_does_little_else(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let thief = thief(cluster).await;
    let nobody = cluster.thief(&cluster.kubectl(["create", "token", "default", "-n", SECATEUR]));
    let everywhere = [
        "/nodes: list watch",
        "secateur.dev/imagedeletionreports: list watch",
        "secateur.dev/imagedeletions/status: patch",
        "secateur.dev/imagedeletions: list watch delete",
    ];
    let at_home = [
        "/pods: list watch",
        "coordination.k8s.io/leases secateur-controller: get update",
        "coordination.k8s.io/leases: create",
    ];
    let of_events = ["events.k8s.io/events: create"];
    for (namespace, more) in [(SECATEUR, &at_home[..]), ("default", &of_events), ("kube-system", &[])] {
        let usual = nobody.rights(namespace).await;
        let rights = thief.rights(namespace).await;
        let own: Vec<&str> = rights.difference(&usual).map(String::as_str).collect();
        let mut expected = [&everywhere, more].concat();
        expected.sort_unstable();
        assert_eq!(own, expected, "{namespace}");
    }
    thief
        .fails_at(&[
            ("POST", "/apis/secateur.dev/v1alpha1/imagedeletions"),
            ("PATCH", "/apis/secateur.dev/v1alpha1/imagedeletions/any"),
            ("POST", "/apis/secateur.dev/v1alpha1/imagedeletionreports"),
            ("PATCH", "/apis/secateur.dev/v1alpha1/imagedeletionreports/any"),
            ("DELETE", "/apis/secateur.dev/v1alpha1/imagedeletionreports/any"),
            ("GET", "/api/v1/secrets"),
            ("GET", &format!("/api/v1/namespaces/{SECATEUR}/secrets")),
            ("GET", "/api/v1/pods"),
            ("POST", &format!("/api/v1/namespaces/{SECATEUR}/pods")),
            ("POST", &format!("/api/v1/namespaces/{SECATEUR}/pods/any/exec?command=sh")),
            ("POST", &format!("/api/v1/namespaces/{SECATEUR}/serviceaccounts/secateur-agent/token")),
            ("PATCH", &format!("/apis/apps/v1/namespaces/{SECATEUR}/deployments/secateur-controller")),
            ("PUT", &format!("/apis/coordination.k8s.io/v1/namespaces/{SECATEUR}/leases/other")),
            (
                "DELETE",
                &format!("/apis/coordination.k8s.io/v1/namespaces/{SECATEUR}/leases/secateur-controller"),
            ),
            ("POST", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases"),
            ("PUT", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/node-b"),
            ("POST", "/apis/events.k8s.io/v1/namespaces/kube-system/events"),
            ("PATCH", "/api/v1/nodes/node-a"),
            ("DELETE", "/api/v1/nodes/node-b"),
            ("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"),
        ])
        .await;
    let root = [("impersonate-user", "admin")];
    let answer = thief.ask_with("GET", "/api/v1/nodes/node-a", Value::Null, &root).await;
    assert!(answer.is_forbidden() && answer.text.contains("impersonate"), "{answer:?}");
}

/// Not what anyone would wish, but the work of a controller. `docs/security.md` says so.
async fn a_controllers_token_can_lie_in_a_status_and_remove_a_deletion(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let thief = thief(cluster).await;
    cluster.apply(&manifest("access-lie", json!({"images": ["access/none:v1"]})));
    cluster.finished("access-lie").await;
    let path = "/apis/secateur.dev/v1alpha1/imagedeletions/access-lie";
    let lie = json!({"status": {"reclaimedBytes": 1}, "spec": {"force": true}});
    let answer = thief.ask("PATCH", &format!("{path}/status"), lie).await;
    assert!(answer.is_success(), "{answer:?}");
    let deletion = cluster.deletion("access-lie").await;
    assert!(!deletion.spec.force, "what is to be deleted is not part of a status");
    assert!(thief.ask("DELETE", path, json!({})).await.is_success());
    cluster.deletion_is_gone("access-lie").await;
}
