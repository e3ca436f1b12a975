//! Every call, every way: the real agent between a real API server and a real containerd, with one fault in turn at each of its
//! calls, and what must hold after each.
//!
//! A run begins with a node in a known state and an `ImageDeletion`, and ends with a report. `cargo test` makes faults at some of
//! the calls of every scenario; `make faults` at all. `SITES=9` says at how many for each
//! kind of fault.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a run that cannot go on stops and says why")]

mod agent;
#[allow(dead_code, unused_imports, reason = "the tests of single nodes use the rest")]
#[path = "../bed/lib.rs"]
mod bed;
#[allow(dead_code, reason = "the tests of scale use more of it")]
#[path = "../scale/cluster.rs"]
mod cluster;
#[allow(dead_code, reason = "the tests of scale use more of it")]
#[path = "../scale/fleet.rs"]
mod fleet;
mod grpc;
mod http;
mod machine;
mod scenario;
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
use self::sweep::{Bed, Extent};
use self::world::World;

/// At how many calls there is a fault of each kind, where nobody says.
const SITES: usize = 3;

fn main() -> ExitCode {
    if let Some(home) = world::home() {
        let name = env::args().nth(1).expect("inside, a scenario is named");
        return Runtime::new().expect("tokio starts").block_on(sweep(&home, &name));
    }
    // A world must be made by the main thread.
    let arguments = Arguments { test_threads: Some(1), ..Arguments::from_args() };
    let trials =
        scenario::all().into_iter().map(|scenario| Trial::test(scenario.name, move || run(scenario.name)));
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// Sweeps a scenario in a world of its own.
fn run(name: &str) -> Result<(), Failed> {
    match World::new().run([name]) {
        ExitCode::SUCCESS => Ok(()),
        _ => Err("it says above what was wrong".into()),
    }
}

/// Inside: sweeps a scenario on each containerd.
async fn sweep(home: &Path, name: &str) -> ExitCode {
    let scenario =
        scenario::all().into_iter().find(|scenario| scenario.name == name).expect("there is such a scenario");
    let extent = match env::var("SITES").as_deref() {
        Ok("all") => Extent::All,
        Ok(sites) => Extent::Some(sites.parse().expect("SITES is a number or `all`")),
        Err(_) => Extent::Some(SITES),
    };
    let cluster = Cluster::start(home).await;
    let mut places = fleet::settle(&cluster, 2).await;
    let (config, client) = (cluster.config().await, cluster.client());
    let mut bed = async |version| {
        let place = places.pop().expect("there is a place for each");
        Bed::start(home, version, place, config.clone(), client.clone()).await
    };
    let (mut v1, mut v2) = (bed(Version::V1).await, bed(Version::V2).await);
    let (first, second) = tokio::join!(v1.sweep(&scenario, extent), v2.sweep(&scenario, extent));
    let wrong: Vec<String> = first.into_iter().chain(second).collect();
    wrong.iter().for_each(|line| eprintln!("{name}: {line}"));
    if wrong.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
