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
mod meter;
mod run;
mod scripted;
#[path = "../cluster/world.rs"]
mod world;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Duration;
use std::{env, fs};

use libtest_mimic::{Arguments, Failed, Trial};

use self::figures::{Figures, Kind, ROWS};
use self::run::Plan;
use self::world::World;

fn main() -> ExitCode {
    if let Ok(nodes) = env::var(run::NODES) {
        return serve(&nodes);
    }
    if let Some(home) = world::home() {
        return measure(&home);
    }
    // A world must be made by the main thread.
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    let trials = vec![
        Trial::test("a_small_cluster_costs_what_it_may", small),
        Trial::test("table", table).with_ignored_flag(true),
    ];
    libtest_mimic::run(&arguments, trials).exit_code()
}

/// A small cluster, and of its figures those that do not depend on the machine's speed.
fn small() -> Result<(), Failed> {
    let figures = within(Plan { nodes: 25, idle: Duration::from_secs(5), many: 10 })?;
    figures::print(std::slice::from_ref(&figures));
    let missed: Vec<_> = ROWS
        .iter()
        .filter(|row| row.kind == Kind::Count && !row.is_met(&figures))
        .map(|row| row.what)
        .collect();
    if missed.is_empty() { Ok(()) } else { Err(format!("missed: {missed:?}").into()) }
}

/// The table of `make scale`. `N` says for how many nodes.
fn table() -> Result<(), Failed> {
    let sizes = env::var("N").unwrap_or_else(|_| "500 1000 5000".to_owned());
    let mut runs = Vec::new();
    for nodes in sizes.split_whitespace() {
        let nodes = nodes.parse().map_err(|_| format!("N={sizes}: {nodes} is no number"))?;
        let many = if nodes == 1_000 { 50 } else { 0 };
        // After so long the API server closes connections that nobody uses.
        runs.push(within(Plan { nodes, idle: Duration::from_secs(95), many })?);
    }
    figures::print(&runs);
    let missed = ROWS.iter().filter(|row| !runs.iter().all(|run| row.is_met(run))).count();
    if missed == 0 { Ok(()) } else { Err(format!("{missed} goals are missed").into()) }
}

/// Carries a plan out in a world of its own.
fn within(plan: Plan) -> Result<Figures, Failed> {
    let result = tempfile::NamedTempFile::new()?;
    let plan = serde_json::to_string(&plan)?;
    if World::new().run([Path::new(&plan), result.path()]) != ExitCode::SUCCESS {
        return Err("the run failed: it says above why".into());
    }
    Ok(serde_json::from_slice(&fs::read(result.path())?)?)
}

/// Inside: carries the plan out.
fn measure(home: &Path) -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [plan, result] = &arguments[..] else { panic!("a run gets a plan and a file") };
    let plan: Plan = serde_json::from_str(plan).expect("the plan is JSON");
    let runtime = tokio::runtime::Runtime::new().expect("tokio starts");
    let figures = runtime.block_on(run::run(home, plan));
    fs::write(result, serde_json::to_vec(&figures).expect("figures are JSON"))
        .expect("the file can be written");
    ExitCode::SUCCESS
}

/// In a process of its own inside: serves the scripted nodes.
fn serve(nodes: &str) -> ExitCode {
    let sockets = PathBuf::from(env::args_os().nth(1).expect("a directory is named"));
    let (nodes, deletions) = nodes.split_once(' ').expect("two numbers are set");
    let [nodes, deletions] =
        [nodes, deletions].map(|number| number.parse::<usize>().expect("a number is set"));
    let images = run::images(deletions);
    let runtime = tokio::runtime::Runtime::new().expect("tokio starts");
    runtime.block_on(scripted::serve(&sockets, nodes, &images, || {
        fs::write(run::ready_file(&sockets), "").expect("the directory can be written");
    }));
    ExitCode::SUCCESS
}

/// The body of a page; `None` where there is none, or not with a status of success.
fn page(url: &str) -> Option<String> {
    let output = Command::new("busybox").args(["wget", "-q", "-O", "-", url]).output().expect("busybox runs");
    output.status.success().then(|| String::from_utf8(output.stdout).expect("pages are text"))
}
