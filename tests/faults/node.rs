//! A node with its agent, on which the scenarios are played.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use kube::api::{DeleteParams, PostParams};
use kube::{Api, Client, Config, ResourceExt};
use secateur::api::deletion::ImageDeletion;
use secateur::api::report::{ImageDeletionReport, ImageDeletionReportSpec, name_of};
use secateur::api::result::Outcome;
use serde_json::json;

use super::agent::{Agent, Seat};
use super::grpc;
use super::machine::Machine;
use super::scenario::{Scenario, deletion};
use super::sweep::{Extent, Made, Subject, last};
use super::trap::{Fault, Kind, Site, Trap};
use super::verdict::Run;
use crate::bed::{Imported, Version, eventually};
use crate::fleet::Place;

/// How long a report may take, with whatever is tried again until then.
const REPORTED: Duration = Duration::from_secs(50);

/// A node with its agent.
pub(crate) struct Bed {
    machine: Machine,
    seat: Seat,
    agent: Option<Agent>,
    client: Client,
    runs: usize,
}

/// A scenario that is played on a node again and again.
pub(crate) struct Played<'a> {
    pub(crate) bed: &'a mut Bed,
    pub(crate) scenario: &'a Scenario,
}

impl Subject for Played<'_> {
    type Run = Run;

    fn title(&self) -> String {
        format!("{}, {:?}", self.scenario.name, self.bed.machine.containerd.version())
    }

    async fn run(&mut self, fault: Option<&Fault>) -> Result<Made<Run>, String> {
        self.bed.play(self.scenario, fault).await
    }

    fn faults(&self, calls: &[Site], extent: Extent) -> Vec<Fault> {
        if self.scenario.act.is_some() {
            return extent.faults(calls, &Kind::MEDDLED);
        }
        let requests: Vec<_> = calls.iter().filter(|site| site.is_request()).cloned().collect();
        let of_requests = extent.faults(&requests, &Kind::OF_REQUESTS);
        extent.faults(calls, &Kind::ALONE).into_iter().chain(of_requests).collect()
    }

    fn judge(&self, made: &Made<Run>, clean: &Made<Run>, fault: &Fault) -> Result<(), String> {
        let (run, clean_run, scenario) = (&made.run, &clean.run, self.scenario);
        run.check(scenario)?;
        if fault.hides_a_removal() {
            return run.ends_like(clean_run);
        }
        run.what_went_was_told(scenario)?;
        if run.reclaimed() > clean_run.reclaimed() && scenario.act.is_none() {
            return Err(format!("{} bytes were reclaimed of {}", run.reclaimed(), clean_run.reclaimed()));
        }
        if fault.passes() && scenario.act.is_none() {
            run.is_like(clean_run)?;
        }
        if scenario.begins { Ok(()) } else { asks_little(&made.calls, &clean.calls, fault) }
    }
}

impl Bed {
    /// Starts a containerd and, beside it, an agent.
    pub(crate) async fn start(
        home: &Path,
        version: Version,
        place: Place,
        config: Config,
        client: Client,
    ) -> Self {
        let machine = Machine::start(home, version).await;
        let trap = Arc::new(Trap::default());
        grpc::listen(machine.socket(), machine.containerd.socket(), Arc::clone(&trap));
        let seat = Seat { place, config, socket: machine.socket(), trap };
        let agent = Agent::start(&seat);
        agent.ready().await;
        Self { machine, seat, agent: Some(agent), client, runs: 0 }
    }

    /// One deletion, perhaps with a fault, and the node as it was before it afterwards.
    async fn play(&mut self, scenario: &Scenario, fault: Option<&Fault>) -> Result<Made<Run>, String> {
        let imported = self.machine.prepare(scenario).await;
        let before = self.machine.kept().await;
        // A new agent has read nothing yet, so that each makes the same calls.
        self.agent.take().expect("there is an agent").kill();
        let trap = Arc::clone(&self.seat.trap);
        self.runs += 1;
        let deletion = if scenario.begins {
            let deletion = self.create(scenario, &imported).await;
            trap.set(fault.cloned());
            self.agent = Some(Agent::start(&self.seat));
            deletion
        } else {
            let agent = Agent::start(&self.seat);
            agent.ready().await;
            self.agent = Some(agent);
            trap.quiet().await;
            trap.set(fault.cloned());
            self.create(scenario, &imported).await
        };
        let (mut had_begun, mut is_killed) = (false, false);
        let report = {
            let kind = fault.map(|fault| fault.kind);
            let finished = completed(&self.client, &self.seat.place.node, &deletion, scenario, &self.machine);
            tokio::pin!(finished);
            loop {
                tokio::select! {
                    report = &mut finished => break report,
                    () = trap.fired() => {
                        if let Some(act) = &scenario.act {
                            let version = self.machine.containerd.version();
                            let is_seen = !fault.is_some_and(|fault| fault.is_after_the_look(version));
                            // What breaks off before anything is gone is decided anew.
                            let goes_on = kind == Some(Kind::Meddle) || self.machine.store().await.has_lost(&before);
                            had_begun = is_seen && goes_on && self.machine.has_journal().await;
                            self.machine.act(act).await;
                        }
                        if kind.is_some_and(Kind::kills) {
                            is_killed = true;
                            self.agent.take().expect("there is an agent").kill();
                            trap.resume();
                            trap.revive();
                            self.agent = Some(Agent::start(&self.seat));
                        } else {
                            trap.resume();
                        }
                    }
                }
            }
        };
        let (calls, has_fired) = trap.clear();
        let kills = fault.is_some_and(|fault| fault.kind.kills());
        if report.is_none() || has_fired && kills && !is_killed {
            // Or the report was there just when the agent was to be killed, which waits for an answer that never comes.
            self.agent.take().expect("there is an agent").kill();
            self.agent = Some(Agent::start(&self.seat));
        }
        let Some(report) = report else {
            self.remove(&deletion).await;
            self.settle().await?;
            self.machine.clear().await?;
            return Err(format!("no report within {REPORTED:?}; the last calls: {}", last(&calls)));
        };
        self.agent.as_ref().expect("there is an agent").ready().await;
        self.remove(&deletion).await;
        self.settle().await?;
        let after = self.machine.kept().await;
        let containers = self.machine.containers().await;
        let run = Run { imported, before, had_begun, after, containers, results: report.results };
        self.machine.clear().await?;
        Ok(Made { run, calls, has_fired })
    }

    async fn create(&self, scenario: &Scenario, imported: &[Imported]) -> ImageDeletion {
        let deletions: Api<ImageDeletion> = Api::all(self.client.clone());
        let version = self.machine.containerd.version();
        let name = format!("{version:?}-{}", self.runs).to_lowercase();
        let target = imported.first().map_or("", |image| image.target.as_ref());
        let mut spec = scenario.spec(target);
        // Each node has an agent of its own, and only one of them is meant.
        spec["nodeSelector"] = json!({"matchLabels": {"kubernetes.io/hostname": self.seat.place.node}});
        let deletion = deletion(&name, &spec);
        deletions.create(&PostParams::default(), &deletion).await.expect("the API server takes it")
    }

    async fn remove(&self, deletion: &ImageDeletion) {
        let deletions: Api<ImageDeletion> = Api::all(self.client.clone());
        let reports: Api<ImageDeletionReport> = Api::all(self.client.clone());
        let report = name_of(&self.seat.place.node, &deletion.uid().unwrap_or_default());
        let params = DeleteParams::default();
        deletions.delete(&deletion.name_any(), &params).await.expect("the deletion is there");
        // There may be none where the run failed.
        let _ = reports.delete(&report, &params).await;
    }

    /// Waits until the agent has ended what it has on the node.
    async fn settle(&mut self) -> Result<(), String> {
        for _ in 0..40 {
            if self.machine.store().await.leases.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        // A lease may be left to the next operation, and that is one that has nothing to do.
        let nothing = Scenario::nothing();
        self.runs += 1;
        self.seat.trap.set(None);
        let deletion = self.create(&nothing, &[]).await;
        let node = &self.seat.place.node;
        let report = completed(&self.client, node, &deletion, &nothing, &self.machine).await;
        let (calls, _) = self.seat.trap.clear();
        self.remove(&deletion).await;
        match report {
            Some(_) => Ok(()),
            None => Err(format!(
                "a later deletion has no report within {REPORTED:?}; the last calls: {}",
                last(&calls)
            )),
        }
    }
}

/// Waits for the whole report on a deletion, and lets go of what holds its images once that was said. None if it does not come.
async fn completed(
    client: &Client,
    node: &str,
    deletion: &ImageDeletion,
    scenario: &Scenario,
    machine: &Machine,
) -> Option<ImageDeletionReportSpec> {
    let reports: Api<ImageDeletionReport> = Api::all(client.clone());
    let name = name_of(node, &deletion.uid().unwrap_or_default());
    let mut release = scenario.release.as_ref();
    let reported = eventually("the report", async || {
        let report = reports.get_opt(&name).await.expect("the API server answers")?.spec;
        if report.outcome == Outcome::Conflict
            && report.completion_time.is_none()
            && let Some(act) = release.take()
        {
            machine.act(act).await;
        }
        report.completion_time.is_some().then_some(report)
    });
    tokio::time::timeout(REPORTED, reported).await.ok()
}

/// What breaks before anything is begun on the node is only asked for again, with what was asked for before it: nothing is
/// ended first, and no report is looked for.
fn asks_little(made: &[Site], clean: &[Site], fault: &Fault) -> Result<(), String> {
    let first = clean.iter().take_while(|site| site.is_request()).position(|site| *site == fault.site);
    let Some(at) = first.filter(|_| fault.kind == Kind::Break) else { return Ok(()) };
    let asked = |calls: &[Site]| -> Vec<String> {
        // The labels of the node are asked for when the other node is given something to do, too.
        let counts = calls.iter().filter(|site| site.is_request() && site.call != "GET nodes");
        counts.map(|site| site.call.clone()).collect()
    };
    let expected = [asked(&clean[..=at]), asked(clean)].concat();
    let made = asked(made);
    if made == expected {
        Ok(())
    } else {
        Err(format!("the API server was asked {made:?}, not {expected:?}"))
    }
}
