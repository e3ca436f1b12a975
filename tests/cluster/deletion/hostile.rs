//! What strangers can put on a node does not deceive whoever reads about it in the cluster.

use std::fs;
use std::path::Path;

use secateur::api::result::{Outcome, Record};
use serde_json::{Value, json};

use super::{assert_complete, on_both};
use crate::bed::eventually;
use crate::cluster::{Cluster, Pod, fetch};
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![Shared: a_hostile_name_is_data_in_the_report_and_stays_in_its_line_elsewhere]
}

const HOSTILE: &str = "hostile\n{\"level\":\"ERROR\"}\r\u{1b}[2J\u{9b}31m\u{202e}\u{7}";

#[track_caller]
fn assert_prints(text: &str) {
    let harmful = |c: char| c != '\n' && c.is_control() || matches!(c, '\u{2028}'..='\u{202e}');
    assert!(!text.contains(harmful), "{text:?}");
}

async fn a_hostile_name_is_data_in_the_report_and_stays_in_its_line_elsewhere(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    on_both(cluster, "hostile/app:v1").await;
    cluster.namespace("hostile-run").await;
    let [here, there] = cluster.nodes();
    for node in [here, there] {
        node.put_record(HOSTILE, "docker.io/hostile/app:v1").await;
    }
    cluster.run_pod(&Pod::new("hostile-run", "cart", "docker.io/hostile/app:v1", here));

    let status = cluster.delete("hostile-app", json!({"images": ["hostile/app:v1"]})).await;

    assert_complete(&status);
    assert_eq!((status.nodes.deleted, status.nodes.conflicted), (1, 1));
    assert!(
        status.records.iter().any(|merged| merged.record == Record::Untagged(HOSTILE.to_owned())),
        "{status:#?}"
    );
    let told = status.node_results.iter().filter(|result| result.outcome == Outcome::Conflict);
    told.for_each(|result| assert_prints(result.message.as_deref().unwrap_or_default()));
    status.conditions.iter().for_each(|condition| assert_prints(&condition.message));

    let ours = eventually("an Event about the image", async || {
        let events = cluster.kubectl(["get", "events", "--all-namespaces", "-o", "json"]);
        let events: Value = serde_json::from_str(&events).unwrap();
        let messages =
            events["items"].as_array().unwrap().iter().filter_map(|event| event["message"].as_str());
        let ours = messages.filter(|message| message.contains("hostile/app")).map(str::to_owned);
        Some(ours.collect::<Vec<_>>()).filter(|ours| !ours.is_empty())
    })
    .await;
    ours.iter().for_each(|message| assert_prints(message));
    for (pod, address) in cluster.secateur_pods() {
        let metrics = fetch(&format!("http://{address}/metrics")).expect("the pod serves metrics");
        assert!(!metrics.contains("hostile"), "{pod}: a name is in a metric: {metrics}");
    }
    let lines = agent_lines(there.name(), cluster.directory());
    let removed: Vec<_> = lines.iter().filter(|line| line["name"] == HOSTILE).collect();
    assert_eq!(removed.len(), 1, "one line says that it was removed: {lines:#?}");
}

/// The lines of the agent's log on a node. Each is an event, whole and by itself.
fn agent_lines(node: &str, cluster: &Path) -> Vec<Value> {
    let pods =
        fs::read_dir(cluster.join(node).join("var/log/pods")).unwrap().map(|entry| entry.unwrap().path());
    let agents = pods.map(|pod| pod.join("agent")).filter(|agent| agent.exists());
    let logs = agents.flat_map(|agent| fs::read_dir(agent).unwrap().map(|log| log.unwrap().path()));
    let text: String = logs.map(|log| fs::read_to_string(log).unwrap()).collect();
    assert_prints(&text);
    let event = |line: &str| {
        let (_, event) = line.split_once(" F ").expect("the CRI writes whole lines");
        serde_json::from_str(event).unwrap_or_else(|error| panic!("{error}: {line}"))
    };
    text.lines().map(event).collect()
}
