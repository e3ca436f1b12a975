//! One round: pods of an image start on both nodes while the image is deleted.

use std::time::Duration;

use secateur::api::result::{ConflictKind, Outcome};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::NAMESPACE;
use crate::bed::{Imported, eventually};
use crate::cluster::{Cluster, Node, Pod};
use crate::sight::Sight;

/// Of so many rounds one lets the kubelet start the container again.
const RESTARTS: usize = 3;

/// When an image is deleted, seen from the creation of its pods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Offset {
    /// The pods are created when the deletion has been reported.
    DeletionEnds,
    /// The deletion is created so many milliseconds after the pods.
    Milliseconds(i64),
    /// The deletion is created when the pods run.
    PodRuns,
}

/// What came of a round on one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The image is gone, and the pod does not come up.
    Gone,
    /// The pod needed the image before it had a container, and came up.
    Needed,
    /// A container used the image.
    Used,
    /// A container used the image, and only its name went.
    Untagged,
}

/// A round.
#[derive(Debug)]
pub(super) struct Round {
    pub(super) number: usize,
    pub(super) image: Imported,
    pub(super) offset: Offset,
    pub(super) seed: u64,
}

impl Round {
    /// Plays it, checks what must be so in each, and says what came of it on each node.
    pub(super) async fn play(&self, cluster: &Cluster, sight: &Sight) -> [Fate; 2] {
        match self.offset {
            Offset::DeletionEnds => {
                self.delete(cluster, Duration::ZERO).await;
                for node in cluster.nodes() {
                    self.report(sight, node).await;
                }
                self.start_pods(cluster, Duration::ZERO).await;
            }
            Offset::PodRuns => {
                self.start_pods(cluster, Duration::ZERO).await;
                for node in cluster.nodes() {
                    self.runs(node, 0).await;
                }
                self.delete(cluster, Duration::ZERO).await;
            }
            Offset::Milliseconds(offset) => {
                let [early, late] = [-offset, offset]
                    .map(|pause| Duration::from_millis(u64::try_from(pause).unwrap_or_default()));
                tokio::join!(self.start_pods(cluster, early), self.delete(cluster, late));
            }
        }
        let [a, b] = cluster.nodes();
        let (a, b) = tokio::join!(self.settle(sight, a), self.settle(sight, b));
        for node in cluster.nodes() {
            cluster.remove_pod(&self.pod(node)).await;
        }
        [a, b]
    }

    async fn settle(&self, sight: &Sight, node: &Node) -> Fate {
        let report = self.report(sight, node).await;
        let result = &report.results[0];
        match result.outcome {
            Outcome::Deleted => {
                self.is_refused(sight, node).await;
                Fate::Gone
            }
            Outcome::Untagged if self.is_forced() => {
                self.runs(node, 0).await;
                let mut lost = node.lost_of(&self.image).await;
                lost.retain(|lost| *lost != self.image.name);
                assert_eq!(lost, [""; 0], "what is in use is not there: {}", self.told(node));
                Fate::Untagged
            }
            Outcome::Conflict => {
                let container = self.runs(node, 0).await;
                self.assert_whole(node).await;
                if self.number.is_multiple_of(RESTARTS) {
                    node.kill_task(&container).await;
                    self.runs(node, 1).await;
                    self.assert_whole(node).await;
                }
                let pending = |kind| kind == ConflictKind::PendingPod;
                match result.conflicts.iter().all(|conflict| pending(conflict.kind)) {
                    true => Fate::Needed,
                    false => Fate::Used,
                }
            }
            _ => panic!("{}: {result:#?}", self.told(node)),
        }
    }

    /// Waits until the node's kubelet has tried in vain to make the container.
    async fn is_refused(&self, sight: &Sight, node: &Node) {
        let pod = self.pod(node);
        eventually(&format!("{} to be refused: {}", pod.name(), self.told(node)), async || {
            let running = node.container_of(NAMESPACE, pod.name()).await;
            assert_eq!(running, None, "it runs and its image is gone: {}", self.told(node));
            let status = sight.pod(pod.name())?.status?;
            let state = status.container_statuses?.pop()?.state?;
            state.waiting?.reason.filter(|reason| reason != "ContainerCreating")
        })
        .await;
    }

    /// Waits until the container runs for the so-manieth time, and returns its ID.
    async fn runs(&self, node: &Node, attempt: u32) -> String {
        let pod = self.pod(node);
        let what = format!("{} to run, attempt {attempt}: {}", pod.name(), self.told(node));
        let is_it = |(_, tried): &(String, u32)| *tried >= attempt;
        eventually(&what, async || node.container_of(NAMESPACE, pod.name()).await.filter(is_it)).await.0
    }

    /// The image is there with all that belongs to it.
    async fn assert_whole(&self, node: &Node) {
        let lost = node.lost_of(&self.image).await;
        assert_eq!(lost, [""; 0], "what is in use is not there: {}", self.told(node));
    }

    async fn report(&self, sight: &Sight, node: &Node) -> secateur::api::report::ImageDeletionReportSpec {
        eventually(&format!("a report: {}", self.told(node)), async || {
            sight.report(&self.name(), node.name())
        })
        .await
    }

    async fn start_pods(&self, cluster: &Cluster, pause: Duration) {
        sleep(pause).await;
        let pods = cluster.nodes().each_ref().map(|node| self.pod(node));
        let [a, b] = &pods;
        tokio::join!(cluster.post_pod(a), cluster.post_pod(b));
    }

    async fn delete(&self, cluster: &Cluster, pause: Duration) {
        sleep(pause).await;
        cluster.post_deletion(&self.name(), self.spec()).await;
    }

    fn spec(&self) -> Value {
        json!({"images": [self.image.name], "force": self.is_forced()})
    }

    /// Of three rounds one forces the deletion: a pod that has no container does not hold its image then.
    fn is_forced(&self) -> bool {
        self.number % 3 == 2
    }

    fn pod(&self, node: &Node) -> Pod {
        pod(&format!("{}-{}", node.name(), self.number), &self.image, node)
    }

    fn name(&self) -> String {
        format!("races-{}", self.number)
    }

    fn told(&self, node: &Node) -> String {
        format!(
            "round {} on {}, {:?}, {}, SEED={}",
            self.number,
            node.name(),
            self.offset,
            self.spec(),
            self.seed
        )
    }
}

/// The time from the creation of two pods until both run; they are removed then.
pub(super) async fn time_to_start(cluster: &Cluster, number: usize, image: &Imported) -> Duration {
    let pods =
        cluster.nodes().each_ref().map(|node| pod(&format!("{}-trial-{number}", node.name()), image, node));
    let [a, b] = &pods;
    let begin = Instant::now();
    tokio::join!(cluster.post_pod(a), cluster.post_pod(b));
    for (node, pod) in cluster.nodes().iter().zip(&pods) {
        eventually("a pod without a deletion to run", async || {
            node.container_of(NAMESPACE, pod.name()).await
        })
        .await;
    }
    let took = begin.elapsed();
    for pod in &pods {
        cluster.remove_pod(pod).await;
    }
    took
}

fn pod(name: &str, image: &Imported, node: &Node) -> Pod {
    Pod::new(NAMESPACE, name, &image.name, node).bound(node).host_network().without_token()
}
