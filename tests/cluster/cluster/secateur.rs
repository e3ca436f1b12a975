//! Secateur, installed as people install it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use containerd_client::services::v1::ListTasksRequest;
use containerd_client::types::v1::Status;
use k8s_cri::v1::{ContainerFilter, ListContainersRequest};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Cluster, Node};
use crate::bed::{NAMESPACE as CRI_NAMESPACE, eventually, in_namespace};

/// The namespace that Secateur is installed in.
pub(crate) const NAMESPACE: &str = "secateur-system";
const RELEASE: &str = "secateur";

impl Cluster {
    /// The definitions of `crds/`, applied once.
    pub(crate) async fn with_definitions(&self) -> &Self {
        self.definitions
            .get_or_init(async || {
                let crds = project("crds");
                self.kubectl(["apply", "-f", crds.to_str().expect("the path is text")]);
                self.wait("condition=Established", ["crd", "imagedeletions.secateur.dev"]);
                self.wait("condition=Established", ["crd", "imagedeletionreports.secateur.dev"]);
                // What kubectl remembers of the API is of the time before.
                self.kubectl(["api-resources", "--cached=false", "--api-group=secateur.dev"]);
            })
            .await;
        self
    }

    /// The project's image on both nodes and its chart, installed once with its defaults.
    pub(crate) async fn with_secateur(&self) -> &Self {
        self.secateur
            .get_or_init(async || {
                self.with_definitions().await;
                self.install_secateur(&[]).await;
            })
            .await;
        self
    }

    /// Installs the chart, or upgrades it, with some more arguments, and waits until it is rolled out.
    pub(crate) async fn install_secateur(&self, arguments: &[&str]) {
        let archive = project("target/image/secateur.tar");
        assert!(archive.exists(), "there is no {}: run `make image` first", archive.display());
        for node in self.nodes() {
            node.import_file(&archive).await;
        }
        let chart = project("charts/secateur");
        let chart = chart.to_str().expect("the path is text");
        let usual = [
            "upgrade",
            "--install",
            RELEASE,
            chart,
            "--namespace",
            NAMESPACE,
            "--create-namespace",
            "--take-ownership",
            "--wait",
            "--timeout",
            "60s",
            "--set",
            "image.repository=localhost/secateur",
            "--set",
            "image.tag=dev",
            "--set",
            "image.pullPolicy=Never",
        ];
        self.helm([&usual[..], arguments].concat());
    }

    /// Whether Secateur has been installed.
    pub(crate) fn has_secateur(&self) -> bool {
        self.secateur.initialized()
    }

    /// What the chart renders to with some values, from one of its templates.
    pub(crate) fn rendered(&self, template: &str, values: &str) -> String {
        let chart = project("charts/secateur");
        let chart = chart.to_str().expect("the path is text");
        let template = format!("templates/{template}");
        let fixed = ["template", RELEASE, chart, "--namespace", NAMESPACE];
        // As if the Prometheus operator were there.
        let kinds = ["--api-versions", "monitoring.coreos.com/v1/PodMonitor"];
        let wanted = ["--set", values, "--show-only", &template];
        self.helm([&fixed[..], &kinds, &wanted].concat())
    }
}

impl Node {
    /// Sends a signal to the node's agent. The kubelet starts one again that was killed.
    pub(crate) async fn signal_agent(&self, signal: Signal) {
        self.signal_container(NAMESPACE, "agent", signal).await;
    }

    /// Sends a signal to the process of a running container, by the name that it has in its pod. One that is killed has ended then.
    pub(crate) async fn signal_container(&self, namespace: &str, name: &str, signal: Signal) {
        let running = self.container_pids(namespace, name).await;
        let [pid] = running[..] else { panic!("{} runs {} containers {name}", self.name(), running.len()) };
        kill(Pid::from_raw(pid), signal).expect("the container's process takes signals");
        if signal == Signal::SIGKILL {
            eventually("containerd to hear that the container was killed", async || {
                (!self.container_pids(namespace, name).await.contains(&pid)).then_some(())
            })
            .await;
        }
    }

    /// The processes of the running containers that have a name in their pods.
    pub(crate) async fn container_pids(&self, namespace: &str, name: &str) -> Vec<i32> {
        let labels = [("io.kubernetes.pod.namespace", namespace), ("io.kubernetes.container.name", name)];
        let label_selector = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
        let filter = ContainerFilter { label_selector, ..ContainerFilter::default() };
        let request = ListContainersRequest { filter: Some(filter) };
        let containers = self.runtime().list_containers(request).await.expect("the CRI lists containers");
        let ids: BTreeSet<String> =
            containers.into_inner().containers.into_iter().map(|container| container.id).collect();
        let request = in_namespace(CRI_NAMESPACE, ListTasksRequest::default());
        let tasks =
            self.client().tasks().list(request).await.expect("containerd lists tasks").into_inner().tasks;
        let running =
            tasks.into_iter().filter(|task| task.status() == Status::Running && ids.contains(&task.id));
        running.map(|task| task.pid.cast_signed()).collect()
    }
}

/// A file or directory of the project.
pub(crate) fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}
