//! What the token of an agent is good for, in the hands of somebody who has stolen it.

use serde_json::{Value, json};

use crate::bed::eventually;
use crate::cluster::{Cluster, SECATEUR};
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![Shared: an_agents_token_reads_and_reports_and_does_nothing_else, an_agents_token_reads_pods_of_every_node;
        Alone: an_agents_token_ends_with_its_pod]
}

/// The rules of the token in every kind of namespace are these and no others, and the worst of the rest is tried.
async fn an_agents_token_reads_and_reports_and_does_nothing_else(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let thief = cluster.thief(&cluster.node_a().steal_token("agent").await);
    let nobody = cluster.thief(&cluster.kubectl(["create", "token", "default", "-n", SECATEUR]));
    let expected = [
        "/nodes: get",
        "/pods: list watch",
        "secateur.dev/imagedeletionreports: get create patch",
        "secateur.dev/imagedeletions: get list watch",
    ];
    for namespace in [SECATEUR, "kube-system", "default"] {
        let usual = nobody.rights(namespace).await;
        let rights = thief.rights(namespace).await;
        let own: Vec<&String> = rights.difference(&usual).collect();
        assert_eq!(own, expected, "{namespace}");
    }
    thief
        .fails_at(&[
            ("POST", "/apis/secateur.dev/v1alpha1/imagedeletions"),
            ("PATCH", "/apis/secateur.dev/v1alpha1/imagedeletions/any"),
            ("PATCH", "/apis/secateur.dev/v1alpha1/imagedeletions/any/status"),
            ("DELETE", "/apis/secateur.dev/v1alpha1/imagedeletions/any"),
            ("DELETE", "/apis/secateur.dev/v1alpha1/imagedeletionreports/any"),
            ("DELETE", "/apis/secateur.dev/v1alpha1/imagedeletionreports"),
            ("GET", "/api/v1/secrets"),
            ("GET", &format!("/api/v1/namespaces/{SECATEUR}/secrets")),
            ("GET", &format!("/api/v1/namespaces/{SECATEUR}/configmaps")),
            ("POST", &format!("/api/v1/namespaces/{SECATEUR}/pods")),
            ("POST", &format!("/api/v1/namespaces/{SECATEUR}/pods/any/exec?command=sh")),
            ("GET", &format!("/api/v1/namespaces/{SECATEUR}/pods/any/log")),
            ("DELETE", &format!("/api/v1/namespaces/{SECATEUR}/pods/any")),
            ("POST", &format!("/api/v1/namespaces/{SECATEUR}/pods/any/eviction")),
            ("POST", &format!("/api/v1/namespaces/{SECATEUR}/serviceaccounts/secateur-agent/token")),
            ("POST", &format!("/api/v1/namespaces/{SECATEUR}/serviceaccounts/secateur-controller/token")),
            ("PATCH", &format!("/apis/apps/v1/namespaces/{SECATEUR}/daemonsets/secateur-agent")),
            ("PATCH", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/node-b"),
            ("PATCH", "/api/v1/nodes/node-a"),
            ("PATCH", "/api/v1/nodes/node-b/status"),
            ("DELETE", "/api/v1/nodes/node-b"),
            ("GET", "/api/v1/nodes/node-b/proxy/pods"),
            ("POST", "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"),
            ("PATCH", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/imagedeletions.secateur.dev"),
            ("DELETE", "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies/secateur-agent"),
            ("POST", "/apis/certificates.k8s.io/v1/certificatesigningrequests"),
        ])
        .await;
    for (name, value) in [("impersonate-user", "admin"), ("impersonate-user", "system:node:node-a")] {
        let answer = thief.ask_with("GET", "/api/v1/nodes/node-a", Value::Null, &[(name, value)]).await;
        assert!(answer.is_forbidden() && answer.text.contains("impersonate"), "{value}: {answer:?}");
    }
}

/// Not what anyone would wish: RBAC knows no nodes. `docs/security.md` says so.
async fn an_agents_token_reads_pods_of_every_node(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let thief = cluster.thief(&cluster.node_a().steal_token("agent").await);
    let pods = "/api/v1/pods?fieldSelector=spec.nodeName=node-b";
    let answer = thief.ask("GET", pods, Value::Null).await;
    assert!(answer.is_success() && answer.text.contains(r#""nodeName":"node-b""#), "{answer:?}");
    assert!(thief.ask("GET", "/api/v1/nodes/node-b", Value::Null).await.is_success());
    thief
        .fails_at(&[("GET", &format!("/api/v1/namespaces/{SECATEUR}/pods/any")), ("GET", "/api/v1/nodes")])
        .await;
}

async fn an_agents_token_ends_with_its_pod(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let thief = cluster.thief(&cluster.node_a().steal_token("agent").await);
    let (pod, _) = cluster.agent_of(cluster.node_a());
    cluster.kubectl(["delete", "pod", &pod, "-n", SECATEUR]);
    eventually("the API server not to know the token any more", async || {
        let answer = thief.ask("GET", "/api/v1/nodes/node-a", json!(null)).await;
        (answer.status == 401).then_some(())
    })
    .await;
    cluster.await_secateur().await;
}
