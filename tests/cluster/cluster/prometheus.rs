//! A real Prometheus, and what it scrapes.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::secateur::{NAMESPACE, project};
use super::service::Service;
use super::{Cluster, Node};
use crate::bed::eventually;

const ADDRESS: &str = "127.0.0.1:9090";

/// A Prometheus that scrapes every pod of Secateur each second, by the chart's PodMonitor; it ends when it is dropped.
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
    /// Starts it with the chart's PodMonitor and alerts, and waits until it has scraped every pod.
    ///
    /// It knows nothing of an earlier one: what that scraped last would pass for what is true now.
    pub(crate) async fn start(cluster: &Cluster) -> Self {
        let directory = cluster.directory().join("prometheus");
        fs::remove_dir_all(&directory).ok();
        fs::create_dir_all(&directory).expect("the directory can be made");
        let monitor = cluster.rendered("monitoring/pod-monitor.yaml", "metrics.podMonitor=true");
        let monitor: Value = serde_saphyr::from_str(&monitor).expect("the chart renders to YAML");
        let configuration = json!({
            "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
            "rule_files": [project("charts/secateur/files/rules.yaml")],
            "scrape_configs": [{
                "job_name": "pod-monitor", "static_configs": targets(cluster), "relabel_configs": relabelings(&monitor["spec"]),
            }],
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
        let pods = cluster.secateur_pods().len() as f64;
        eventually("Prometheus to scrape every pod", async || {
            (prometheus.ask(r#"sum(up{job="secateur"})"#) == Some(pods)).then_some(())
        })
        .await;
        prometheus
    }

    /// The one value of a query.
    pub(crate) async fn value(&self, query: &str) -> f64 {
        eventually(query, async || self.ask(query)).await
    }

    /// The values of all series that a query finds.
    pub(crate) fn values(&self, query: &str) -> Option<Vec<f64>> {
        let answer = self.get(&format!("query?query={}", encoded(query)))?;
        let series = answer["data"]["result"].as_array()?;
        series.iter().map(|series| series["value"][1].as_str()?.parse().ok()).collect()
    }

    /// The values of a label of all series that are selected.
    pub(crate) fn label_values(&self, selected: &str, label: &str) -> Option<Vec<String>> {
        let answer = self.get(&format!("label/{label}/values?match[]={}", encoded(selected)))?;
        answer["data"].as_array()?.iter().map(|value| value.as_str().map(str::to_owned)).collect()
    }

    /// The alerts that cannot be evaluated, and those that have not been yet.
    pub(crate) fn broken_alerts(&self) -> Option<Vec<String>> {
        let answer = self.get("rules")?;
        let groups = answer["data"]["groups"].as_array()?;
        let rules: Vec<&Value> =
            groups.iter().flat_map(|group| group["rules"].as_array()).flatten().collect();
        assert!(!rules.is_empty(), "Prometheus has no alerts");
        Some(rules.into_iter().filter(|rule| rule["health"] != "ok").map(ToString::to_string).collect())
    }

    fn ask(&self, query: &str) -> Option<f64> {
        self.values(query)?.first().copied()
    }

    fn get(&self, what: &str) -> Option<Value> {
        assert!(!self.0.has_ended(), "Prometheus has ended");
        serde_json::from_str(&fetch(&format!("http://{ADDRESS}/api/v1/{what}"))?).ok()
    }
}

fn encoded(query: &str) -> String {
    query.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// What Prometheus calls what it knows of a pod.
const POD: &str = "__meta_kubernetes_pod";

/// What Prometheus calls a label of a pod.
fn label(name: &str) -> String {
    format!("{POD}_label_{}", name.replace(['.', '/', '-'], "_"))
}

/// Every port of every pod in the namespace, as Prometheus finds them in a cluster. Debian's cannot look itself.
fn targets(cluster: &Cluster) -> Vec<Value> {
    let pods = cluster.kubectl(["get", "pods", "-n", NAMESPACE, "-o", "json"]);
    let pods: Value = serde_json::from_str(&pods).expect("kubectl prints JSON");
    let mut targets = Vec::new();
    for pod in pods["items"].as_array().expect("a list") {
        for port in pod["spec"]["containers"][0]["ports"].as_array().into_iter().flatten() {
            let ip = pod["status"]["podIP"].as_str().expect("the pod runs");
            let mut labels = json!({
                "__meta_kubernetes_namespace": NAMESPACE,
                format!("{POD}_name"): pod["metadata"]["name"],
                format!("{POD}_node_name"): pod["spec"]["nodeName"],
                format!("{POD}_container_port_name"): port["name"],
            });
            for (name, value) in pod["metadata"]["labels"].as_object().expect("pods have labels") {
                labels[label(name)] = value.clone();
            }
            targets.push(json!({"targets": [format!("{ip}:{}", port["containerPort"])], "labels": labels}));
        }
    }
    targets
}

/// What the Prometheus operator makes of a PodMonitor.
fn relabelings(monitor: &Value) -> Value {
    let keep =
        |label: String, values: &str| json!({"source_labels": [label], "regex": values, "action": "keep"});
    let take = |from: String, to: &str| json!({"source_labels": [from], "target_label": to});
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    let selector = &monitor["selector"];
    let mut all = Vec::new();
    for (name, value) in selector["matchLabels"].as_object().expect("it selects by labels") {
        all.push(keep(label(name), &text(value)));
    }
    for expression in selector["matchExpressions"].as_array().into_iter().flatten() {
        assert_eq!(expression["operator"], "In");
        let values: Vec<String> = expression["values"].as_array().expect("a list").iter().map(text).collect();
        all.push(keep(label(&text(&expression["key"])), &values.join("|")));
    }
    let [endpoint] = &monitor["podMetricsEndpoints"].as_array().expect("a list")[..] else {
        panic!("one endpoint")
    };
    all.push(keep(format!("{POD}_container_port_name"), &text(&endpoint["port"])));
    all.push(take("__meta_kubernetes_namespace".to_owned(), "namespace"));
    all.push(take(format!("{POD}_name"), "pod"));
    all.push(take(label(&text(&monitor["jobLabel"])), "job"));
    for relabeling in endpoint["relabelings"].as_array().expect("a list") {
        let mut fields = relabeling.as_object().expect("an object").clone();
        for (camel, snake) in [("sourceLabels", "source_labels"), ("targetLabel", "target_label")] {
            let value = fields.remove(camel).expect("it has what ours have");
            fields.insert(snake.to_owned(), value);
        }
        all.push(fields.into());
    }
    all.into()
}

/// The body of a page; `None` where there is none, or not with a status of success.
pub(crate) fn fetch(url: &str) -> Option<String> {
    let output = Command::new("busybox").args(["wget", "-q", "-O", "-", url]).output().expect("busybox runs");
    output.status.success().then(|| String::from_utf8(output.stdout).expect("pages are text"))
}
