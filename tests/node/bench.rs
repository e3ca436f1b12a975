//! What a deletion costs, beside what people do today: `make bench`.
//!
//! One containerd with 1,000 images. Three ways take turns to delete 500 of them, from the same store (it is put back before
//! every run), and then one of them at a time, each another one of those that are equal. Each is a process of its own or, for
//! the CRI, calls from here:
//!
//! - `ctr`: `ctr images rm --sync` of the same records: the bare cost of the store, without a look at who uses what;
//! - `cri`: the CRI's `RemoveImage` one image after another, as `crictl rmi` does;
//! - `secateur`: `secateur delete` of the names.

mod run;

use std::time::Duration;

use k8s_cri::v1::{ImageSpec, RemoveImageRequest};

use self::run::{Run, run};
use crate::bed::{Image, Node, Version};

const IMAGES: usize = 1_000;
const LAYERS: usize = 2;
/// How often everything is measured: half of the images, and a single one.
const ROUNDS: [(usize, usize); 2] = [(IMAGES / 2, 12), (1, 24)];
/// The CRI, which takes most of the time, has a turn in every fourth round only.
const CRI_EVERY: usize = 4;
/// Before every run, for the daemon to do what the one before has left it.
const PAUSE: Duration = Duration::from_millis(200);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Ctr,
    Cri,
    Secateur,
}

const WAYS: [Way; 3] = [Way::Ctr, Way::Cri, Way::Secateur];

#[tokio::test]
#[ignore = "a measurement: make bench"]
async fn v2() {
    table(Version::V2).await;
}

#[tokio::test]
#[ignore = "a measurement: make bench CONTAINERD=v1"]
async fn v1() {
    table(Version::V1).await;
}

async fn table(version: Version) {
    let mut node = Node::start(version).await;
    let images = node.import_all(&Image::series("docker.io/bench/app", IMAGES, LAYERS)).await;
    node.save().await;
    let targets: Vec<(String, String)> =
        images.iter().map(|image| (image.name.clone(), image.config().to_string())).collect();

    println!("{:>8}  {:<9} {:>9}  {:>9}  {:>9}", "images", "way", "seconds", "of ctr", "peak MiB");
    for (count, rounds) in ROUNDS {
        let mut runs: Vec<[Option<Run>; WAYS.len()]> = Vec::new();
        let mut left: Vec<(String, String)> = Vec::new();
        for round in 0..rounds {
            let has_turn = |way: &Way| *way != Way::Cri || round % CRI_EVERY == 0;
            let mut turns: Vec<Way> = WAYS.into_iter().filter(has_turn).collect();
            // Whoever comes first in one round comes last in the next.
            let first = round % turns.len();
            turns.rotate_left(first);
            let mut own = [const { None }; WAYS.len()];
            for way in turns {
                if left.len() <= IMAGES / 2 {
                    node.restore().await;
                    left = targets.clone();
                }
                tokio::time::sleep(PAUSE).await;
                let going = left.split_off(left.len() - count);
                own[way as usize] = Some(measure(&node, way, &going).await);
                assert_eq!(node.records().await.len(), 2 * left.len() + 2, "exactly what was named is gone");
            }
            runs.push(own);
        }
        for way in WAYS {
            // Each beside the run of `ctr` in the same round.
            let pairs: Vec<_> = runs
                .iter()
                .filter_map(|round| round[way as usize].as_ref().zip(round[Way::Ctr as usize].as_ref()))
                .collect();
            report(count, way, &pairs);
        }
    }
}

fn report(count: usize, way: Way, runs: &[(&Run, &Run)]) {
    let name = match way {
        Way::Ctr => "ctr",
        Way::Cri => "cri",
        Way::Secateur => "secateur",
    };
    let seconds = median(runs.iter().map(|(run, _)| run.time.as_secs_f64()));
    let ratio = median(runs.iter().map(|(run, bare)| run.time.as_secs_f64() / bare.time.as_secs_f64()));
    let peak = match runs.iter().filter_map(|(run, _)| run.peak_kib).max() {
        Some(kib) => format!("{:.1}", kib as f64 / 1024.0),
        None => String::new(),
    };
    println!("{count:>8}  {name:<9} {seconds:>9.3}  {ratio:>8.2}x  {peak:>9}");
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

async fn measure(node: &Node, way: Way, targets: &[(String, String)]) -> Run {
    let socket = node.socket().display().to_string();
    match way {
        Way::Ctr => {
            // The identity record first: the CRI answers the end of any other name by making it anew.
            let names = targets.iter().flat_map(|(name, config)| [config.clone(), name.clone()]);
            let ctr = node.version().directory().join("ctr");
            let fixed = ["--address", &socket, "--namespace", "k8s.io", "images", "rm", "--sync"];
            run(&ctr, fixed.into_iter().map(str::to_owned).chain(names)).await
        }
        Way::Cri => {
            let mut service = node.image_service();
            let begin = std::time::Instant::now();
            for (name, _) in targets {
                let image = Some(ImageSpec { image: name.clone(), ..ImageSpec::default() });
                service.remove_image(RemoveImageRequest { image }).await.unwrap();
            }
            Run { time: begin.elapsed(), peak_kib: None }
        }
        Way::Secateur => {
            let secateur = std::path::Path::new(env!("CARGO_BIN_EXE_secateur"));
            let fixed = ["--address", &socket, "delete", "-o", "json"];
            let names = targets.iter().map(|(name, _)| name.clone());
            run(secateur, fixed.into_iter().map(str::to_owned).chain(names)).await
        }
    }
}
