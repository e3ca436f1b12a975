//! What must be so whenever everything has come to rest, and at the end.

use std::collections::{BTreeMap, BTreeSet};

use k8s_cri::v1::ListContainersRequest;
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use secateur::api::deletion::ImageDeletion;
use secateur::api::report::{ImageDeletionReport, ImageDeletionReportSpec};
use secateur::api::result::Record;
use serde_json::json;
use tokio::time::{Duration, Instant, sleep};

use super::NAMESPACE;
use super::deeds::Deeds;
use super::diary::Diary;
use super::ledger::{Ledger, familiar, name_of, name_of_pod};
use super::vitals::History;
use crate::bed::Imported;
use crate::cluster::{Cluster, Node, fetch};

/// How long everything may take to come to rest: the kubelet tries a container again after some time.
const PATIENCE: Duration = Duration::from_secs(120);
/// The most entries of a deletion.
const ENTRIES: usize = 64;

/// What was found at rest so far.
pub(super) struct Rest<'a> {
    cluster: &'a Cluster,
    diary: &'a Diary,
    /// What was on the nodes before anything was done.
    before: [BTreeSet<String>; 2],
    told: [Told; 2],
    counted: [Counted; 2],
    history: History,
    deletions: usize,
    exact: usize,
}

/// What the reports of a node say, those of all deletions together.
#[derive(Clone, Debug, Default)]
struct Told {
    untagged: BTreeMap<String, u32>,
    deleted: BTreeMap<String, u32>,
    counts: Counts,
}

/// What both reports and metrics tell, by the name of the metric.
type Counts = BTreeMap<String, u64>;

/// What the agent of a node had counted at the last rest, and what had been told by then.
#[derive(Debug, Default)]
struct Counted {
    container: String,
    by_agent: Counts,
    told: Counts,
}

impl<'a> Rest<'a> {
    pub(super) async fn begin(cluster: &'a Cluster, diary: &'a Diary) -> Self {
        let [a, b] = cluster.nodes();
        let before = [belongings(a).await, belongings(b).await];
        let mut rest = Self {
            cluster,
            diary,
            before,
            told: Default::default(),
            counted: Default::default(),
            history: History::default(),
            deletions: 0,
            exact: 0,
        };
        for index in 0..2 {
            rest.counted[index] = rest.count(index).await.expect("the agent counts");
        }
        rest
    }

    /// Waits until everything has come to rest, and checks it.
    pub(super) async fn check(&mut self, deeds: &Deeds<'_>) {
        self.diary.note("rest");
        self.finish(deeds).await;
        self.cluster.await_secateur().await;
        let told = self.settled(deeds).await;
        self.until_right("pods", async || self.pods_that_do_not_run(deeds).await).await;
        for (index, node) in self.cluster.nodes().iter().enumerate() {
            self.compare(index, &told[index].counts).await;
            self.history.look(node).await;
        }
        self.told = told;
        self.forget(deeds).await;
    }

    /// Removes everything that was made, and checks that nothing is left.
    pub(super) async fn end(&mut self, deeds: &Deeds<'_>) {
        let pods: Vec<usize> = deeds.known().pods.keys().copied().collect();
        for pod in pods {
            deeds.stop(pod).await;
        }
        self.until_right("containers to go", async || self.containers().await).await;
        let targets: Vec<String> =
            deeds.known().images.values().map(|(image, _)| image.target.to_string()).collect();
        let mut chunks = vec![vec!["soak/**".to_owned()]];
        chunks.extend(targets.chunks(ENTRIES).map(<[String]>::to_vec));
        for (index, images) in chunks.into_iter().enumerate() {
            let name = format!("soak-end-{index}");
            deeds.known().deletions.insert(name.clone());
            self.cluster.post_deletion(&name, json!({"images": images})).await;
            self.finish(deeds).await;
        }
        self.check(deeds).await;
        for (index, node) in self.cluster.nodes().iter().enumerate() {
            node.collect_garbage().await;
            let left = belongings(node).await;
            let left: Vec<_> = left.difference(&self.before[index]).collect();
            assert!(left.is_empty(), "{} has what nobody made: {left:#?}", node.name());
        }
    }

    /// Whether an agent lived from one rest to the next, so that its counters were to be equal.
    pub(super) fn has_compared(&self) -> bool {
        self.exact > 0
    }

    /// What was done, in a line.
    pub(super) fn told(&self) -> String {
        let sum = |name: &str| -> u64 { self.told.iter().filter_map(|told| told.counts.get(name)).sum() };
        format!(
            "{} deletions, {} names and {} images gone, counters equal in {} of the rests; {}",
            self.deletions,
            sum("secateur_references_untagged_total"),
            sum("secateur_images_deleted_total"),
            self.exact,
            self.history.told(),
        )
    }

    /// Waits until every deletion has come to its end.
    async fn finish(&self, deeds: &Deeds<'_>) {
        let deletions: Api<ImageDeletion> = Api::all(self.cluster.client());
        self.until_right("deletions to come to their end", async || {
            let Ok(found) = deletions.list(&ListParams::default()).await else {
                return vec!["no answer".to_owned()];
            };
            let ledger = deeds.known();
            let open = found.iter().filter(|deletion| !deletion.is_finished());
            let names = open.filter_map(|deletion| deletion.metadata.name.clone());
            names.filter(|name| ledger.deletions.contains(name)).collect()
        })
        .await;
    }

    /// Waits until reports and nodes agree, and returns what has been told by then.
    async fn settled(&self, deeds: &Deeds<'_>) -> [Told; 2] {
        self.until_right("reports and nodes to agree", async || {
            let told = self.read(deeds).await;
            let mut wrong = Vec::new();
            for (index, node) in self.cluster.nodes().iter().enumerate() {
                wrong.extend(disagreements(index, node, &told[index], deeds).await);
            }
            wrong
        })
        .await;
        self.read(deeds).await
    }

    async fn read(&self, deeds: &Deeds<'_>) -> [Told; 2] {
        let reports: Api<ImageDeletionReport> = Api::all(self.cluster.client());
        let reports = reports.list(&ListParams::default()).await.expect("the API server lists reports");
        let ledger = deeds.known();
        let mut told = self.told.clone();
        for report in reports.items.into_iter().map(|report| report.spec) {
            if let Some(index) = self.cluster.nodes().iter().position(|node| node.name() == report.node_name)
                && ledger.deletions.contains(&report.image_deletion)
            {
                let is_dry_run = ledger.dry_runs.contains(&report.image_deletion);
                told[index].add(report, is_dry_run);
            }
        }
        told
    }

    /// The pods that should run and do not, and the images that a container needs which has run and are gone.
    async fn pods_that_do_not_run(&self, deeds: &Deeds<'_>) -> Vec<String> {
        let pods: Vec<_> = deeds.known().pods.clone().into_iter().collect();
        let mut wrong = Vec::new();
        for (pod, started) in pods {
            let node = &self.cluster.nodes()[started.node];
            let runs = node.container_of(NAMESPACE, &name_of_pod(pod)).await.is_some();
            if runs && let Some(started) = deeds.known().pods.get_mut(&pod) {
                started.has_run = true;
            }
            let is_there = node.has_image(&name_of(started.image)).await;
            let (must_run, must_stay) = {
                let ledger = deeds.known();
                let (made, target) = (&ledger.made[started.node], &*ledger.images[&started.image].0.target);
                let counts = started.has_run && !made.forced.contains(&started.image);
                (
                    counts && !made.named_more.contains(&started.image),
                    counts && !made.moved_from.contains(target),
                )
            };
            if !runs
                && (is_there || must_run || must_stay && !self.is_named(node, deeds, started.image).await)
            {
                wrong.push(format!("pod-{pod} {started:?}, image there: {is_there}"));
            }
        }
        wrong
    }

    /// Whether an image has a name on a node, whichever.
    async fn is_named(&self, node: &Node, deeds: &Deeds<'_>, image: usize) -> bool {
        let records = node.records().await;
        let ledger = deeds.known();
        let target = &ledger.images[&image].0.target;
        records.values().any(|record| record.target == *target)
    }

    /// The containers of the soak's pods, those that have ended among them.
    async fn containers(&self) -> Vec<String> {
        let mut left = Vec::new();
        for node in self.cluster.nodes() {
            let listed = node.runtime().list_containers(ListContainersRequest { filter: None }).await;
            let listed = listed.expect("the CRI lists containers").into_inner().containers;
            let namespace = |labels: &std::collections::HashMap<String, String>| {
                labels.get("io.kubernetes.pod.namespace").is_some_and(|namespace| namespace == NAMESPACE)
            };
            left.extend(listed.into_iter().filter(|it| namespace(&it.labels)).map(|container| container.id));
        }
        left
    }

    /// Compares what an agent counts with what it reports. What an agent counted that was killed since is not known, so there it
    /// may be less.
    async fn compare(&mut self, index: usize, told: &Counts) {
        let begin = Instant::now();
        loop {
            let before = &self.counted[index];
            let now = self.count(index).await;
            let wrong = now
                .as_ref()
                .map_or_else(|| vec!["no answer".to_owned()], |now| differences(before, now, told));
            if wrong.is_empty() {
                break;
            }
            assert!(begin.elapsed() < Duration::from_secs(10), "counters and reports differ: {wrong:#?}");
            sleep(Duration::from_millis(200)).await;
        }
        let now = self.count(index).await.expect("the agent counts");
        self.exact += usize::from(now.container == self.counted[index].container);
        self.counted[index] = Counted { told: told.clone(), ..now };
    }

    /// What the agent of a node has counted.
    async fn count(&self, index: usize) -> Option<Counted> {
        let node = &self.cluster.nodes()[index];
        let labels = [
            ("io.kubernetes.pod.namespace", crate::cluster::SECATEUR),
            ("io.kubernetes.container.name", "agent"),
        ];
        let container = node.running_containers(&labels).await.pop()?.id;
        let (_, address) = self.cluster.agent_of(node);
        let page = fetch(&format!("http://{address}/metrics"))?;
        let value = |line: &str| {
            let (name, value) = line.rsplit_once(' ')?;
            Some((name.to_owned(), value.parse().ok()?))
        };
        let by_agent = page.lines().filter(|line| !line.starts_with('#')).filter_map(value).collect();
        Some(Counted { container, by_agent, told: Counts::new() })
    }

    /// Removes the deletions that are accounted for.
    async fn forget(&mut self, deeds: &Deeds<'_>) {
        let names = std::mem::take(&mut deeds.known().deletions);
        self.deletions += names.len();
        let deletions: Api<ImageDeletion> = Api::all(self.cluster.client());
        for name in names {
            deletions.delete(&name, &DeleteParams::background()).await.expect("a deletion can be removed");
        }
    }

    /// Asks until nothing is wrong any more.
    async fn until_right(&self, what: &str, mut wrong: impl AsyncFnMut() -> Vec<String>) {
        let begin = Instant::now();
        loop {
            let found = wrong().await;
            if found.is_empty() {
                self.diary.note(&format!("{what}: right after {:.1} s", begin.elapsed().as_secs_f64()));
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "waited for {what}: {found:#?}");
            sleep(Duration::from_millis(200)).await;
        }
    }
}

impl Told {
    /// What a dry run tells of has not happened.
    fn add(&mut self, report: ImageDeletionReportSpec, is_dry_run: bool) {
        for result in report.results.iter().filter(|_| !is_dry_run) {
            if report.completion_time.is_some() {
                let outcome = format!("secateur_image_outcomes_total{{outcome=\"{:?}\"}}", result.outcome);
                *self.counts.entry(outcome).or_default() += 1;
            }
            for record in &result.records {
                let (told, name, counter) = match record {
                    Record::Untagged(name) => {
                        (&mut self.untagged, name, "secateur_references_untagged_total")
                    }
                    Record::Deleted(image) => (&mut self.deleted, image, "secateur_images_deleted_total"),
                };
                *told.entry(name.clone()).or_default() += 1;
                *self.counts.entry(counter.to_owned()).or_default() += 1;
            }
            *self.counts.entry("secateur_reclaimed_bytes_total".to_owned()).or_default() +=
                result.reclaimed_bytes;
        }
    }
}

/// What an agent has counted since the last rest, where that is not what was told since.
fn differences(before: &Counted, now: &Counted, told: &Counts) -> Vec<String> {
    let of = |counts: &Counts, name: &str| counts.get(name).copied().unwrap_or_default();
    let mut wrong = Vec::new();
    for name in told.keys() {
        let told = of(told, name) - of(&before.told, name);
        let (is_right, counted) = match before.container == now.container {
            true => {
                let counted = of(&now.by_agent, name) - of(&before.by_agent, name);
                (counted == told, counted)
            }
            false => (of(&now.by_agent, name) <= told, of(&now.by_agent, name)),
        };
        if !is_right {
            wrong.push(format!("{name}: counted {counted}, reported {told}"));
        }
    }
    wrong
}

/// Where the reports of a node and what is on it contradict each other, or something of ours is left.
async fn disagreements(index: usize, node: &Node, told: &Told, deeds: &Deeds<'_>) -> Vec<String> {
    let (records, content, leases) = tokio::join!(node.records(), node.content(), node.leases());
    let ledger: &Ledger = &deeds.known();
    let made = &ledger.made[index];
    let mut wrong: Vec<String> = leases
        .into_keys()
        .filter(|lease| lease.starts_with("secateur-"))
        .map(|lease| format!("lease {lease}"))
        .collect();
    for name in &made.names {
        let times = told.untagged.get(familiar(name)).copied().unwrap_or_default();
        let is_there = records.contains_key(name);
        if times != u32::from(!is_there) {
            wrong.push(format!("{name} is there: {is_there}, reported gone {times} times"));
        }
    }
    let known = |name: &&String| made.names.contains(&format!("docker.io/{name}"));
    wrong.extend(
        told.untagged.keys().filter(|name| !known(name)).map(|name| format!("{name} was never there")),
    );
    for (image, nodes) in ledger.images.values() {
        if !nodes[index] {
            continue;
        }
        let times = told.deleted.get(&*image.target).copied().unwrap_or_default();
        let lost: Vec<_> = lost(image, |digest| content.contains_key(digest));
        let named = records.values().any(|record| record.target == image.target);
        let is_right = match times {
            0 => lost.is_empty() || made.moved_from.contains(&*image.target),
            1 => !named && !lost.is_empty(),
            _ => false,
        };
        if !is_right {
            wrong.push(format!(
                "{} {}: reported gone {times} times, named: {named}, lost {lost:?}",
                image.name, image.target
            ));
        }
    }
    wrong.iter().map(|wrong| format!("{}: {wrong}", node.name())).collect()
}

fn lost(image: &Imported, is_there: impl Fn(&crate::bed::Digest) -> bool) -> Vec<String> {
    let lost = image.content().into_iter().filter(|digest| !is_there(digest));
    lost.map(|digest| digest.to_string()).collect()
}

/// Everything that a node has: records, content and layers.
async fn belongings(node: &Node) -> BTreeSet<String> {
    let (records, disk) = tokio::join!(node.records(), node.disk());
    records.into_keys().chain(disk.keys().map(str::to_owned)).collect()
}
