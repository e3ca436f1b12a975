//! Everything at once, for as long as one likes: images are imported, tagged and deleted in every way, pods come and go, and
//! whatever can be killed is killed.
//!
//! A seed decides the [actions](plan) and the pauses between them. What the parts make of them is theirs: the same seed does the
//! same things in the same order, but a deletion may meet another moment of a pod. After every [`ACTIONS`] actions everything
//! comes to rest, and what must be so then is [checked](rest); that no container loses its content is looked at [all the
//! time](watchman).
//!
//! `SEED=` and `MINUTES=` are read from the environment (`make soak`). With all other tests there is one of two minutes, always
//! with the same seed.

mod deeds;
mod diary;
mod ledger;
mod plan;
mod rest;
mod vitals;
mod watchman;

use std::time::Duration;

use tokio::time::{Instant, sleep};

use self::deeds::Deeds;
use self::diary::Diary;
use self::plan::{Faults, Plan};
use self::rest::Rest;
use self::watchman::Watchman;
use crate::chance::{named_seed, seed};
use crate::cluster::Cluster;
use crate::suite::{Test, tests};

/// How long it goes on when `MINUTES` does not say, with the check that is under way then.
const MINUTES: f64 = 2.0;
/// The seed of the one that is run with all other tests, if `SEED` names no other.
const SEED: u64 = 7;
/// How long that one goes on: with the start of a cluster, and the end, it takes two minutes.
const SHORT: Duration = Duration::from_secs(60);
/// Actions between two checks.
const ACTIONS: usize = 60;
/// The namespace of all pods.
const NAMESPACE: &str = "soak";

pub(crate) fn tests() -> Vec<Test> {
    tests![Alone: two_minutes_lose_nothing_in_use; Long: whatever_happens_nothing_in_use_is_lost]
}

async fn two_minutes_lose_nothing_in_use(cluster: &Cluster) {
    soak(cluster, named_seed().unwrap_or(SEED), SHORT).await;
}

async fn whatever_happens_nothing_in_use_is_lost(cluster: &Cluster) {
    soak(cluster, seed(), duration()).await;
}

async fn soak(cluster: &Cluster, seed: u64, time: Duration) {
    let cluster = cluster.with_secateur().await;
    let diary = Diary::begin(seed);
    eprintln!("soak: SEED={seed}, {:.1} min", time.as_secs_f64() / 60.0);
    assert_eq!(beginning(seed), beginning(seed), "a seed decides what is done");
    cluster.namespace(NAMESPACE).await;
    let mut rest = Rest::begin(cluster, &diary).await;
    let mut deeds = Deeds::new(cluster, &diary);
    let watchman = Watchman::begin(cluster, deeds.ledger(), deeds.gate());
    let watching = watchman.watch();
    let playing = async {
        let (mut plan, begin) = (Plan::of(seed), Instant::now());
        for round in 1_u32.. {
            // Agents live longer and longer, so that something could grow.
            let faults = if round.is_power_of_two() { Faults::All } else { Faults::Containerds };
            for _ in 0..ACTIONS {
                sleep(Duration::from_millis(plan.pause())).await;
                deeds.act(&plan.next(faults)).await;
            }
            rest.check(&deeds).await;
            watchman.assert_nothing_lost();
            if begin.elapsed() >= time {
                break;
            }
        }
        rest.end(&deeds).await;
    };
    tokio::select! {
        () = playing => {}
        () = watching => {}
    }
    watchman.assert_nothing_lost();
    eprintln!("soak: {}, {}", rest.told(), watchman.told());
    assert!(watchman.has_looked(), "no container was looked at");
    assert!(rest.has_compared(), "no agent's counters were compared exactly");
}

/// The first actions of a seed.
fn beginning(seed: u64) -> Vec<plan::Action> {
    let mut plan = Plan::of(seed);
    (0..ACTIONS).map(|_| plan.next(Faults::All)).collect()
}

fn duration() -> Duration {
    let minutes = std::env::var("MINUTES").ok().filter(|minutes| !minutes.is_empty());
    let minutes = minutes.map_or(MINUTES, |minutes| minutes.parse().expect("MINUTES is a number"));
    Duration::from_secs_f64(minutes * 60.0)
}
