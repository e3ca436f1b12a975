//! What breaks in the middle of a deletion: its status is the same as if nothing had.

use std::time::Duration;

use secateur::api::result::Record;
use secateur::api::status::ImageDeletionStatus;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::assert_complete;
use crate::bed::{Image, Imported};
use crate::cluster::{Cluster, Node, merged};
use crate::suite::{Test, tests};

/// Images of one deletion: as many as there may be, so that it has a middle.
const IMAGES: usize = 64;

pub(crate) fn tests() -> Vec<Test> {
    tests![Alone: an_agent_that_is_killed_goes_on_after_its_restart, a_containerd_that_restarts_is_waited_for,
        an_api_server_that_is_away_is_waited_for, another_controller_takes_over]
}

async fn an_agent_that_is_killed_goes_on_after_its_restart(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    for node in cluster.nodes() {
        let series = Series::import(cluster, &format!("agent-{}", node.name())).await;
        cluster.request(&series.name, series.spec());
        series.until_half_gone(node).await;
        cluster.kill_agent(node).await;
        series.assert_as_without_fault(cluster).await;
    }
}

async fn a_containerd_that_restarts_is_waited_for(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    for node in cluster.nodes() {
        let series = Series::import(cluster, &format!("containerd-{}", node.name())).await;
        cluster.request(&series.name, series.spec());
        series.until_half_gone(node).await;
        node.restart_containerd().await;
        series.assert_as_without_fault(cluster).await;
    }
}

async fn an_api_server_that_is_away_is_waited_for(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let series = Series::import(cluster, "api").await;
    cluster.request(&series.name, series.spec());
    series.until_half_gone(cluster.node_b()).await;
    cluster.api_server().kill();
    sleep(Duration::from_secs(10)).await;
    cluster.api_server().start();
    cluster.await_api().await;
    series.assert_as_without_fault(cluster).await;
}

async fn another_controller_takes_over(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let series = Series::import(cluster, "controller").await;
    let leader = cluster.kill_leader().await;
    let begin = Instant::now();
    cluster.request(&series.name, series.spec());
    series.assert_as_without_fault(cluster).await;
    eprintln!("complete {:.1} s after the leader {leader} was killed", begin.elapsed().as_secs_f64());
    cluster.await_secateur().await;
}

/// Many images on both nodes.
struct Series {
    name: String,
    images: Vec<Imported>,
}

impl Series {
    async fn import(cluster: &Cluster, what: &str) -> Self {
        let images = Image::series(&format!("docker.io/faults/{what}"), IMAGES, 1);
        let [a, b] = cluster.nodes();
        let (images, _) = tokio::join!(a.import_all(&images), b.import_all(&images));
        Self { name: format!("faults-{what}"), images }
    }

    fn spec(&self) -> Value {
        json!({"images": self.entries()})
    }

    fn entries(&self) -> Vec<&str> {
        self.images.iter().filter_map(|image| image.name.strip_prefix("docker.io/")).collect()
    }

    /// Returns while some are gone and some are not.
    async fn until_half_gone(&self, node: &Node) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let records = node.records().await;
            let left = self.images.iter().filter(|image| records.contains_key(&image.name)).count();
            if left < IMAGES {
                eprintln!("{}: {left} of {IMAGES} images left on {}", self.name, node.name());
                return;
            }
            assert!(Instant::now() < deadline, "nothing was removed from {}", node.name());
        }
    }

    async fn assert_as_without_fault(&self, cluster: &Cluster) {
        let status = cluster.finished(&self.name).await;
        assert_complete(&status);
        self.assert_records(&status);
        for (node, report) in cluster.reports(&self.name).await {
            assert!(report.completion_time.is_some(), "{node}");
            let removed: Vec<&Record> = report.results.iter().flat_map(|result| &result.records).collect();
            assert_eq!(removed.len(), 2 * IMAGES, "{node}");
        }
        for node in cluster.nodes() {
            for image in &self.images {
                assert!(node.has_nothing_of(image).await, "{} has {}", node.name(), image.name);
            }
            let leases = node.leases().await;
            assert!(
                !leases.keys().any(|lease| lease.starts_with("secateur-")),
                "{}: {leases:?}",
                node.name()
            );
        }
    }

    fn assert_records(&self, status: &ImageDeletionStatus) {
        assert_eq!((status.nodes.desired, status.nodes.deleted), (2, 2), "{status:#?}");
        let mut expected: Vec<_> = self
            .entries()
            .into_iter()
            .map(|name| Record::Untagged(name.to_owned()))
            .chain(self.images.iter().map(|image| Record::Deleted(image.target.to_string())))
            .map(|record| (record, 2))
            .collect();
        let mut found = merged(status);
        expected.sort();
        found.sort();
        assert_eq!(found, expected);
    }
}
