//! Pod Security's profiles and the NetworkPolicy, by the word of the API server.

use serde_json::{Value, json};

use crate::cluster::{Cluster, SECATEUR};
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![Shared: a_restricted_namespace_takes_the_controller, an_agent_needs_a_host_path_and_root_and_nothing_else,
        the_network_policy_is_taken_as_it_is_written]
}

/// What the API server says when the pod of a workload is made in a namespace of a profile.
async fn made_in(cluster: &Cluster, profile: &str, workload: &str, account: &str) -> Result<(), String> {
    let namespace = format!("access-{profile}-{account}");
    cluster.namespace(&namespace).await;
    cluster.kubectl(["create", "serviceaccount", account, "-n", &namespace]);
    let label = format!("pod-security.kubernetes.io/enforce={profile}");
    cluster.kubectl(["label", "namespace", &namespace, &label]);
    let found: Value =
        serde_json::from_str(&cluster.kubectl(["get", workload, "-n", SECATEUR, "-o", "json"])).unwrap();
    let template = &found["spec"]["template"];
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": "any", "namespace": namespace, "labels": template["metadata"]["labels"]},
        "spec": template["spec"],
    });
    cluster.try_dry_run(&pod.to_string()).map(drop)
}

async fn a_restricted_namespace_takes_the_controller(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let made = made_in(cluster, "restricted", "deployment/secateur-controller", "secateur-controller").await;
    assert_eq!(made, Ok(()));
}

async fn an_agent_needs_a_host_path_and_root_and_nothing_else(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let rows = [
        ("baseline", r#"hostPath volumes (volume "containerd")"#),
        (
            "restricted",
            r#"restricted volume types (volume "containerd" uses restricted volume type "hostPath"), runAsNonRoot != true (pod or container "agent" must set securityContext.runAsNonRoot=true), runAsUser=0 (pod must not set runAsUser=0)"#,
        ),
    ];
    for (profile, expected) in rows {
        let said = made_in(cluster, profile, "daemonset/secateur-agent", "secateur-agent").await.unwrap_err();
        let (_, violations) =
            said.split_once(&format!("violates PodSecurity \"{profile}:latest\": ")).expect(&said);
        assert_eq!(violations.trim_end(), expected);
    }
    let made = made_in(cluster, "privileged", "daemonset/secateur-agent", "secateur-agent").await;
    assert_eq!(made, Ok(()));
}

/// Nothing on the test cluster enforces it.
async fn the_network_policy_is_taken_as_it_is_written(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let written = cluster.rendered("network-policy.yaml", "networkPolicy.enabled=true");
    let taken = cluster.dry_run(&written);
    let port = |number: u16, protocol: &str| json!({"port": number, "protocol": protocol});
    let out = [port(443, "TCP"), port(6443, "TCP"), port(53, "UDP"), port(53, "TCP")];
    assert_eq!(taken["spec"]["ingress"], json!([{"ports": [{"port": "metrics", "protocol": "TCP"}]}]));
    assert_eq!(taken["spec"]["egress"], json!([{"ports": out}]));
    let labels = &taken["spec"]["podSelector"]["matchLabels"];
    let selector = format!(
        "app.kubernetes.io/name={},app.kubernetes.io/instance={}",
        labels["app.kubernetes.io/name"].as_str().unwrap(),
        labels["app.kubernetes.io/instance"].as_str().unwrap(),
    );
    let selected = cluster.kubectl(["get", "pods", "-n", SECATEUR, "-l", &selector, "-o", "name"]);
    assert_eq!(selected.lines().count(), 4, "both agents and both controllers: {selected}");
}
