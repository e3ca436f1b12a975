//! Every call, every way: the real agent between a real API server and a real containerd, and the real controller before that API
//! server, with one fault in turn at each of its calls, and what must hold after each.
//!
//! A run of an agent begins with a node in a known state and an `ImageDeletion`, and ends with a report; one of the controller ends
//! when the deletion is removed. `cargo test` makes faults at some of the calls of every scenario; `make faults` at all. `SITES=9` says
//! at how many for each kind of fault.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a run that cannot go on stops and says why")]

mod agent;
#[allow(dead_code, unused_imports, reason = "the tests of single nodes use the rest")]
#[path = "../bed/lib.rs"]
mod bed;
#[allow(dead_code, reason = "the tests of scale use more of it")]
#[path = "../scale/cluster.rs"]
mod cluster;
mod controller;
#[allow(dead_code, reason = "the tests of scale use more of it")]
#[path = "../scale/fleet.rs"]
mod fleet;
mod grpc;
mod http;
mod killable;
mod machine;
mod node;
mod scenario;
mod stream;
mod sweep;
mod trap;
mod verdict;
#[path = "../cluster/world.rs"]
mod world;

use std::env;
use std::path::Path;
use std::process::ExitCode;

use libtest_mimic::{Arguments, Failed, Trial};
use tokio::runtime::Runtime;

use self::bed::Version;
use self::cluster::Cluster;
use self::controller::{Case, Played as Controlled};
use self::node::{Bed, Played};
use self::sweep::{Extent, sweep};
use self::world::World;

/// At how many calls there is a fault of each kind, where nobody says.
const SITES: usize = 3;

fn main() -> ExitCode {
    if let Some(home) = world::home() {
        let name = env::args().nth(1).expect("inside, a scenario is named");
        return Runtime::new().expect("tokio starts").block_on(inside(&home, &name));
    }
    // A world must be made by the main thread.
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    let scenarios = scenario::all().into_iter().map(|scenario| scenario.name);
    let names = scenarios.chain(Case::ALL.map(Case::name));
    let trials = names.map(|name| Trial::test(name, move || run(name)));
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// Sweeps a scenario in a world of its own.
fn run(name: &str) -> Result<(), Failed> {
    match World::new().run([name]) {
        ExitCode::SUCCESS => Ok(()),
        _ => Err("it says above what was wrong".into()),
    }
}

/// Inside: sweeps a scenario.
async fn inside(home: &Path, name: &str) -> ExitCode {
    let extent = match env::var("SITES").as_deref() {
        Ok("all") => Extent::All,
        Ok(sites) => Extent::Some(sites.parse().expect("SITES is a number or `all`")),
        Err(_) => Extent::Some(SITES),
    };
    let cluster = Cluster::start(home).await;
    let wrong = match Case::ALL.into_iter().find(|case| case.name() == name) {
        Some(case) => sweep(&mut Controlled::start(&cluster, case).await, extent).await,
        None => on_each_containerd(home, &cluster, name, extent).await,
    };
    wrong.iter().for_each(|line| eprintln!("{line}"));
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn on_each_containerd(home: &Path, cluster: &Cluster, name: &str, extent: Extent) -> Vec<String> {
    let scenario =
        scenario::all().into_iter().find(|scenario| scenario.name == name).expect("there is such a scenario");
    let mut places = fleet::settle(cluster, 2).await;
    let (config, client) = (cluster.config().await, cluster.client());
    let mut bed = async |version| {
        let place = places.pop().expect("there is a place for each");
        Bed::start(home, version, place, config.clone(), client.clone()).await
    };
    let (mut v1, mut v2) = (bed(Version::V1).await, bed(Version::V2).await);
    let [mut first, mut second] = [&mut v1, &mut v2].map(|bed| Played { bed, scenario: &scenario });
    let (first, second) = tokio::join!(sweep(&mut first, extent), sweep(&mut second, extent));
    first.into_iter().chain(second).collect()
}
