//! What Prometheus makes of the agents and the controller.

use std::fs;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::bed::{Image, eventually};
use crate::cluster::{Cluster, Pod, Prometheus, SECATEUR, fetch};
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![Shared: promtool_finds_nothing_in_the_metrics, every_pod_is_alive_and_ready, no_metric_names_an_image;
        Alone: counters_agree_with_the_status, every_query_of_the_dashboard_finds_something,
        readyz_says_that_containerd_is_away]
}

async fn promtool_finds_nothing_in_the_metrics(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    cluster.delete("metrics-any", json!({"images": ["metrics/none:v1"]})).await;
    for (pod, address) in cluster.secateur_pods() {
        let metrics = fetch(&format!("http://{address}/metrics")).expect("the pod serves metrics");
        assert!(metrics.contains("\nsecateur_build_info{"), "{pod}: {metrics}");
        let file = cluster.directory().join("metrics.txt");
        fs::write(&file, &metrics).unwrap();
        let input = Stdio::from(fs::File::open(&file).unwrap());
        let output = Command::new("promtool").args(["check", "metrics"]).stdin(input).output().unwrap();
        let said = [output.stdout, output.stderr].concat();
        assert!(output.status.success() && said.is_empty(), "{pod}: {}", String::from_utf8_lossy(&said));
    }
}

async fn no_metric_names_an_image(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let node = cluster.node_b();
    node.import(&Image::new("docker.io/metrics/stranger:v1").layer("stranger")).await;
    cluster
        .delete("metrics-stranger", json!({"images": ["metrics/stranger:v1", "metrics/unheard:v1"]}))
        .await;
    for (pod, address) in cluster.secateur_pods() {
        let metrics = fetch(&format!("http://{address}/metrics")).expect("the pod serves metrics");
        for name in ["stranger", "unheard", "sha256"] {
            assert!(!metrics.contains(name), "{pod} names {name}: {metrics}");
        }
    }
}

async fn every_pod_is_alive_and_ready(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    for (pod, address) in cluster.secateur_pods() {
        for path in ["healthz", "readyz"] {
            assert_eq!(fetch(&format!("http://{address}/{path}")).as_deref(), Some("ok\n"), "{pod} {path}");
        }
    }
}

async fn readyz_says_that_containerd_is_away(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let node = cluster.node_b();
    let (_, address) = cluster.agent_of(node);
    let ready = format!("http://{address}/readyz");
    node.daemon.kill();
    eventually("the agent not to be ready", async || fetch(&ready).is_none().then_some(())).await;
    cluster.request("metrics-away", json!({"images": ["metrics/none:v1"]}));
    node.daemon.start();
    node.await_containerd().await;
    eventually("the agent to be ready again", async || fetch(&ready)).await;
    assert_eq!(cluster.finished("metrics-away").await.nodes.absent, 2);
}

async fn counters_agree_with_the_status(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let prometheus = Prometheus::start(cluster).await;
    let before = Sums::of(&prometheus).await;
    let names: Vec<String> = (0..3).map(|number| format!("metrics/app-{number}:v1")).collect();
    for node in cluster.nodes() {
        for name in &names {
            node.import(&Image::new(format!("docker.io/{name}")).layer(name)).await;
        }
        node.tag("docker.io/metrics/app-2:v1", "docker.io/metrics/app-2:kept").await;
    }
    let images: Value = names.iter().map(String::as_str).chain(["metrics/absent:v1"]).collect();
    let status = cluster.delete("metrics-counted", json!({"images": images})).await;
    let expected =
        Sums { deleted: 4.0, untagged: 6.0, absent: 2.0, reclaimed: status.reclaimed_bytes as f64 };
    eventually("Prometheus to have scraped it", async || {
        let now = Sums::of(&prometheus).await;
        (now.minus(&before) == expected).then_some(())
    })
    .await;
    let listed =
        cluster.kubectl(["get", "imgdel", "--field-selector", "status.phase=Complete", "-o", "name"]);
    eventually("Prometheus to count what is listed", async || {
        let complete = prometheus.value(r#"sum(secateur_imagedeletions{phase="Complete"})"#).await;
        (complete as usize == listed.lines().count()).then_some(())
    })
    .await;
}

/// After deletions, a conflict and an error. What nothing here makes happen is 0.
async fn every_query_of_the_dashboard_finds_something(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let prometheus = Prometheus::start(cluster).await;
    let node = cluster.node_b();
    node.daemon.kill();
    eventually("the agent to count an error", async || {
        let errors = prometheus.values(r#"secateur_errors_total{kind="containerd", node="node-b"}"#)?;
        (errors.iter().sum::<f64>() > 0.0).then_some(())
    })
    .await;
    node.daemon.start();
    node.await_containerd().await;
    cluster.namespace("metrics-dashboard").await;
    for name in ["docker.io/metrics/used:v1", "docker.io/metrics/unused:v1"] {
        node.import(&Image::new(name).layer(name)).await;
    }
    let pod = Pod::new("metrics-dashboard", "holds", "docker.io/metrics/used:v1", node);
    cluster.run_pod(&pod);
    let images = json!({"images": ["metrics/used:v1", "metrics/unused:v1"]});
    assert_eq!(cluster.delete("metrics-dashboard", images).await.nodes.conflicted, 1);

    let queries = queries_of_the_dashboard();
    assert!(queries.len() >= 15, "{queries:#?}");
    for query in queries {
        let may_be_nothing =
            query.contains("secateur_rollbacks_total") || query.contains(r#"phase="Failed""#);
        eventually(&format!("something to be found by {query}"), async || {
            let values = prometheus.values(&query)?;
            let holds = |value: &f64| value.is_finite() && (may_be_nothing || *value > 0.0);
            values.iter().any(holds).then_some(())
        })
        .await;
    }
    let variables = variables_of_the_dashboard();
    assert!(!variables.is_empty());
    for (series, label) in variables {
        let values = prometheus.label_values(&series, &label).unwrap();
        assert_eq!(values, [SECATEUR], "label_values({series}, {label})");
    }
    eventually("every alert to be evaluated", async || prometheus.broken_alerts().filter(Vec::is_empty))
        .await;
    cluster.delete_pod(&pod);
}

fn dashboard() -> Value {
    serde_json::from_str(include_str!("../../charts/secateur/files/dashboard.json")).unwrap()
}

/// What the variables of the chart's dashboard are asked for: the values of a label of some series.
fn variables_of_the_dashboard() -> Vec<(String, String)> {
    let dashboard = dashboard();
    let variables = dashboard["templating"]["list"].as_array().unwrap().iter();
    let queries = variables.filter_map(|variable| variable["query"]["query"].as_str());
    let asked = |query: &str| {
        let (series, label) = query.strip_prefix("label_values(")?.strip_suffix(')')?.rsplit_once(", ")?;
        Some((series.to_owned(), label.to_owned()))
    };
    queries.map(|query| asked(query).unwrap_or_else(|| panic!("{query} asks for no label"))).collect()
}

/// The queries of the chart's dashboard, with a value for each variable.
fn queries_of_the_dashboard() -> Vec<String> {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    let queries = targets.map(|target| target["expr"].as_str().unwrap());
    queries
        .map(|query| {
            query.replace("$__rate_interval", "5m").replace("$__range", "5m").replace("$namespace", ".*")
        })
        .collect()
}

/// Sums of counters over all agents.
#[derive(Debug, PartialEq)]
struct Sums {
    deleted: f64,
    untagged: f64,
    absent: f64,
    reclaimed: f64,
}

impl Sums {
    async fn of(prometheus: &Prometheus) -> Self {
        Self {
            deleted: prometheus.value("sum(secateur_images_deleted_total)").await,
            untagged: prometheus.value("sum(secateur_references_untagged_total)").await,
            absent: prometheus.value(r#"sum(secateur_image_outcomes_total{outcome="Absent"})"#).await,
            reclaimed: prometheus.value("sum(secateur_reclaimed_bytes_total)").await,
        }
    }

    fn minus(&self, before: &Self) -> Self {
        Self {
            deleted: self.deleted - before.deleted,
            untagged: self.untagged - before.untagged,
            absent: self.absent - before.absent,
            reclaimed: self.reclaimed - before.reclaimed,
        }
    }
}
