//! Images that nothing uses.

use std::time::Duration;

use secateur::api::result::Outcome;
use serde_json::json;

use super::{assert_complete, deleted, on_both, outcome_of, untagged, until_no_lease};
use crate::cluster::{Cluster, merged};
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![Shared: an_idle_image_goes_from_both_nodes, an_image_that_no_node_has_is_absent, several_come_one_after_another;
        Alone: it_takes_less_than_half_a_second]
}

async fn an_idle_image_goes_from_both_nodes(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let image = on_both(cluster, "idle/app:v1").await;
    let status = cluster.delete("idle-app", json!({"images": ["idle/app:v1"]})).await;

    assert_complete(&status);
    let nodes = status.nodes;
    assert_eq!((nodes.desired, nodes.reported, nodes.deleted, nodes.without_agent), (2, 2, 2, 0));
    assert_eq!(merged(&status), [(untagged("idle/app:v1"), 2), (deleted(&image), 2)]);
    let reports = cluster.reports("idle-app").await;
    assert_eq!(reports.keys().collect::<Vec<_>>(), ["node-a", "node-b"]);
    let reported: u64 =
        reports.values().flat_map(|report| &report.results).map(|result| result.reclaimed_bytes).sum();
    assert!(reported > 0);
    assert_eq!(status.reclaimed_bytes, reported);
    for node in cluster.nodes() {
        assert!(node.has_nothing_of(&image).await, "{}", node.name());
        assert_eq!(outcome_of(&status, node.name()), Some(Outcome::Deleted));
        // Of other deletions, or of this one for a moment after its report.
        until_no_lease(node).await;
    }
}

async fn an_image_that_no_node_has_is_absent(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let status = cluster.delete("idle-absent", json!({"images": ["idle/never:v1"]})).await;
    assert_complete(&status);
    assert_eq!((status.nodes.absent, status.nodes.desired), (2, 2));
    assert_eq!(merged(&status), []);
    assert!(
        status
            .node_results
            .iter()
            .all(|node| node.message.as_deref() == Some("No such image: idle/never:v1"))
    );
}

async fn several_come_one_after_another(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let images = ["idle/many-a:v1", "idle/many-b:v1", "idle/many-c:v1"];
    for image in images {
        on_both(cluster, image).await;
    }
    let manifests: Vec<_> = (0..3)
        .map(|index| {
            crate::cluster::manifest(&format!("idle-many-{index}"), json!({"images": [images[index]]}))
        })
        .collect();
    cluster.apply(&manifests.join("\n---\n"));
    for index in 0..3 {
        let status = cluster.finished(&format!("idle-many-{index}")).await;
        assert_complete(&status);
        assert_eq!(status.nodes.deleted, 2);
    }
}

/// The goal of the issue: `kubectl` included.
async fn it_takes_less_than_half_a_second(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let mut times = Vec::new();
    for round in 0..5 {
        let name = format!("idle/quick-{round}:v1");
        on_both(cluster, &name).await;
        times.push(cluster.time_to_complete(&format!("idle-quick-{round}"), json!({"images": [name]})).await);
    }
    times.sort();
    let told = times.iter().map(|time| format!("{:.3} s", time.as_secs_f64())).collect::<Vec<_>>().join(", ");
    eprintln!("from kubectl apply to Complete on two idle nodes: {told}");
    let median = times[times.len() / 2];
    assert!(median < Duration::from_millis(500), "{told}");
}
