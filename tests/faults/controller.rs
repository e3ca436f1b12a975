//! The controller, the library's own, between the real API server and nodes whose reports are written here, with the tokens of
//! their agents' pods.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::api::{DeleteParams, ListParams, PostParams, WatchEvent, WatchParams};
use kube::{Api, Client, Config, ResourceExt};
use secateur::api::deletion::ImageDeletion;
use secateur::api::report::ImageDeletionReport;
use secateur::api::result::ImageResult;
use secateur::api::status::{ImageDeletionStatus, NodeCounts, Phase};
use secateur::controller::{self, Clients, ErrorKind, Observer, Settings};
use secateur::telemetry::health::Health;
use serde_json::json;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::http;
use super::killable::Killable;
use super::scenario::deletion;
use super::sweep::{Extent, Made, Subject, last};
use super::trap::{Fault, Kind, Site, Trap};
use crate::bed::eventually;
use crate::cluster::{Cluster, NAMESPACE};
use crate::fleet::{self, Place, with_token};

/// How long a deletion may take until it is removed, with whatever is tried again until then.
const GONE: Duration = Duration::from_secs(50);
/// What `readyz` calls the controller's knowledge.
const CLUSTER: &str = "cluster";

/// What becomes of a deletion that two nodes are asked by.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Case {
    /// Both report, one after the other.
    BothReport,
    /// One is silent until the deadline.
    OneIsSilent,
}

impl Case {
    pub(crate) const ALL: [Self; 2] = [Self::BothReport, Self::OneIsSilent];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::BothReport => "the_controller_of_two_nodes",
            Self::OneIsSilent => "the_controller_of_a_silent_node",
        }
    }

    /// How it must end, and what Events say so.
    fn end(self) -> (Phase, NodeCounts, [&'static str; 2]) {
        let counts = NodeCounts { desired: 2, ..NodeCounts::default() };
        match self {
            Self::BothReport => {
                (Phase::Complete, NodeCounts { reported: 2, deleted: 2, ..counts }, ["Completed", "Started"])
            }
            Self::OneIsSilent => {
                (Phase::Failed, NodeCounts { reported: 1, deleted: 1, ..counts }, ["Failed", "Started"])
            }
        }
    }
}

/// One of the two nodes.
struct Node {
    name: String,
    reports: Api<ImageDeletionReport>,
}

/// A controller, and what it is given to do.
pub(crate) struct Played {
    case: Case,
    config: Config,
    trap: Arc<Trap>,
    client: Client,
    nodes: [Node; 2],
    controller: Option<Controller>,
    runs: usize,
}

/// One deletion from beginning to end.
pub(crate) struct Run {
    /// Every status that it had.
    statuses: Vec<ImageDeletionStatus>,
    /// Its Events, by their reasons.
    events: BTreeMap<String, usize>,
}

impl Played {
    /// A controller on a cluster of two nodes.
    pub(crate) async fn start(cluster: &Cluster, case: Case) -> Self {
        let places = fleet::settle(cluster, 2).await;
        let config = cluster.config().await;
        let node = |place: &Place| {
            let client = Client::try_from(with_token(&config, &place.token)).expect("the token can be read");
            Node { name: place.node.clone(), reports: Api::all(client) }
        };
        let nodes = [node(&places[0]), node(&places[1])];
        let token = fleet::token(cluster.client(), "secateur-controller", None).await;
        let config = with_token(&config, &token.expect("the chart has the account"));
        let trap = Arc::new(Trap::default());
        Self { case, config, trap, client: cluster.client(), nodes, controller: None, runs: 0 }
    }

    fn stop(&mut self) {
        if let Some(running) = self.controller.take() {
            running.thread.kill();
        }
    }

    fn restart(&mut self) {
        self.stop();
        self.controller = Some(Controller::start(&self.config, &self.trap));
    }

    async fn create(&self) -> ImageDeletion {
        let mut spec = json!({"images": ["app:v1"], "ttlSecondsAfterFinished": 1});
        if let Case::OneIsSilent = self.case {
            spec["activeDeadlineSeconds"] = json!(1);
        }
        let name = format!("{}-{}", self.case.name().replace('_', "-"), self.runs);
        let deletion = deletion(&name, &spec);
        self.deletions().create(&PostParams::default(), &deletion).await.expect("the API server takes it")
    }

    fn deletions(&self) -> Api<ImageDeletion> {
        Api::all(self.client.clone())
    }

    /// Follows a deletion until it is removed, and does what is to be done meanwhile.
    async fn follow(
        &mut self,
        deletion: &ImageDeletion,
        kind: Option<Kind>,
    ) -> (Vec<ImageDeletionStatus>, bool) {
        let of_it = WatchParams::default().fields(&format!("metadata.name={}", deletion.name_any()));
        let version = deletion.resource_version().expect("it has been made");
        let events = self.deletions().watch(&of_it, &version).await.expect("it can be watched");
        let mut events = events.boxed();
        let (mut statuses, mut is_silent, end) = (Vec::new(), true, Instant::now() + GONE);
        let trap = Arc::clone(&self.trap);
        loop {
            tokio::select! {
                event = events.next() => match event.expect("the watch lasts").expect("it can be read") {
                    WatchEvent::Deleted(_) => return (statuses, true),
                    WatchEvent::Modified(now) => {
                        let Some(status) = now.status.filter(|status| status.observed_generation.is_some()) else { continue };
                        if matches!(self.case, Case::BothReport) && status.nodes.reported == 1 && is_silent {
                            is_silent = false;
                            self.nodes[1].report(deletion).await;
                        }
                        if statuses.last() != Some(&status) {
                            statuses.push(status);
                        }
                    }
                    _ => {}
                },
                () = trap.fired() => {
                    if kind.is_some_and(Kind::kills) {
                        trap.revive();
                        self.restart();
                    }
                }
                () = sleep_until(end) => return (statuses, false),
            }
        }
    }

    /// How many Events there are of a deletion, by their reasons.
    async fn events(&self, deletion: &ImageDeletion) -> BTreeMap<String, usize> {
        let events: Api<Event> = Api::namespaced(self.client.clone(), "default");
        let all = events.list(&ListParams::default()).await.expect("the API server lists Events");
        let of_it = all.items.into_iter().filter(|event| {
            event.regarding.as_ref().and_then(|regarding| regarding.uid.as_ref()) == deletion.uid().as_ref()
        });
        let mut counts = BTreeMap::new();
        for event in of_it {
            *counts.entry(event.reason.unwrap_or_default()).or_default() += 1;
        }
        counts
    }
}

impl Subject for Played {
    type Run = Run;

    fn title(&self) -> String {
        self.case.name().to_owned()
    }

    async fn run(&mut self, fault: Option<&Fault>) -> Result<Made<Run>, String> {
        self.runs += 1;
        let kind = fault.map(|fault| fault.kind);
        // What a controller does first is trapped too.
        self.stop();
        self.trap.set(fault.cloned());
        self.restart();
        let deletion = self.create().await;
        self.nodes[0].report(&deletion).await;
        let (statuses, is_gone) = self.follow(&deletion, kind).await;
        let (calls, has_fired) = self.trap.clear();
        self.controller.as_ref().expect("there is a controller").ready().await;
        let events = self.events(&deletion).await;
        let reports: Api<ImageDeletionReport> = Api::all(self.client.clone());
        reports
            .delete_collection(&DeleteParams::default(), &ListParams::default())
            .await
            .expect("reports can be removed");
        if !is_gone {
            self.deletions()
                .delete(&deletion.name_any(), &DeleteParams::default())
                .await
                .expect("it is there");
            return Err(format!(
                "not removed within {GONE:?}: {:#?}; the last calls: {}",
                statuses.last(),
                last(&calls)
            ));
        }
        Ok(Made { run: Run { statuses, events }, calls, has_fired })
    }

    fn faults(&self, calls: &[Site], extent: Extent) -> Vec<Fault> {
        // How often the Lease is renewed depends on the time that all takes.
        let is_sure = |site: &&Site| !site.call.ends_with(" leases") || site.earlier == 0;
        let calls: Vec<Site> = calls.iter().filter(is_sure).cloned().collect();
        let extent = match (self.case, extent) {
            // A run takes as long as the deadline.
            (Case::OneIsSilent, Extent::Some(sites)) => Extent::Some(sites.div_ceil(3)),
            _ => extent,
        };
        let of_requests = extent.faults(&calls, &Kind::OF_REQUESTS);
        extent.faults(&calls, &Kind::ALONE).into_iter().chain(of_requests).collect()
    }

    fn judge(&self, made: &Made<Run>, clean: &Made<Run>, fault: &Fault) -> Result<(), String> {
        made.run.ends_as(self.case)?;
        made.run.goes_forward()?;
        made.run.is_like(&clean.run)?;
        made.run.is_told(self.case, fault)
    }
}

impl Run {
    fn last(&self) -> Result<&ImageDeletionStatus, String> {
        self.statuses.last().ok_or_else(|| "it was removed without a status".to_owned())
    }

    fn ends_as(&self, case: Case) -> Result<(), String> {
        let (phase, nodes, _) = case.end();
        let last = self.last()?;
        let is_right = (last.phase, last.nodes) == (phase, nodes) && last.completion_time.is_some();
        if is_right { Ok(()) } else { Err(format!("it ended as {last:#?}")) }
    }

    /// No status takes back what an earlier one has said, and the last is written once.
    fn goes_forward(&self) -> Result<(), String> {
        let is_over = |status: &ImageDeletionStatus| status.completion_time.is_some();
        for (earlier, later) in self.statuses.iter().zip(&self.statuses[1..]) {
            let goes_back = later.phase < earlier.phase
                || later.nodes.reported < earlier.nodes.reported
                || later.start_time != earlier.start_time;
            if goes_back || is_over(earlier) {
                return Err(format!("{earlier:#?} became {later:#?}"));
            }
        }
        Ok(())
    }

    /// Without its times it ends as without a fault.
    fn is_like(&self, clean: &Self) -> Result<(), String> {
        let (last, expected) = (timeless(self.last()?), timeless(clean.last()?));
        if last == expected { Ok(()) } else { Err(format!("it ended as {last:#?}, not as {expected:#?}")) }
    }

    /// Events are published once each. They are not published again where that, or the answer about what they are of, was lost.
    fn is_told(&self, case: Case, fault: &Fault) -> Result<(), String> {
        let (_, _, reasons) = case.end();
        let may_lack = fault.kind.kills()
            || fault.kind == Kind::Outage
            || fault.site.call == "POST events"
            || fault.site.call == "PATCH imagedeletions" && fault.kind.hides_the_answer();
        let expected = BTreeMap::from(reasons.map(|reason| (reason.to_owned(), 1)));
        let is_right = match may_lack {
            false => self.events == expected,
            true => self.events.iter().all(|(reason, count)| expected.get(reason) == Some(count)),
        };
        if is_right { Ok(()) } else { Err(format!("it was told by Events as {:?}", self.events)) }
    }
}

/// A status without what depends on when it was written.
fn timeless(status: &ImageDeletionStatus) -> ImageDeletionStatus {
    let mut status = ImageDeletionStatus { start_time: None, completion_time: None, ..status.clone() };
    let epoch = Time(Timestamp::UNIX_EPOCH);
    status.conditions.iter_mut().for_each(|condition| condition.last_transition_time = epoch.clone());
    status
}

impl Node {
    /// Reports that the image is gone.
    async fn report(&self, deletion: &ImageDeletion) {
        let result = json!({
            "image": "app:v1", "outcome": "Deleted",
            "records": [{"untagged": "app:v1"}, {"deleted": format!("sha256:{:064}", 1)}],
            "conflicts": [], "reclaimedBytes": 1024,
        });
        let result: ImageResult = serde_json::from_value(result).expect("it is a result");
        let now = Time(Timestamp::now());
        let report = ImageDeletionReport::of(deletion, &self.name, vec![result], now.clone(), Some(now));
        let created = self.reports.create(&PostParams::default(), &report).await;
        created.expect("an agent may report for its node");
    }
}

/// A running controller.
struct Controller {
    health: Health,
    thread: Killable,
}

impl Controller {
    fn start(config: &Config, trap: &Arc<Trap>) -> Self {
        let health = Health::missing([CLUSTER]);
        let (told, config, trap) = (Watcher(health.clone()), config.clone(), Arc::clone(trap));
        let thread = Killable::start(async move || {
            let client = http::client(&config, trap);
            let settings = Settings {
                pod_namespace: NAMESPACE.to_owned(),
                pod_name: "secateur-controller-0".to_owned(),
                agent_selector: "app.kubernetes.io/name=secateur,app.kubernetes.io/component=agent"
                    .to_owned(),
                lease_name: "secateur-controller".to_owned(),
            };
            let clients = Clients { lease: client.clone(), work: client };
            controller::run(settings, clients, Arc::new(told), CancellationToken::new()).await;
            pending().await
        });
        Self { health, thread }
    }

    async fn ready(&self) {
        eventually("the controller to be ready", async || {
            assert!(!self.thread.has_ended(), "the controller has ended");
            self.health.complaint().is_none().then_some(())
        })
        .await;
    }
}

struct Watcher(Health);

impl Observer for Watcher {
    fn phases(&self, _: &BTreeMap<Phase, usize>) {}

    fn error(&self, _: ErrorKind) {}

    fn ready(&self, ready: bool) {
        if ready {
            self.0.has(CLUSTER);
        } else {
            self.0.lacks(CLUSTER, "not known");
        }
    }
}
