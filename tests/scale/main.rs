//! What a cluster of thousands of nodes costs: the real agent, controller and API server, and a [`scripted`] node in place of
//! each containerd.
//!
//! Each run has a [`world`] of its own. `cargo test` makes a small one and looks at what does not depend on the machine's
//! speed; `make scale` makes the large ones and prints the table.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a run that cannot go on stops and says why")]

mod agents;
#[allow(dead_code, unused_imports, reason = "the tests of single nodes use the rest")]
#[path = "../bed/lib.rs"]
mod bed;
mod cluster;
mod controller;
mod etcd;
mod figures;
mod fleet;
mod memory;
mod meter;
mod process;
mod run;
mod scripted;
#[path = "../cluster/world.rs"]
mod world;

use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;
use std::{env, fs};

use libtest_mimic::{Arguments, Failed, Trial};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::runtime::Runtime;

use self::figures::{Figures, Kind, ROWS};
use self::memory::Memory;
use self::run::Plan;
use self::world::World;

/// Thousands of agents are one process here, in whose heap the usual allocator would take more time than in that of one agent.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What a process inside a world does, and what it does it with: a file for what it has measured, or the nodes' directory.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
enum Job {
    /// Measures a cluster of many nodes.
    Cluster(Plan),
    /// Measures the memory of one agent.
    Memory,
    /// Serves the scripted nodes.
    Nodes(Plan),
}

fn main() -> ExitCode {
    if let Some(home) = world::home() {
        let arguments: Vec<String> = env::args().skip(1).collect();
        let [job, path] = &arguments[..] else { panic!("inside, a job and a path are named") };
        let job = serde_json::from_str(job).expect("the job is JSON");
        Runtime::new().expect("tokio starts").block_on(work(&home, job, Path::new(path)));
        return ExitCode::SUCCESS;
    }
    // A world must be made by the main thread.
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    let trials = vec![
        Trial::test("a_small_cluster_costs_what_it_may", small),
        Trial::test("memory", agent_memory).with_ignored_flag(true),
        Trial::test("table", table).with_ignored_flag(true),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A small cluster, and of its figures those that do not depend on the machine's speed.
fn small() -> Result<(), Failed> {
    let plan = Plan { nodes: 25, idle: Duration::from_secs(5), many: 10, patience: Duration::from_secs(240) };
    let figures: Figures = measured(Job::Cluster(plan))?;
    figures::print(std::slice::from_ref(&figures));
    let counts = ROWS.iter().filter(|row| row.kind == Kind::Count);
    let missed: Vec<_> = counts.filter(|row| !row.is_met(&figures)).map(|row| row.what).collect();
    if missed.is_empty() { Ok(()) } else { Err(format!("missed: {missed:?}").into()) }
}

/// The memory of one agent.
fn agent_memory() -> Result<(), Failed> {
    let memory: Memory = measured(Job::Memory)?;
    if figures::print_memory(memory) { Ok(()) } else { Err("a goal is missed".into()) }
}

/// The table of `make scale`. `N` says for how many nodes.
fn table() -> Result<(), Failed> {
    let sizes = env::var("N").unwrap_or_else(|_| "500 1000 5000".to_owned());
    let mut runs: Vec<Figures> = Vec::new();
    for nodes in sizes.split_whitespace() {
        let nodes = nodes.parse().map_err(|_| format!("N={sizes}: {nodes} is no number"))?;
        let many = if nodes == 1_000 { 50 } else { 0 };
        // After so long the API server closes connections that nobody uses.
        let (idle, patience) = (Duration::from_secs(95), Duration::from_secs(3600));
        runs.push(measured(Job::Cluster(Plan { nodes, idle, many, patience }))?);
    }
    figures::print(&runs);
    let missed = ROWS.iter().filter(|row| !runs.iter().all(|run| row.is_met(run))).count();
    match (missed, figures::is_linear(&runs)) {
        (0, true) => Ok(()),
        (0, false) => Err("it takes longer for each node where there are more".into()),
        _ => Err(format!("{missed} goals are missed").into()),
    }
}

/// Does a job in a world of its own.
fn measured<T: DeserializeOwned>(job: Job) -> Result<T, Failed> {
    let result = tempfile::NamedTempFile::new()?;
    let job = serde_json::to_string(&job)?;
    if World::new().run([Path::new(&job), result.path()]) != ExitCode::SUCCESS {
        return Err("the run failed: it says above why".into());
    }
    Ok(serde_json::from_slice(&fs::read(result.path())?)?)
}

/// Inside: does the job.
async fn work(home: &Path, job: Job, path: &Path) {
    match job {
        Job::Cluster(plan) => {
            let figures = tokio::time::timeout(plan.patience, run::run(home, plan)).await;
            write(path, &figures.expect("all of it is done in time"));
        }
        Job::Memory => write(path, &memory::run(home).await),
        Job::Nodes(plan) => run::serve(path, plan).await,
    }
}

fn write(path: &Path, measured: &impl Serialize) {
    let json = serde_json::to_vec(measured).expect("figures are JSON");
    fs::write(path, json).expect("the file can be written");
}

/// The body of a page; `None` where there is none, or not with a status of success.
fn page(url: &str) -> Option<String> {
    let output = Command::new("busybox").args(["wget", "-q", "-O", "-", url]).output().expect("busybox runs");
    output.status.success().then(|| String::from_utf8(output.stdout).expect("pages are text"))
}
