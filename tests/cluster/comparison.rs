//! The same deletion by a pod that is started on each node for it, as other cleaners work.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Pod;
use kube::api::LogParams;
use kube::runtime::wait::await_condition;
use kube::{Api, ResourceExt};
use serde_json::{Value, json};

use crate::bed::Image;
use crate::cluster::{Cluster, Node};
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![Alone: a_deletion_is_quicker_than_a_pod_on_each_node]
}

const ROUNDS: usize = 5;
const NAMESPACE: &str = "comparison";

/// In turns, each from before `kubectl apply` until what happened on both nodes was read. The pods are as quick as pods can be:
/// their image is there, they wait for no scheduler, and no Job makes them.
async fn a_deletion_is_quicker_than_a_pod_on_each_node(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    cluster.namespace(NAMESPACE).await;
    let (mut deletions, mut pods) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let name = format!("comparison/deletion-{round}:v1");
        on_both(cluster, &name).await;
        deletions
            .push(cluster.time_to_complete(&format!("comparison-{round}"), json!({"images": [name]})).await);
        assert_gone(cluster, &name).await;

        let name = format!("comparison/pod-{round}:v1");
        on_both(cluster, &name).await;
        pods.push(time_of_pods(cluster, round, &name).await);
        assert_gone(cluster, &name).await;
    }
    let (deletion, pod) = (median(&mut deletions), median(&mut pods));
    let [deletion_time, pod_time] = [deletion, pod].map(|time| format!("{:.3} s", time.as_secs_f64()));
    eprintln!(
        "medians of {ROUNDS} on two nodes: an ImageDeletion {deletion_time}, a pod on each node {pod_time}"
    );
    assert!(deletion < pod, "{deletions:?} {pods:?}");
}

/// A pod on each node that deletes an image there, until the outcomes were read.
async fn time_of_pods(cluster: &Cluster, round: usize, image: &str) -> Duration {
    let pods: Api<Pod> = Api::namespaced(cluster.client(), NAMESPACE);
    let names = cluster.nodes().each_ref().map(|node| format!("{}-{round}", node.name()));
    let manifests = [0, 1].map(|index| manifest(&names[index], &cluster.nodes()[index], image));
    let begin = Instant::now();
    cluster.apply(&manifests.join("\n---\n"));
    let outcomes = futures::future::join_all(names.iter().map(|name| outcome(&pods, name))).await;
    let time = begin.elapsed();
    assert_eq!(outcomes, ["Deleted", "Deleted"]);
    time
}

/// What a pod says of the image, once it has finished.
async fn outcome(pods: &Api<Pod>, name: &str) -> String {
    let has_finished = |pod: Option<&Pod>| {
        let phase = pod.and_then(|pod| pod.status.as_ref()?.phase.as_deref());
        matches!(phase, Some("Succeeded" | "Failed"))
    };
    let pod = await_condition(pods.clone(), name, has_finished).await.expect("the watch goes on");
    let pod = pod.expect("nobody removes the pod");
    let said = pods.logs(&pod.name_any(), &LogParams::default()).await.expect("the kubelet has the log");
    let said: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"));
    said["results"][0]["outcome"].as_str().unwrap_or_default().to_owned()
}

fn manifest(name: &str, node: &Node, image: &str) -> String {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"namespace": NAMESPACE, "name": name},
        "spec": {
            "nodeName": node.name(),
            "restartPolicy": "Never",
            "containers": [{
                "name": "main",
                "image": "localhost/secateur:dev",
                "imagePullPolicy": "Never",
                "args": ["delete", "--output", "json", "--yes", image],
                "securityContext": {"runAsUser": 0},
                "volumeMounts": [{"name": "containerd", "mountPath": "/run/containerd"}],
            }],
            "volumes": [{"name": "containerd", "hostPath": {"path": "/run/containerd"}}],
        },
    })
    .to_string()
}

async fn on_both(cluster: &Cluster, name: &str) {
    let image = Image::new(format!("docker.io/{name}")).layer(name);
    let [a, b] = cluster.nodes();
    tokio::join!(a.import(&image), b.import(&image));
}

async fn assert_gone(cluster: &Cluster, name: &str) {
    for node in cluster.nodes() {
        assert!(!node.has_image(&format!("docker.io/{name}")).await, "{name} on {}", node.name());
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() / 2]
}
