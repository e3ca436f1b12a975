//! A node, or the controller's machine, whose clock is an hour off.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, ToSpan};
use nix::sys::signal::Signal;
use prometheus::Registry;
use secateur::agent;
use secateur::api::result::Outcome;
use secateur::api::status::Phase;
use secateur::controller;
use secateur::telemetry::health::Health;
use secateur::telemetry::metrics::AgentMetrics;
use serde_json::json;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::{assert_complete, condition, outcome_of};
use crate::bed::{Image, eventually};
use crate::cluster::{Cluster, Node, Pod, SECATEUR};
use crate::suite::{Test, tests};

/// How far the API server's clock is ahead of the node's.
const AHEAD: [SignedDuration; 2] = [SignedDuration::from_hours(1), SignedDuration::from_hours(-1)];

pub(crate) fn tests() -> Vec<Test> {
    tests![Alone: an_agent_acts_by_the_api_servers_clock, a_controller_judges_by_the_api_servers_clock]
}

/// The agent's pod is frozen, and the same agent runs here, where the API server's time is another.
async fn an_agent_acts_by_the_api_servers_clock(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let node = cluster.node_b();
    cluster.namespace("clock").await;
    node.signal_agent(Signal::SIGSTOP).await;
    for (index, ahead) in AHEAD.into_iter().enumerate() {
        let agent = Running::agent(cluster, node, ahead);
        let [idle, used] = ["idle", "used"].map(|what| format!("docker.io/clock/{what}-{index}:v1"));
        node.import_all(&[&idle, &used].map(|name| Image::new(name).layer(name))).await;
        let pod = Pod::new("clock", &format!("holds-{index}"), &used, node);
        cluster.run_pod(&pod);

        let status = cluster.delete(&format!("clock-idle-{index}"), json!({"images": [idle]})).await;
        assert_complete(&status);
        assert_eq!(outcome_of(&status, node.name()), Some(Outcome::Deleted), "{ahead:?}: {status:#?}");
        let name = format!("clock-idle-{index}");
        let created = cluster.deletion(&name).await.metadata.creation_timestamp.unwrap().0;
        let report = cluster.reports(&name).await.remove(node.name()).unwrap();
        for time in [report.start_time, report.completion_time.unwrap()] {
            assert!(time.0 >= created - 1.second() && time.0 <= created + 1.minute(), "{ahead:?}: {time:?}");
        }

        let waits = json!({"images": [used], "onConflict": "Wait", "activeDeadlineSeconds": 4});
        let name = format!("clock-used-{index}");
        let status = cluster.delete(&name, waits).await;
        assert_complete(&status);
        assert_eq!(outcome_of(&status, node.name()), Some(Outcome::Conflict), "{ahead:?}: {status:#?}");
        let report = cluster.reports(&name).await.remove(node.name()).unwrap();
        assert!(report.completion_time.is_some(), "{ahead:?}: it has waited until the deadline");
        cluster.delete_pod(&pod);
        assert_complete(
            &cluster.delete(&format!("clock-after-{index}"), json!({"images": ["clock/none:v1"]})).await,
        );
        assert!(node.has_image(&used).await, "{ahead:?}: after the deadline no agent acts");
        agent.end().await;
    }
    node.signal_agent(Signal::SIGCONT).await;
    cluster.await_secateur().await;
}

/// The controller of the chart is away, and so is one agent, for which it is waited.
async fn a_controller_judges_by_the_api_servers_clock(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let scale = |replicas: &str| {
        let replicas = format!("--replicas={replicas}");
        cluster.kubectl(["scale", "deployment/secateur-controller", "-n", SECATEUR, &replicas]);
    };
    let replicas = cluster.kubectl([
        "get",
        "deployment/secateur-controller",
        "-n",
        SECATEUR,
        "-o",
        "jsonpath={.spec.replicas}",
    ]);
    scale("0");
    eventually("the chart's controllers to end", async || {
        let left =
            ["get", "pods", "-n", SECATEUR, "-l", "app.kubernetes.io/component=controller", "-o", "name"];
        cluster.kubectl(left).is_empty().then_some(())
    })
    .await;
    cluster.node_a().signal_agent(Signal::SIGSTOP).await;
    for (index, ahead) in AHEAD.into_iter().enumerate() {
        let controller = Running::controller(cluster, ahead);
        let [patient, hasty] = ["patient", "hasty"].map(|how| format!("clock-{how}-{index}"));
        cluster.request(&patient, json!({"images": ["clock/none:v1"]}));
        let status = cluster
            .delete(&hasty, json!({"images": ["clock/none:v1"], "activeDeadlineSeconds": 1, "ttlSecondsAfterFinished": 60}))
            .await;
        assert_eq!(status.phase, Phase::Failed, "{ahead:?}");
        assert_eq!(condition(&status, "Failed").reason, "DeadlineExceeded");
        let created = cluster.deletion(&hasty).await.metadata.creation_timestamp.unwrap().0;
        let completed = status.completion_time.unwrap().0;
        assert!(completed >= created && completed <= created + 1.minute(), "{ahead:?}: {completed}");
        let status = cluster.deletion(&patient).await.status.unwrap();
        assert_eq!(status.phase, Phase::Active, "{ahead:?}: it has ten minutes");
        controller.end().await;
        cluster.kubectl(["delete", "imagedeletion", &patient, &hasty]);
    }
    cluster.node_a().signal_agent(Signal::SIGCONT).await;
    scale(&replicas);
    cluster.await_secateur().await;
}

/// A part of Secateur that runs in this process.
struct Running {
    cancel: CancellationToken,
    work: JoinHandle<()>,
}

impl Running {
    fn agent(cluster: &Cluster, node: &Node, ahead: SignedDuration) -> Self {
        let settings = agent::Settings {
            node: node.name().to_owned(),
            pod: None,
            address: node.socket(),
            namespace: "k8s.io".to_owned(),
            protect: Vec::new(),
        };
        let metrics = AgentMetrics::register(&Registry::new()).unwrap();
        let (client, health) = (cluster.client_elsewhere(ahead), Health::missing(agent::PARTS));
        Self::start(|cancel| agent::run(settings, client, metrics, health, cancel))
    }

    fn controller(cluster: &Cluster, ahead: SignedDuration) -> Self {
        let settings = controller::Settings {
            pod_namespace: SECATEUR.to_owned(),
            pod_name: "elsewhere".to_owned(),
            agent_selector: "app.kubernetes.io/name=secateur,app.kubernetes.io/component=agent".to_owned(),
            lease_name: "elsewhere".to_owned(),
        };
        let client = cluster.client_elsewhere(ahead);
        let clients = controller::Clients { lease: client.clone(), work: client };
        Self::start(|cancel| controller::run(settings, clients, Arc::new(Unobserved), cancel))
    }

    fn start<W: Future<Output = ()> + 'static>(
        work: impl FnOnce(CancellationToken) -> W + Send + 'static,
    ) -> Self {
        let cancel = CancellationToken::new();
        let cancelled = cancel.clone();
        // What an agent does is not sent from thread to thread.
        let thread = tokio::task::spawn_blocking(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(work(cancelled));
        });
        Self { cancel, work: thread }
    }

    async fn end(mut self) {
        self.cancel.cancel();
        tokio::time::timeout(Duration::from_secs(30), &mut self.work).await.unwrap().unwrap();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

/// Nobody looks at this controller.
struct Unobserved;

impl controller::Observer for Unobserved {
    fn phases(&self, _: &std::collections::BTreeMap<Phase, usize>) {}

    fn error(&self, _: controller::ErrorKind) {}

    fn ready(&self, _: bool) {}
}
