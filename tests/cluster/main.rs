//! Tests on a real Kubernetes: one cluster of two nodes for all of them.
//!
//! They need root and what `tests/tools/build` provides. The program is its own test harness, because the cluster lives
//! in a [`world`] that it has to enter first; its arguments are the usual ones.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on stops and says why")]

mod access;
#[allow(dead_code, unused_imports, reason = "the tests of single nodes use the rest")]
#[path = "../bed/lib.rs"]
mod bed;
mod chance;
mod chart;
mod cluster;
mod comparison;
mod deletion;
mod limits;
mod metrics;
mod races;
mod sight;
mod smoke;
mod soak;
mod suite;
mod words;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;

use libtest_mimic::Arguments;

use self::world::World;

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    match world::home() {
        Some(home) => suite::run(&arguments, home, tests()),
        None if arguments.list => suite::run(&arguments, PathBuf::new(), tests()),
        None => World::new().run(std::env::args_os().skip(1)),
    }
}

fn tests() -> Vec<suite::Test> {
    [
        smoke::tests(),
        chart::tests(),
        deletion::tests(),
        access::tests(),
        metrics::tests(),
        words::tests(),
        limits::tests(),
        races::tests(),
        soak::tests(),
        comparison::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
