//! Races with the kubelet: a pod starts while its image is deleted.
//!
//! Each round has an image of its own on both nodes, a pod of it on each, and one deletion of it. Between the creation of the pods and
//! that of the deletion is another time in each: the first [`ROUNDS`] go evenly through the range in which the two can meet, which is
//! measured first, and as many more go millisecond by millisecond through the middle of the part in which the outcome turns. [`ALONG`]
//! rounds are under way at once.
//!
//! `SEED=` repeats the order of the rounds. What the two nodes then do to each other's times cannot be repeated.

mod round;

use std::time::Duration;

use futures::{StreamExt, stream};
use tokio::time::Instant;

use self::round::{Fate, Offset, Round};
use crate::bed::{Image, Imported};
use crate::chance::{Chance, seed};
use crate::cluster::Cluster;
use crate::sight::Sight;
use crate::suite::{Test, tests};

/// Rounds on each containerd, through the whole range and through its middle.
const ROUNDS: usize = 200;
/// Rounds that are under way at once.
const ALONG: usize = 6;
/// Pods that are started without a deletion, to see how long that takes.
const TRIALS: usize = 2 * ALONG;
/// The namespace of all pods.
const NAMESPACE: &str = "races";

pub(crate) fn tests() -> Vec<Test> {
    tests![Long: an_image_is_deleted_while_a_pod_of_it_starts]
}

async fn an_image_is_deleted_while_a_pod_of_it_starts(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    cluster.namespace(NAMESPACE).await;
    let sight = Sight::open(cluster, NAMESPACE).await;
    let begin = Instant::now();
    let longest = time_to_start(cluster).await;
    let seed = seed();
    let offsets = offsets(longest, seed);
    eprintln!(
        "races: SEED={seed}, pods run after {longest:.1?} at most; {ROUNDS} deletions from {:?} to {:?} after the pods, {:.1} s",
        offsets.iter().min().expect("there are rounds"),
        offsets.iter().max().expect("there are rounds"),
        begin.elapsed().as_secs_f64(),
    );
    let mut fates = play(cluster, &sight, 0, &offsets, seed).await;
    print(cluster, &fates);
    let turn = turn(&fates);
    let offsets = every_millisecond(turn, seed);
    eprintln!(
        "races: the outcome turns at about {turn} ms, {ROUNDS} more deletions at every millisecond around that"
    );
    let more = play(cluster, &sight, ROUNDS, &offsets, seed).await;
    print(cluster, &more);
    fates.extend(more);
    eprintln!("races: {} rounds on each of 2 nodes in {:.1} s", fates.len(), begin.elapsed().as_secs_f64());
    let of = |wanted: Fate| fates.iter().flat_map(|(_, fates)| fates).filter(|fate| **fate == wanted).count();
    assert!(of(Fate::Gone) > 0, "no image was deleted before its pod needed it");
    assert!(of(Fate::Used) > 0, "no image was found in use");
}

/// Plays a round with each of these offsets, and says what came of it on each node. They are counted from `first`.
async fn play(
    cluster: &Cluster,
    sight: &Sight,
    first: usize,
    offsets: &[Offset],
    seed: u64,
) -> Vec<(Offset, [Fate; 2])> {
    let images = import(cluster, &format!("app-{first}"), offsets.len()).await;
    let rounds = images.into_iter().zip(offsets).zip(first..).map(|((image, offset), number)| Round {
        number,
        image,
        offset: *offset,
        seed,
    });
    stream::iter(rounds)
        .map(async |round| (round.offset, round.play(cluster, sight).await))
        .buffer_unordered(ALONG)
        .collect()
        .await
}

/// The offset, in milliseconds, that lies in the middle between the last image that went before its pod needed it and the first that did
/// not.
fn turn(fates: &[(Offset, [Fate; 2])]) -> i64 {
    let offsets = |gone: bool| {
        fates.iter().filter_map(move |(offset, fates)| match offset {
            Offset::Milliseconds(offset) if fates.iter().any(|fate| (*fate == Fate::Gone) == gone) => {
                Some(*offset)
            }
            _ => None,
        })
    };
    let (last, first) = (offsets(true).max().unwrap_or_default(), offsets(false).min().unwrap_or_default());
    (last + first) / 2
}

/// So many milliseconds, one after the other around that one, in the order in which they are played.
fn every_millisecond(around: i64, seed: u64) -> Vec<Offset> {
    let first = around - ROUNDS as i64 / 2;
    let mut offsets: Vec<_> = (first..).take(ROUNDS).map(Offset::Milliseconds).collect();
    Chance::of(seed).shuffle(&mut offsets);
    offsets
}

/// The longest time from the creation of a pod until its container runs.
async fn time_to_start(cluster: &Cluster) -> Duration {
    let images = import(cluster, "trial", TRIALS).await;
    let times: Vec<_> = stream::iter(images.into_iter().enumerate())
        .map(async |(number, image)| round::time_to_start(cluster, number, &image).await)
        .buffer_unordered(ALONG)
        .collect()
        .await;
    times.into_iter().max().expect("there were trials")
}

/// The offsets of all rounds, in the order in which they are played: the two ends first, where one is over before the other begins.
fn offsets(longest: Duration, seed: u64) -> Vec<Offset> {
    let longest = i64::try_from(longest.as_millis()).expect("pods start within ages");
    let (first, last) = (-longest / 8 - 100, longest + longest / 8);
    let between = ROUNDS - 2;
    let at = |index: usize| first + (last - first) * index as i64 / (between as i64 - 1);
    let mut offsets: Vec<_> = (0..between).map(|index| Offset::Milliseconds(at(index))).collect();
    Chance::of(seed).shuffle(&mut offsets);
    offsets.splice(0..0, [Offset::DeletionEnds, Offset::PodRuns]);
    offsets
}

async fn import(cluster: &Cluster, what: &str, count: usize) -> Vec<Imported> {
    let name = |number: usize| format!("docker.io/races/{what}-{number}:v1");
    let images: Vec<_> = (0..count).map(|number| Image::new(name(number)).layer(name(number))).collect();
    let [a, b] = cluster.nodes();
    let (images, _) = tokio::join!(a.import_all(&images), b.import_all(&images));
    images
}

/// What came of the rounds, by tenths of the range.
fn print(cluster: &Cluster, fates: &[(Offset, [Fate; 2])]) {
    let mut fates: Vec<_> = fates.iter().collect();
    fates.sort_by_key(|(offset, _)| *offset);
    for (node, told) in cluster.nodes().iter().enumerate() {
        eprintln!(
            "{}: offset, images gone, needed by a pod, used by a container, only untagged",
            told.name()
        );
        for tenth in fates.chunks(ROUNDS / 10) {
            let of = |wanted: Fate| tenth.iter().filter(|(_, fates)| fates[node] == wanted).count();
            eprintln!(
                "  {:>20} {:4} {:4} {:4} {:4}",
                format!("{:?}", tenth[0].0),
                of(Fate::Gone),
                of(Fate::Needed),
                of(Fate::Used),
                of(Fate::Untagged),
            );
        }
    }
}
