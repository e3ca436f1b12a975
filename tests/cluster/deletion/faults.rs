//! What breaks in the middle of a deletion: its status is the same as if nothing had.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use secateur::api::result::Record;
use secateur::api::status::ImageDeletionStatus;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{assert_complete, until_no_lease};
use crate::bed::{Image, Imported, eventually};
use crate::cluster::{Cluster, Node, SECATEUR, merged};
use crate::suite::{Test, tests};

/// Images of one deletion: as many as there may be, so that it has a middle.
const IMAGES: usize = 64;

pub(crate) fn tests() -> Vec<Test> {
    tests![Alone: an_agent_that_is_killed_goes_on_after_its_restart, a_containerd_that_restarts_is_waited_for,
        an_api_server_that_is_away_is_waited_for, another_controller_takes_over,
        a_lease_that_is_removed_is_made_again,
        a_deletion_that_is_removed_in_the_middle_leaves_nothing_by_half]
}

async fn an_agent_that_is_killed_goes_on_after_its_restart(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    for node in cluster.nodes() {
        let series = Series::import(cluster, &format!("agent-{}", node.name())).await;
        cluster.request(&series.name, series.spec());
        series.until_half_gone(node).await;
        node.signal_agent(Signal::SIGKILL).await;
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
    let leader = cluster.leader();
    // Without the report of one node the leader can't complete it.
    cluster.node_a().signal_agent(Signal::SIGSTOP).await;
    cluster.request(&series.name, series.spec());
    let node = cluster.kill_leader().await;
    cluster.node_a().signal_agent(Signal::SIGCONT).await;
    let begin = Instant::now();
    series.assert_as_without_fault(cluster).await;
    eprintln!("complete {:.1} s after the leader {leader} was killed", begin.elapsed().as_secs_f64());
    assert_ne!(cluster.leader(), leader);
    node.kubelet.start();
    cluster.await_nodes().await;
    cluster.await_secateur().await;
}

async fn a_lease_that_is_removed_is_made_again(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let leader = cluster.leader();
    cluster.kubectl(["delete", "lease", "secateur-controller", "-n", SECATEUR]);
    let holder = eventually("the Lease to be there again", async || {
        let holder = "jsonpath={.items[*].spec.holderIdentity}";
        let holder = cluster.kubectl(["get", "leases", "-n", SECATEUR, "-o", holder]);
        (!holder.is_empty()).then_some(holder)
    })
    .await;
    assert_eq!(holder, leader, "the others wait until they know that it leads no longer");
    assert_complete(&cluster.delete("faults-lease", json!({"images": ["faults/none:v1"]})).await);
    assert_eq!(cluster.leader(), leader);
}

async fn a_deletion_that_is_removed_in_the_middle_leaves_nothing_by_half(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let series = Series::stopped_in_the_middle(cluster, cluster.node_a(), "removed").await;
    cluster.kubectl(["delete", "imagedeletion", &series.name]);
    cluster.node_a().signal_agent(Signal::SIGCONT).await;
    cluster.deletion_is_gone(&series.name).await;
    // The agents have gone past it once they have done the next.
    let status = cluster.delete("faults-after", json!({"images": ["faults/none:v1"]})).await;
    assert_complete(&status);
    for node in cluster.nodes() {
        let records = node.records().await;
        for image in &series.images {
            let names = records.values().filter(|record| record.target == image.target).count();
            let is_whole = names == 2 && node.has_content(image.config()).await;
            assert!(is_whole || node.has_nothing_of(image).await, "{} on {}", image.name, node.name());
        }
        until_no_lease(node).await;
    }
    cluster.deletion_is_gone(&series.name).await;
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

    /// One that is being deleted, and the agent of a node has stopped in the middle of it. Where that came too late it is another one.
    async fn stopped_in_the_middle(cluster: &Cluster, node: &Node, what: &str) -> Self {
        let agent = node.container_pids(SECATEUR, "agent").await;
        let [agent] = agent[..] else { panic!("{} runs agents {agent:?}", node.name()) };
        for attempt in 0..10 {
            let series = Self::import(cluster, &format!("{what}-{attempt}")).await;
            cluster.request(&series.name, series.spec());
            series.until_half_gone(node).await;
            kill(Pid::from_raw(agent), Signal::SIGSTOP).expect("the agent takes signals");
            let left = series.left_on(node).await;
            eprintln!("{}: stopped with {left} of {IMAGES} images left", series.name);
            if (1..IMAGES).contains(&left) {
                return series;
            }
            kill(Pid::from_raw(agent), Signal::SIGCONT).expect("the agent takes signals");
            cluster.finished(&series.name).await;
        }
        panic!("the agent was never stopped in time")
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
            let left = self.left_on(node).await;
            if left < IMAGES {
                eprintln!("{}: {left} of {IMAGES} images left on {}", self.name, node.name());
                return;
            }
            assert!(Instant::now() < deadline, "nothing was removed from {}", node.name());
        }
    }

    async fn left_on(&self, node: &Node) -> usize {
        let records = node.records().await;
        self.images.iter().filter(|image| records.contains_key(&image.name)).count()
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
            until_no_lease(node).await;
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
