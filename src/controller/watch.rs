//! The watches: of deletions, nodes and agents' pods, and of [reports](super::news).
//!
//! Each object is trimmed as it comes in. A watch that breaks off is opened again where it was, and what was missed comes
//! as a new list where the API server no longer knows it.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ApiResource, PartialObjectMeta};
use kube::core::Object;
use kube::runtime::WatchStreamExt;
use kube::runtime::utils::ResetTimerBackoff;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;
use tracing::warn;

use super::Settings;
use super::agents::AgentPod;
use super::attempts::pauses;
use super::change::Change;
use super::cluster::Node;
use super::failure::Failure;
use super::ledger::Seen;
use super::listings::Number;
use super::news::{News, Newsroom};
use super::observer::{ErrorKind, Observer};
use super::settled::Settled;
use super::uid::Uid;
use crate::api::aggregate::Reports;
use crate::api::deletion::ImageDeletion;
use crate::lenient::Lenient;

/// The nodes or pods in one page of a list.
const SMALL: u32 = 500;
/// The deletions in one: a status may have 64 KiB, and a page is in memory as a whole.
const LARGE: u32 = 100;
/// After so long without an error a pause is short again.
const CALM: Duration = Duration::from_secs(30);

/// What a watch tells the ledger.
#[derive(Debug)]
pub(super) enum Input {
    /// Of the deletions.
    Deletions(Change<Seen>),
    /// Of the nodes.
    Nodes(Change<Node>),
    /// Of the agents' pods.
    Agents(Change<AgentPod>),
    /// Of reports.
    News(News),
    /// Of the reports on one deletion, as they were listed.
    Listed(Uid, Number, Reports),
}

/// Every watch that is open. They end with it.
pub(super) struct Watches {
    inputs: Sender<Input>,
    observer: Arc<dyn Observer>,
    tasks: JoinSet<()>,
}

impl Watches {
    /// Opens them. What they tell goes to `inputs`.
    pub(super) fn open(
        client: Client,
        settings: &Settings,
        inputs: Sender<Input>,
        observer: Arc<dyn Observer>,
    ) -> Self {
        let mut watches = Self { inputs, observer, tasks: JoinSet::new() };
        let deletions = Api::<Lenient<ImageDeletion>>::all(client.clone());
        watches.follow(deletions, pages(LARGE), Input::Deletions);
        let nodes = Api::<Lenient<PartialObjectMeta<v1::Node>>>::all(client.clone());
        watches.follow(nodes, pages(SMALL), Input::Nodes);
        let pods =
            Api::<Lenient<Pod>>::namespaced_with(client.clone(), &settings.pod_namespace, &pod_resource());
        let of_agents = pages(SMALL).labels(&settings.agent_selector);
        watches.follow(pods, of_agents, Input::Agents);
        let news = Newsroom::new(client, watches.inputs.clone(), Arc::clone(&watches.observer));
        watches.tasks.spawn(news.run());
        watches
    }

    fn follow<K, T>(
        &mut self,
        api: Api<Lenient<K>>,
        config: watcher::Config,
        input: impl Fn(Change<T>) -> Input + Send + 'static,
    ) where
        K: Resource + Clone + std::fmt::Debug + DeserializeOwned + Send + 'static,
        T: View<K> + Send + 'static,
    {
        let (inputs, observer) = (self.inputs.clone(), Arc::clone(&self.observer));
        self.tasks.spawn(async move {
            let backoff = ResetTimerBackoff::new(pauses(), CALM);
            let mut events = pin!(watcher(api, config).backoff(backoff));
            let mut listed = Vec::new();
            while let Some(event) = events.next().await {
                let change = match event {
                    Ok(Event::Init) => {
                        listed = Vec::new();
                        continue;
                    }
                    Ok(Event::InitApply(object)) => {
                        listed.extend(object.understood().map(T::of));
                        continue;
                    }
                    Ok(Event::InitDone) => Change::Listed(std::mem::take(&mut listed)),
                    Ok(Event::Apply(object)) => {
                        let Some(object) = object.understood() else { continue };
                        Change::Applied(T::of(object))
                    }
                    Ok(Event::Delete(object)) => Change::Gone(T::key(object.meta())),
                    Err(error) => {
                        let error = Failure::from(error);
                        warn!(watched = T::NAME, %error, "watch broke off, it is opened again");
                        observer.error(ErrorKind::Watch);
                        continue;
                    }
                };
                if inputs.send(input(change)).await.is_err() {
                    return;
                }
            }
        });
    }
}

fn pages(objects: u32) -> watcher::Config {
    watcher::Config::default().page_size(objects)
}

/// What is kept of an object.
trait View<K> {
    /// What it is, for the log.
    const NAME: &str;

    /// What matters of it.
    fn of(object: K) -> Self;

    /// What it is known by when it goes.
    fn key(object: &ObjectMeta) -> String;
}

impl View<ImageDeletion> for Seen {
    const NAME: &str = "imagedeletions";

    fn of(deletion: ImageDeletion) -> Self {
        match Settled::of(&deletion) {
            Some(settled) => Self::Settled(settled),
            None => Self::Open(Box::new(deletion)),
        }
    }

    fn key(deletion: &ObjectMeta) -> String {
        deletion.uid.clone().unwrap_or_default()
    }
}

impl View<PartialObjectMeta<v1::Node>> for Node {
    const NAME: &str = "nodes";

    fn of(node: PartialObjectMeta<v1::Node>) -> Self {
        let metadata = node.metadata;
        Self {
            name: metadata.name.unwrap_or_default(),
            labels: metadata.labels.unwrap_or_default(),
            created: metadata.creation_timestamp.map_or(Timestamp::MIN, |created| created.0),
        }
    }

    fn key(node: &ObjectMeta) -> String {
        node.name.clone().unwrap_or_default()
    }
}

/// A pod, read as far as it matters here.
type Pod = Object<PodSpec, PodStatus>;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct PodSpec {
    node_name: Option<String>,
    affinity: Option<v1::Affinity>,
}

impl PodSpec {
    /// The node that it is bound to, or made for and not refused yet.
    fn node(self, status: &PodStatus) -> Option<String> {
        let made_for = || made_for(self.affinity.filter(|_| !status.is_refused())?);
        self.node_name.or_else(made_for)
    }
}

/// The node that a pod of a DaemonSet is made for, before the scheduler has bound it. While an agent is replaced, that is all that
/// there is of the next one for a moment.
fn made_for(affinity: v1::Affinity) -> Option<String> {
    let required = affinity.node_affinity?.required_during_scheduling_ignored_during_execution?;
    let mut fields = required.node_selector_terms.into_iter().filter_map(|term| term.match_fields).flatten();
    let named = fields.find(|field| field.key == "metadata.name" && field.operator == "In")?;
    named.values?.pop()
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct PodStatus {
    phase: Option<String>,
    conditions: Vec<PodCondition>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct PodCondition {
    #[serde(rename = "type")]
    kind: String,
    reason: Option<String>,
}

impl PodStatus {
    fn has_finished(&self) -> bool {
        matches!(self.phase.as_deref(), Some("Succeeded" | "Failed"))
    }

    /// Whether the scheduler has found no room for it: a DaemonSet makes pods for nodes, too, on which none can ever run.
    fn is_refused(&self) -> bool {
        let is_refusal = |condition: &PodCondition| {
            condition.kind == "PodScheduled" && condition.reason.as_deref() == Some("Unschedulable")
        };
        self.conditions.iter().any(is_refusal)
    }
}

fn pod_resource() -> ApiResource {
    ApiResource::erase::<v1::Pod>(&())
}

impl View<Pod> for AgentPod {
    const NAME: &str = "pods";

    fn of(pod: Pod) -> Self {
        let name = pod.name_any();
        let status = pod.status.unwrap_or_default();
        let is_bound = pod.spec.node_name.is_some();
        Self { name, node: pod.spec.node(&status).filter(|_| !status.has_finished()), is_bound }
    }

    fn key(pod: &ObjectMeta) -> String {
        pod.name.clone().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_pod_runs_an_agent_while_it_has_a_node_and_is_unfinished() {
        let made_for = |terms| {
            let required =
                json!({"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}});
            json!({"affinity": {"nodeAffinity": required}})
        };
        let named = |key: &str, node: &str| json!([{"key": key, "operator": "In", "values": [node]}]);
        let by_daemon_set = || made_for(json!([{"matchFields": named("metadata.name", "a")}]));
        let [refused, scheduled] = [
            json!({"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}),
            json!({"type": "PodScheduled", "status": "True"}),
        ];
        let by_a_label = made_for(json!([{"matchExpressions": named("zone", "a")}]));
        let rows = [
            (json!({}), json!({"phase": "Pending"}), None),
            (by_daemon_set(), json!({"phase": "Pending"}), Some("a")),
            (by_daemon_set(), json!({"phase": "Failed"}), None),
            (by_daemon_set(), json!({"phase": "Pending", "conditions": [refused]}), None),
            (json!({"nodeName": "a"}), json!({"phase": "Pending", "conditions": [scheduled]}), Some("a")),
            (by_a_label, json!({"phase": "Pending"}), None),
            (json!({"nodeName": "a"}), json!({"phase": "Pending"}), Some("a")),
            (json!({"nodeName": "a", "hostPID": false}), json!({"phase": "Running"}), Some("a")),
            (json!({"nodeName": "a"}), json!({}), Some("a")),
            (json!({"nodeName": "a"}), json!({"phase": "Succeeded"}), None),
            (json!({"nodeName": "a"}), json!({"phase": "Failed"}), None),
        ];
        for (spec, status, node) in rows {
            let is_bound = spec["nodeName"].is_string();
            let pod = json!({"metadata": {"name": "agent-x"}, "spec": spec, "status": status});
            let pod: Pod = serde_json::from_value(pod).unwrap();
            let expected = AgentPod { name: "agent-x".into(), node: node.map(Into::into), is_bound };
            assert_eq!(AgentPod::of(pod), expected);
        }
    }

    #[test]
    fn a_node_is_its_name_its_labels_and_its_age() {
        let node = json!({"metadata": {
            "name": "a", "labels": {"zone": "x"}, "annotations": {"long": "text"},
            "creationTimestamp": "1970-01-01T00:00:07Z",
        }});
        let node = serde_json::from_value(node).unwrap();
        let labels = [("zone".to_owned(), "x".to_owned())].into();
        let created = Timestamp::from_second(7).unwrap();
        assert_eq!(Node::of(node), Node { name: "a".into(), labels, created });
    }
}
