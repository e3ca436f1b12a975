//! A scenario with one fault after another.

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
use super::scenario::Scenario;
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

/// How much a sweep does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Extent {
    /// Every fault at every call.
    All,
    /// So many calls for each kind of fault, others for each kind.
    Some(usize),
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

    /// Runs a scenario without a fault, and then with each; says what was wrong, a line each.
    pub(crate) async fn sweep(&mut self, scenario: &Scenario, extent: Extent) -> Vec<String> {
        let version = self.machine.containerd.version();
        let (clean, calls, _) = match self.run(scenario, None).await {
            Ok(run) => run,
            Err(error) => return vec![format!("{version:?}: without a fault: {error}")],
        };
        let mut wrong = Vec::new();
        let faults = faults(&calls, scenario, extent);
        let (mut met, begin) = (0, std::time::Instant::now());
        for fault in &faults {
            let result = match self.run(scenario, Some(fault.clone())).await {
                Ok((run, made, has_fired)) => {
                    met += usize::from(has_fired);
                    judge(&run, &clean, scenario, fault).and_then(|()| asks_little(&made, &calls, fault))
                }
                Err(error) => Err(error),
            };
            if let Err(error) = result {
                wrong.push(format!("{version:?}: {fault}: {error}"));
            }
        }
        println!(
            "{}, {version:?}: {} calls, {} faults, {met} of them met, {} wrong, {:.0} s",
            scenario.name,
            calls.len(),
            faults.len(),
            wrong.len(),
            begin.elapsed().as_secs_f64()
        );
        // What runs at the same time has no order, so now and then a call is not made again.
        if met * 10 < faults.len() * 8 {
            wrong.push(format!("{version:?}: only {met} of {} faults were met", faults.len()));
        }
        wrong
    }

    /// One deletion, perhaps with a fault, and the node as it was before it afterwards.
    async fn run(
        &mut self,
        scenario: &Scenario,
        fault: Option<Fault>,
    ) -> Result<(Run, Vec<Site>, bool), String> {
        let imported = self.machine.prepare(scenario).await;
        let before = self.machine.kept().await;
        // A new agent has read nothing yet, so that each makes the same calls.
        self.agent.take().expect("there is an agent").kill();
        let agent = Agent::start(&self.seat);
        agent.ready().await;
        self.agent = Some(agent);
        let trap = Arc::clone(&self.seat.trap);
        trap.quiet().await;
        trap.set(fault.clone());
        self.runs += 1;
        let deletion = self.create(scenario, &imported).await;
        let (mut had_begun, mut is_killed) = (false, false);
        let report = {
            let kind = fault.as_ref().map(|fault| fault.kind);
            let finished = completed(&self.client, &self.seat.place.node, &deletion, scenario, &self.machine);
            tokio::pin!(finished);
            loop {
                tokio::select! {
                    report = &mut finished => break report,
                    () = trap.fired() => {
                        if let Some(act) = &scenario.act {
                            let version = self.machine.containerd.version();
                            let is_seen = !fault.as_ref().is_some_and(|fault| fault.is_after_the_look(version));
                            had_begun = is_seen && self.machine.has_journal().await;
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
        Ok((run, calls, has_fired))
    }

    async fn create(&self, scenario: &Scenario, imported: &[Imported]) -> ImageDeletion {
        let deletions: Api<ImageDeletion> = Api::all(self.client.clone());
        let version = self.machine.containerd.version();
        let name = format!("{version:?}-{}", self.runs).to_lowercase();
        let target = imported.first().map_or("", |image| image.target.as_ref());
        let mut spec = scenario.spec(target);
        // Each node has an agent of its own, and only one of them is meant.
        spec["nodeSelector"] = json!({"matchLabels": {"kubernetes.io/hostname": self.seat.place.node}});
        let object = json!({
            "apiVersion": "secateur.dev/v1alpha1", "kind": "ImageDeletion", "metadata": {"name": name}, "spec": spec,
        });
        let deletion = serde_json::from_value(object).expect("it is an ImageDeletion");
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

/// The last of the calls, for people.
fn last(calls: &[Site]) -> String {
    let names: Vec<_> = calls.iter().rev().take(12).rev().map(|site| site.call.as_str()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn judge(run: &Run, clean: &Run, scenario: &Scenario, fault: &Fault) -> Result<(), String> {
    run.check(scenario)?;
    if fault.hides_a_removal() {
        return run.ends_like(clean);
    }
    run.what_went_was_told(scenario)?;
    if run.reclaimed() > clean.reclaimed() && scenario.act.is_none() {
        return Err(format!("{} bytes were reclaimed of {}", run.reclaimed(), clean.reclaimed()));
    }
    if fault.kind.passes() && scenario.act.is_none() { run.is_like(clean) } else { Ok(()) }
}

/// What breaks before anything is begun on the node is only asked for again, with what was asked for before it: nothing is
/// ended first, and no report is looked for.
fn asks_little(made: &[Site], clean: &[Site], fault: &Fault) -> Result<(), String> {
    let is_request = |site: &&Site| site.call.bytes().all(|byte| byte.is_ascii_uppercase());
    let first = clean.iter().take_while(is_request).position(|site| *site == fault.site);
    let Some(before) = first.filter(|_| fault.kind == Kind::Break) else { return Ok(()) };
    let requests = |calls: &[Site]| calls.iter().filter(is_request).count();
    let (asked, expected) = (requests(made), requests(clean) + before + 1);
    match asked == expected {
        true => Ok(()),
        false => Err(format!("the API server was asked {asked} times, not {expected}")),
    }
}

/// The faults of a sweep over these calls.
fn faults(calls: &[Site], scenario: &Scenario, extent: Extent) -> Vec<Fault> {
    let kinds = if scenario.act.is_some() { &Kind::MEDDLED[..] } else { &Kind::ALONE[..] };
    let of_kind = |(number, kind): (usize, &Kind)| {
        let kind = *kind;
        let step = match extent {
            Extent::All => 1,
            Extent::Some(sites) => calls.len().div_ceil(sites).max(1),
        };
        calls.iter().skip(number % step).step_by(step).map(move |site| Fault { site: site.clone(), kind })
    };
    kinds.iter().enumerate().flat_map(of_kind).collect()
}
