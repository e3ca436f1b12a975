//! One run: a cluster of so many nodes, and everything that is measured on it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::time::{Duration, Instant};
use std::{env, fs};

use futures::StreamExt;
use kube::api::{Patch, PatchParams};
use kube::runtime::watcher::{self, watcher};
use kube::{Api, ResourceExt};
use secateur::api::deletion::ImageDeletion;
use secateur::api::status::{ImageDeletionStatus, Phase};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::sleep;

use crate::Job;
use crate::agents::Agents;
use crate::bed::{Daemon, eventually};
use crate::cluster::{self, Cluster};
use crate::controller::Controller;
use crate::etcd;
use crate::figures::{Figures, Many};
use crate::fleet;
use crate::meter::Reading;
use crate::process::seconds;
use crate::scripted::{self, Image};

/// What a run does.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Plan {
    pub(crate) nodes: usize,
    /// How long nothing is asked for.
    pub(crate) idle: Duration,
    /// How many deletions are made at once in the end.
    pub(crate) many: usize,
    /// How long all of that may take. Where an agent asks its scripted node for what that does not know, it never ends.
    pub(crate) patience: Duration,
}

/// So long without a request means that what was asked for is done.
const QUIET: Duration = Duration::from_secs(2);
/// Status updates of somebody else's deletion.
pub(crate) const UPDATES: u32 = 10;

/// The two images of a deletion.
fn images_of(deletion: usize) -> [String; 2] {
    ["cart", "checkout"].map(|name| format!("registry.example.com/shop/{name}:1.4.{deletion}"))
}

/// Makes the cluster, and measures.
pub(crate) async fn run(home: &Path, plan: Plan) -> Figures {
    let begin = Instant::now();
    let said =
        |what: &str| eprintln!("{} nodes: {what} after {:.1} s", plan.nodes, begin.elapsed().as_secs_f64());
    let cluster = Cluster::start(home).await;
    said("the API server is ready");
    let places = fleet::settle(&cluster, plan.nodes).await;
    said("nodes and pods are made");
    let sockets = home.join("nodes");
    let nodes = start_nodes(&sockets, plan, &cluster.logs()).await;
    let controller = Controller::start(&cluster).await;
    let agents = Agents::start(places, &cluster.config().await, &sockets).await;
    said("all agents are ready");
    let run = Run { cluster, controller, agents, nodes, plan };
    let mut figures = Figures { nodes: plan.nodes, ..Figures::default() };
    run.idle(&mut figures).await;
    said("the idle time is over");
    run.one(&mut figures).await;
    said("one deletion is complete");
    run.selecting(&mut figures).await;
    said("another one, of selected nodes, is complete");
    run.elsewhere(&mut figures).await;
    if plan.many > 0 {
        figures.many = Some(run.many().await);
        said("many deletions are complete");
    }
    figures
}

/// Starts the scripted nodes in a process of their own, and waits for their sockets.
async fn start_nodes(sockets: &Path, plan: Plan, logs: &Path) -> Daemon {
    let job = serde_json::to_string(&Job::Nodes(plan)).expect("a job is JSON");
    let mut command = Command::new(env::current_exe().expect("the program has a path"));
    command.arg(job).arg(sockets);
    let nodes = Daemon::spawn(&mut command, &logs.join("nodes.log"));
    let ready = ready_file(sockets);
    eventually("the scripted nodes", async || ready.exists().then_some(())).await;
    nodes
}

/// In that process: serves the nodes of a plan, until it is killed. Every node has the images of all deletions.
pub(crate) async fn serve(sockets: &Path, plan: Plan) {
    let images: Vec<Image> = (0..=plan.many + 1).flat_map(images_of).map(Image::new).collect();
    let ready = ready_file(sockets);
    scripted::serve(sockets, plan.nodes, &images, || {
        fs::write(ready, "").expect("the directory can be written")
    })
    .await;
}

/// The file that is there when all sockets are.
fn ready_file(sockets: &Path) -> PathBuf {
    sockets.join("ready")
}

struct Run {
    cluster: Cluster,
    controller: Controller,
    agents: Agents,
    nodes: Daemon,
    plan: Plan,
}

impl Run {
    /// Time in which nobody asks for anything.
    async fn idle(&self, figures: &mut Figures) {
        self.quiet().await;
        let before = self.agents.read();
        sleep(self.plan.idle).await;
        figures.idle_requests = since(&before, &self.agents.read()).map(|reading| reading.requests).sum();
    }

    /// One deletion of two images.
    async fn one(&self, figures: &mut Figures) {
        let (before, stored, writes) = (self.agents.read(), etcd::stored_bytes(), self.status_writes().await);
        let busy = self.busy();
        let (followed, time) = self.complete("one", json!({"images": images_of(0)})).await;
        figures.seconds = time.as_secs_f64();
        self.tell_busy(busy);
        figures.controller = self.controller.peak();
        figures.status = followed.largest;
        self.quiet().await;
        let readings: Vec<_> = since(&before, &self.agents.read()).collect();
        figures.requests = readings.iter().map(|reading| reading.requests).max().unwrap_or_default();
        figures.received = readings.iter().map(|reading| reading.received).max().unwrap_or_default();
        figures.refused = readings.iter().map(|reading| reading.refused).sum();
        figures.writes = self.status_writes().await - writes;
        figures.stored = (etcd::stored_bytes() - stored) / self.plan.nodes as f64;
        let total = |what: fn(&Reading) -> u64| readings.iter().map(what).sum::<u64>();
        eprintln!(
            "all agents: {} requests, {} connections, {} bytes; errors: {:?}; {} status updates seen",
            total(|it| it.requests),
            total(|it| it.connections),
            total(|it| it.received),
            self.agents.errors(),
            followed.updates,
        );
    }

    /// Applies a deletion, which is done on every node, and follows it to its end. Returns how long that took.
    async fn complete(&self, name: &str, spec: serde_json::Value) -> (Followed, Duration) {
        let following = tokio::spawn(follow(self.cluster.client(), vec![name.to_owned()]));
        let begin = Instant::now();
        self.cluster.apply(&manifest(name, spec));
        let followed = following.await.expect("the watch goes on");
        let time = begin.elapsed();
        let status = &followed.last[name];
        assert_eq!(status.phase, Phase::Complete, "{status:?}");
        assert_eq!(status.nodes.deleted as usize, self.plan.nodes, "{:?}", status.nodes);
        (followed, time)
    }

    /// One deletion that selects its nodes, which are all of them.
    async fn selecting(&self, figures: &mut Figures) {
        let before = self.agents.read();
        let selector = json!({"matchLabels": {"kubernetes.io/os": "linux"}});
        let spec = json!({"images": images_of(self.plan.many + 1), "nodeSelector": selector});
        self.complete("selecting", spec).await;
        self.quiet().await;
        let asked = since(&before, &self.agents.read()).map(|reading| reading.requests).max();
        figures.selecting = asked.unwrap_or_default();
    }

    /// Status updates of a deletion that selects no node of any agent, as long as a status of this cluster is.
    async fn elsewhere(&self, figures: &mut Figures) {
        self.controller.stop();
        let deletions: Api<ImageDeletion> = Api::all(self.cluster.client());
        let spec = json!({"images": images_of(0), "nodeSelector": {"matchLabels": {"pool": "elsewhere"}}});
        self.cluster.apply(&manifest("elsewhere", spec));
        self.quiet().await;
        let mut before = self.agents.read();
        let status = deletions.get("one").await.expect("it is there").status.expect("it is complete");
        for update in 0..UPDATES {
            let mut status = status.clone();
            status.phase = Phase::Active;
            status.completion_time = None;
            status.nodes.reported = update;
            let applied = json!({
                "apiVersion": "secateur.dev/v1alpha1", "kind": "ImageDeletion", "metadata": {"name": "elsewhere"},
                "status": status,
            });
            let parameters = PatchParams::apply("secateur-controller").force();
            deletions
                .patch_status("elsewhere", &parameters, &Patch::Apply(applied))
                .await
                .expect("it is taken");
            if update == 0 {
                figures.first_update = self.received_since(&mut before).await;
            }
        }
        figures.next_updates = self.received_since(&mut before).await;
        self.cluster.kubectl(["delete", "imgdel", "elsewhere"]);
        self.controller.restart().await;
    }

    /// The most bytes that an agent has received since, once everything has arrived.
    async fn received_since(&self, before: &mut Vec<Reading>) -> u64 {
        sleep(QUIET).await;
        let now = self.agents.read();
        let received = since(before, &now).map(|reading| reading.received).max();
        *before = now;
        received.unwrap_or_default()
    }

    /// Many deletions at once, of two images each.
    async fn many(&self) -> Many {
        self.quiet().await;
        let (before, errors) = (self.agents.read(), self.errors());
        let deletions = self.plan.many;
        let names: Vec<String> = (1..=deletions).map(|number| format!("many-{number}")).collect();
        let manifests: Vec<_> = names
            .iter()
            .zip(1..)
            .map(|(name, number)| {
                manifest(name, json!({"images": images_of(number), "activeDeadlineSeconds": 3600}))
            })
            .collect();
        let following = tokio::spawn(follow(self.cluster.client(), names));
        let (begin, busy) = (Instant::now(), self.busy());
        self.cluster.apply(&manifests.join("\n---\n"));
        let followed = following.await.expect("the watch goes on");
        let seconds = begin.elapsed().as_secs_f64();
        self.tell_busy(busy);
        let is_done = |status: &&ImageDeletionStatus| {
            status.phase == Phase::Complete && status.nodes.deleted as usize == self.plan.nodes
        };
        Many {
            deletions,
            complete: followed.last.values().filter(is_done).count(),
            seconds,
            refused: since(&before, &self.agents.read()).map(|reading| reading.refused).sum(),
            errors: self.errors() - errors,
            controller: self.controller.peak(),
        }
    }

    /// How often something went wrong for any agent.
    fn errors(&self) -> f64 {
        self.agents.errors().into_values().sum()
    }

    /// Waits until no agent asks for anything.
    async fn quiet(&self) {
        let asked =
            || self.agents.read().iter().map(|reading| reading.requests + reading.watches).sum::<u64>();
        let mut before = asked();
        loop {
            sleep(QUIET).await;
            let now = asked();
            if now == before {
                return;
            }
            before = now;
        }
    }

    /// The seconds that each process has had of the cores: etcd, the API server, the controller, agents and scripted nodes.
    fn busy(&self) -> [f64; 5] {
        let [etcd, api_server] = self.cluster.processes();
        [etcd, api_server, self.controller.id(), process::id(), self.nodes.id()].map(seconds)
    }

    fn tell_busy(&self, before: [f64; 5]) {
        let now = self.busy();
        let [etcd, api_server, controller, agents, nodes] =
            [0, 1, 2, 3, 4].map(|index| format!("{:.1} s", now[index] - before[index]));
        eprintln!(
            "the cores were busy with: the API server {api_server}, etcd {etcd}, agents {agents}, scripted nodes {nodes}, \
             the controller {controller}"
        );
    }

    /// The status writes that the API server has counted.
    async fn status_writes(&self) -> f64 {
        let page = self.cluster.page("/metrics").await.expect("the API server counts requests");
        let labels = [r#"resource="imagedeletions""#, r#"subresource="status""#];
        cluster::sum(&page, "apiserver_request_total", &labels)
    }
}

fn since<'a>(before: &'a [Reading], now: &'a [Reading]) -> impl Iterator<Item = Reading> + 'a {
    now.iter().zip(before).map(|(now, before)| now.since(*before))
}

/// What a watch hears of deletions until all have come to their end.
#[derive(Debug, Default)]
pub(crate) struct Followed {
    pub(crate) last: BTreeMap<String, ImageDeletionStatus>,
    updates: usize,
    largest: usize,
}

pub(crate) async fn follow(client: kube::Client, names: Vec<String>) -> Followed {
    let deletions: Api<ImageDeletion> = Api::all(client);
    let mut events = std::pin::pin!(watcher(deletions, watcher::Config::default()));
    let mut followed = Followed::default();
    while followed.last.len() < names.len() {
        let (watcher::Event::Apply(deletion) | watcher::Event::InitApply(deletion)) =
            events.next().await.expect("the watch goes on").expect("the API server is there")
        else {
            continue;
        };
        let (name, is_finished) = (deletion.name_any(), deletion.is_finished());
        let Some(status) = deletion.status.filter(|_| names.contains(&name)) else { continue };
        followed.updates += 1;
        followed.largest = followed.largest.max(serde_json::to_vec(&status).map_or(0, |json| json.len()));
        if is_finished {
            followed.last.insert(name, status);
        }
    }
    followed
}

/// An `ImageDeletion` as people write it.
pub(crate) fn manifest(name: &str, spec: serde_json::Value) -> String {
    json!({"apiVersion": "secateur.dev/v1alpha1", "kind": "ImageDeletion", "metadata": {"name": name}, "spec": spec})
        .to_string()
}
