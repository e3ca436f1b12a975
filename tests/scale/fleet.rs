//! The objects of the nodes and of the agents' pods, made through the API, and a token for each pod.

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::authentication::v1::{BoundObjectReference, TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::{Node, Pod, ServiceAccount};
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client, Config, Resource, ResourceExt};
use serde_json::json;

use crate::cluster::{Cluster, NAMESPACE};

/// Requests that are under way at once while the objects are made.
const CONCURRENCY: usize = 32;
/// How long a token is good for, in seconds: longer than any run.
const TOKEN_SECONDS: i64 = 24 * 3600;

/// An agent that is to be: its node, its pod and its pod's token.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) node: String,
    pub(crate) pod: String,
    pub(crate) token: String,
}

/// The same API server for whoever has this token.
pub(crate) fn with_token(config: &Config, token: &str) -> Config {
    let mut config = config.clone();
    config.auth_info.token = Some(token.to_owned().into());
    config
}

/// Makes nodes, each with the pod that the DaemonSet would make there, running as a kubelet would say.
pub(crate) async fn settle(cluster: &Cluster, count: usize) -> Vec<Place> {
    let client = cluster.client();
    let agents = Api::<DaemonSet>::namespaced(client.clone(), NAMESPACE).get("secateur-agent").await;
    let agents = agents.expect("the chart has a DaemonSet");
    let places = stream::iter(0..count).map(|number| place(client.clone(), &agents, number));
    places.buffer_unordered(CONCURRENCY).try_collect().await.expect("the API server takes nodes and pods")
}

async fn place(client: Client, agents: &DaemonSet, number: usize) -> kube::Result<Place> {
    let node = format!("node-{number:04}.example");
    let nodes: Api<Node> = Api::all(client.clone());
    nodes.create(&PostParams::default(), &node_object(&node)).await?;
    let pods: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let pod = pods.create(&PostParams::default(), &pod_object(agents, &node, number)).await?;
    let (name, uid) = (pod.name_any(), pod.uid());
    pods.patch_status(&name, &PatchParams::default(), &Patch::Merge(status(number))).await?;
    let bound = BoundObjectReference {
        api_version: Some("v1".to_owned()),
        kind: Some("Pod".to_owned()),
        name: Some(name.clone()),
        uid,
    };
    let token = token(client, "secateur-agent", Some(bound)).await?;
    Ok(Place { node, pod: name, token })
}

/// A token of a service account of the chart, perhaps bound to a pod.
pub(crate) async fn token(
    client: Client,
    account: &str,
    bound: Option<BoundObjectReference>,
) -> kube::Result<String> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client, NAMESPACE);
    let spec = TokenRequestSpec {
        bound_object_ref: bound,
        expiration_seconds: Some(TOKEN_SECONDS),
        ..TokenRequestSpec::default()
    };
    let request = TokenRequest { spec: Some(spec), ..TokenRequest::default() };
    let answer = accounts.create_token_request(account, &PostParams::default(), &request).await?;
    Ok(answer.status.and_then(|status| status.token).unwrap_or_default())
}

fn node_object(name: &str) -> Node {
    let labels = [
        ("beta.kubernetes.io/arch", "amd64"),
        ("beta.kubernetes.io/os", "linux"),
        ("kubernetes.io/arch", "amd64"),
        ("kubernetes.io/hostname", name),
        ("kubernetes.io/os", "linux"),
        ("node.kubernetes.io/instance-type", "m6i.2xlarge"),
        ("topology.kubernetes.io/region", "region-1"),
        ("topology.kubernetes.io/zone", "region-1a"),
    ];
    let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    Node {
        metadata: ObjectMeta { name: Some(name.to_owned()), labels: Some(labels), ..ObjectMeta::default() },
        ..Node::default()
    }
}

fn pod_object(agents: &DaemonSet, node: &str, number: usize) -> Pod {
    let template = agents.spec.as_ref().expect("a DaemonSet has a spec").template.clone();
    let mut spec = template.spec.expect("a template has a spec");
    spec.node_name = Some(node.to_owned());
    let mut metadata = template.metadata.unwrap_or_default();
    metadata.name = Some(format!("secateur-agent-{number:05}"));
    metadata.owner_references = agents.controller_owner_ref(&()).map(|owner| vec![owner]);
    Pod { metadata, spec: Some(spec), ..Pod::default() }
}

/// What the kubelet says of a pod that runs.
fn status(number: usize) -> serde_json::Value {
    let now = jiff::Timestamp::from_second(jiff::Timestamp::now().as_second()).expect("a second is a time");
    let condition = |kind: &str| json!({"type": kind, "status": "True", "lastProbeTime": null, "lastTransitionTime": now});
    let kinds = ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];
    let address = format!("10.{}.{}.2", 64 + number / 250, number % 250);
    json!({"status": {
        "phase": "Running",
        "conditions": kinds.map(condition),
        "hostIP": address, "podIP": address, "podIPs": [{"ip": address}], "startTime": now,
        "qosClass": "Burstable",
        "containerStatuses": [{
            "name": "agent", "image": "localhost/secateur:dev",
            "imageID": format!("sha256:{number:064x}"), "containerID": format!("containerd://{number:064x}"),
            "ready": true, "started": true, "restartCount": 0, "lastState": {}, "state": {"running": {"startedAt": now}},
        }],
    }})
}
