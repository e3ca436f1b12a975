//! A real Prometheus, and what it scrapes.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::secateur::NAMESPACE;
use super::service::Service;
use super::{Cluster, Node};
use crate::bed::eventually;

const ADDRESS: &str = "127.0.0.1:9090";

/// A Prometheus that scrapes every pod of Secateur each second; it ends when it is dropped.
pub(crate) struct Prometheus(Service);

impl Cluster {
    /// Every pod of the chart, and where it serves metrics.
    pub(crate) fn secateur_pods(&self) -> Vec<(String, String)> {
        self.list(&["-l", "app.kubernetes.io/name=secateur"])
    }

    /// The agent's pod on a node, and where it serves metrics.
    pub(crate) fn agent_of(&self, node: &Node) -> (String, String) {
        let on_node = format!("--field-selector=spec.nodeName={}", node.name());
        self.list(&["-l", "app.kubernetes.io/component=agent", &on_node]).remove(0)
    }

    fn list(&self, selected: &[&str]) -> Vec<(String, String)> {
        let fields = r#"jsonpath={range .items[*]}{.metadata.name} {.status.podIP}{"\n"}{end}"#;
        let listed = self.kubectl([&["get", "pods", "-n", NAMESPACE, "-o", fields], selected].concat());
        let pod = |line: &str| line.split_once(' ').map(|(name, ip)| (name.to_owned(), format!("{ip}:9464")));
        listed.lines().filter_map(pod).collect()
    }
}

impl Prometheus {
    /// Starts it, and waits until it has scraped every pod.
    pub(crate) async fn start(cluster: &Cluster) -> Self {
        let directory = cluster.directory().join("prometheus");
        fs::create_dir_all(&directory).expect("the directory can be made");
        let targets: Vec<_> = cluster.secateur_pods().into_iter().map(|(_, address)| address).collect();
        let configuration = json!({
            "global": {"scrape_interval": "1s"},
            "scrape_configs": [{"job_name": "secateur", "static_configs": [{"targets": targets}]}],
        });
        let file = directory.join("prometheus.json");
        fs::write(&file, configuration.to_string()).expect("the configuration can be written");
        let data = directory.join("data");
        let service = Service::new("prometheus", &directory, move || {
            let mut command = Command::new("prometheus");
            command
                .arg(format!("--config.file={}", file.display()))
                .arg(format!("--storage.tsdb.path={}", data.display()))
                .arg(format!("--web.listen-address={ADDRESS}"));
            command
        });
        service.start();
        let prometheus = Self(service);
        let scraped = targets.len() as f64;
        eventually("Prometheus to scrape every pod", async || {
            (prometheus.ask("sum(up)") == Some(scraped)).then_some(())
        })
        .await;
        prometheus
    }

    /// The one value of a query.
    pub(crate) async fn value(&self, query: &str) -> f64 {
        eventually(query, async || self.ask(query)).await
    }

    fn ask(&self, query: &str) -> Option<f64> {
        assert!(!self.0.has_ended(), "Prometheus has ended");
        let query: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let answer: Value =
            serde_json::from_str(&fetch(&format!("http://{ADDRESS}/api/v1/query?query={query}"))?).ok()?;
        answer["data"]["result"][0]["value"][1].as_str()?.parse().ok()
    }
}

/// The body of a page; `None` where there is none, or not with a status of success.
pub(crate) fn fetch(url: &str) -> Option<String> {
    let output = Command::new("busybox").args(["wget", "-q", "-O", "-", url]).output().expect("busybox runs");
    output.status.success().then(|| String::from_utf8(output.stdout).expect("pages are text"))
}
