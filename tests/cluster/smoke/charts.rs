//! `helm` installs charts.

use std::fs;

use crate::cluster::Cluster;
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![Shared: helm_installs_and_removes_a_chart]
}

async fn helm_installs_and_removes_a_chart(cluster: &Cluster) {
    let chart = cluster.directory().join("smoke-chart");
    fs::create_dir_all(chart.join("templates")).unwrap();
    fs::write(chart.join("Chart.yaml"), "apiVersion: v2\nname: smoke\nversion: 0.1.0\n").unwrap();
    let template =
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: smoke}\ndata: {colour: {{ .Values.colour }}}\n";
    fs::write(chart.join("templates/map.yaml"), template).unwrap();
    let chart = chart.to_str().unwrap();
    let place = ["--namespace", "smoke-chart"];

    let refused = cluster.helm_fails([&["install", "smoke", "/no/such/chart"][..], &place].concat());
    assert!(refused.contains("/no/such/chart"), "{refused}");
    let options = ["--create-namespace", "--set", "colour=red", "--wait"];
    cluster.helm([&["install", "smoke", chart][..], &place, &options].concat());
    let colour = cluster
        .kubectl([&["get", "configmap", "smoke", "-o", "jsonpath={.data.colour}"][..], &place].concat());
    assert_eq!(colour, "red");
    cluster.helm([&["uninstall", "smoke"][..], &place].concat());
    assert_eq!(
        cluster.kubectl([&["get", "configmap", "smoke", "--ignore-not-found"][..], &place].concat()),
        ""
    );
}
