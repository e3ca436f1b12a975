//! What the chart brings for Prometheus and Grafana, judged by promtool.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use crate::helm::{MONITORING_KINDS, Rendered, chart_file};

/// When each alert fires, and when not.
const ALERTS: &str = include_str!("alerts.yaml");

/// The metrics that there are, a histogram by its buckets.
const METRICS: [&str; 11] = [
    "secateur_build_info",
    "secateur_conflicts_total",
    "secateur_containerd_request_duration_seconds_bucket",
    "secateur_deletion_duration_seconds_bucket",
    "secateur_errors_total",
    "secateur_image_outcomes_total",
    "secateur_imagedeletions",
    "secateur_images_deleted_total",
    "secateur_reclaimed_bytes_total",
    "secateur_references_untagged_total",
    "secateur_rollbacks_total",
];

fn all() -> Rendered {
    let set = "metrics.podMonitor=true,metrics.rules=true,metrics.dashboard=true";
    Rendered::with(&[&["--set", set][..], &MONITORING_KINDS].concat())
}

/// The rules as Prometheus reads them.
fn rules() -> Value {
    all().one("PrometheusRule", "")["spec"].clone()
}

fn dashboard() -> Value {
    let rendered = all();
    serde_json::from_str(rendered.one("ConfigMap", "-dashboard")["data"]["secateur.json"].as_str().unwrap())
        .unwrap()
}

/// The queries of the dashboard, with a value for each variable.
fn queries() -> Vec<String> {
    let panels = dashboard()["panels"].as_array().unwrap().clone();
    let targets = panels.iter().flat_map(|panel| panel["targets"].as_array().unwrap());
    targets
        .map(|target| {
            let query = target["expr"].as_str().unwrap();
            query.replace("$__rate_interval", "5m").replace("$__range", "1h").replace("$namespace", ".*")
        })
        .collect()
}

/// Runs promtool on these files, which it finds by their names.
fn promtool(arguments: &[&str], files: &[(&str, &str)]) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let output = Command::new("promtool").args(arguments).current_dir(folder.path()).output();
    let output = output.expect("promtool comes with Prometheus: run `make tools` first");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[test]
fn promtool_finds_nothing_in_the_rules() {
    promtool(&["check", "rules", "--lint-fatal", "rules.yaml"], &[("rules.yaml", &rules().to_string())]);
}

#[test]
fn alerts_fire_when_they_should_and_only_then() {
    promtool(
        &["test", "rules", "alerts.yaml"],
        &[("alerts.yaml", ALERTS), ("rules.yaml", &rules().to_string())],
    );
}

/// A case where the alert is quiet counts only if there are series of every metric that the alert asks for.
#[test]
fn every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() {
    let cases: Value = serde_saphyr::from_str(ALERTS).unwrap();
    let rules = rules();
    let all: Vec<&Value> = rules["groups"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|group| group["rules"].as_array().unwrap())
        .collect();
    assert!(all.len() >= 8);
    for rule in all {
        let alert = rule["alert"].as_str().expect("every rule is an alert");
        let metrics: BTreeSet<_> = metrics_of(rule["expr"].as_str().unwrap());
        let [mut fires, mut is_quiet] = [false; 2];
        for case in cases["tests"].as_array().unwrap() {
            let series = case["input_series"].as_array().unwrap().iter();
            let given: BTreeSet<_> =
                series.flat_map(|series| metrics_of(series["series"].as_str().unwrap())).collect();
            for test in
                case["alert_rule_test"].as_array().unwrap().iter().filter(|test| test["alertname"] == alert)
            {
                match test["exp_alerts"].as_array().unwrap().is_empty() {
                    true => is_quiet |= metrics.is_subset(&given),
                    false => fires = true,
                }
            }
        }
        assert!(fires && is_quiet, "alerts.yaml: {alert} fires: {fires}, is quiet: {is_quiet}");
    }
}

/// The metrics that an expression or a series names.
fn metrics_of(expression: &str) -> BTreeSet<String> {
    let words = expression.split(|character: char| !character.is_ascii_alphanumeric() && character != '_');
    words.filter(|word| *word == "up" || word.starts_with("secateur_")).map(str::to_owned).collect()
}

#[test]
fn prometheus_reads_every_query_of_the_dashboard() {
    let rules: Vec<_> = queries()
        .iter()
        .enumerate()
        .map(|(number, query)| json!({"record": format!("dashboard:query_{number}"), "expr": query}))
        .collect();
    let file = json!({"groups": [{"name": "dashboard", "rules": rules}]});
    promtool(&["check", "rules", "rules.yaml"], &[("rules.yaml", &file.to_string())]);
}

#[test]
fn queries_are_about_the_metrics_that_there_are() {
    let rules = rules();
    let of_alerts = rules["groups"][0]["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| rule["expr"].as_str().unwrap().to_owned());
    let text = of_alerts.chain(queries()).collect::<Vec<_>>().join("\n");
    let mut named = metrics_of(&text);
    named.remove("up");
    assert_eq!(named, METRICS.map(str::to_owned).into());
}

#[test]
fn the_dashboard_says_what_its_panels_are() {
    let dashboard = dashboard();
    let panels = dashboard["panels"].as_array().unwrap();
    let titles: BTreeSet<_> = panels.iter().map(|panel| panel["title"].as_str().unwrap()).collect();
    assert_eq!(titles.len(), panels.len());
    assert!(chart_file("files/dashboard.json").lines().all(|line| !line.contains("localhost")));
}

#[test]
fn nothing_is_made_unasked_or_where_the_cluster_does_not_know_the_kind() {
    let kinds = |rendered: &Rendered| {
        let made = ["PodMonitor", "PrometheusRule", "ConfigMap"]
            .into_iter()
            .filter(|kind| !rendered.of(kind).is_empty());
        made.collect::<Vec<_>>()
    };
    assert_eq!(kinds(&all()), ["PodMonitor", "PrometheusRule", "ConfigMap"]);
    assert_eq!(kinds(&Rendered::with(&MONITORING_KINDS)), [] as [&str; 0]);
    let set = "metrics.podMonitor=true,metrics.rules=true,metrics.dashboard=true";
    assert_eq!(kinds(&Rendered::with(&["--set", set])), ["ConfigMap"]);
}

/// The Prometheus operator may select what it reads by a label.
#[test]
fn what_the_operator_reads_has_the_labels_that_were_asked_for() {
    let set = "metrics.podMonitor=true,metrics.rules=true,metrics.dashboard=true";
    let labels = r"metrics.labels.release=stack,metrics.labels.app\.kubernetes\.io/name=other";
    let rendered = Rendered::with(&[&["--set", set, "--set", labels][..], &MONITORING_KINDS].concat());
    for object in rendered.objects() {
        let kind = object["kind"].as_str().unwrap();
        let labels = &object["metadata"]["labels"];
        let expected =
            if ["PodMonitor", "PrometheusRule"].contains(&kind) { json!("stack") } else { Value::Null };
        assert_eq!(labels["release"], expected, "{kind}");
        assert_eq!(labels["app.kubernetes.io/name"], "secateur", "{kind}");
    }
    assert_eq!(rendered.of("PodMonitor").len() + rendered.of("PrometheusRule").len(), 2);
}

#[test]
fn the_network_policy_lets_in_metrics_and_lets_out_to_the_api_server() {
    let set = "networkPolicy.enabled=true,apiServer.host=10.0.0.9,apiServer.port=8443";
    let rendered = Rendered::with(&["--set", set]);
    let policy = &rendered.one("NetworkPolicy", "")["spec"];
    assert_eq!(policy["ingress"], json!([{"ports": [{"port": "metrics"}]}]));
    let out = [
        json!({"port": 443}),
        json!({"port": 6443}),
        json!({"port": 8443}),
        json!({"port": 53, "protocol": "UDP"}),
        json!({"port": 53}),
    ];
    assert_eq!(policy["egress"], json!([{"ports": out}]));
    for pod in rendered.pods() {
        let labels = policy["podSelector"]["matchLabels"].as_object().unwrap();
        assert!(labels.iter().all(|(name, value)| pod.labels[name] == *value), "{}", pod.component);
    }
}
