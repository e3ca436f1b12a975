//! What a deletion costs, beside what people do today: `make bench`.
//!
//! One containerd with 1,000 images. Three ways delete the same 500 of them, then the same single one, from the same store
//! (it is put back before every run), each as a process of its own or, for the CRI, as calls from here:
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
const ROUNDS: usize = 3;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Ctr,
    Cri,
    Secateur,
}

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
    for count in [IMAGES / 2, 1] {
        let targets = &targets[..count];
        let mut bare = Duration::ZERO;
        for way in [Way::Ctr, Way::Cri, Way::Secateur] {
            let mut runs = Vec::new();
            for _ in 0..ROUNDS {
                node.restore().await;
                runs.push(measure(&node, way, targets).await);
                assert_eq!(
                    node.records().await.len(),
                    2 * (IMAGES - count) + 2,
                    "exactly what was named is gone"
                );
            }
            runs.sort_by_key(|run| run.time);
            let median = &runs[ROUNDS / 2];
            if way == Way::Ctr {
                bare = median.time;
            }
            report(count, way, median, bare);
        }
    }
}

fn report(count: usize, way: Way, run: &Run, bare: Duration) {
    let name = match way {
        Way::Ctr => "ctr",
        Way::Cri => "cri",
        Way::Secateur => "secateur",
    };
    let seconds = run.time.as_secs_f64();
    let ratio = seconds / bare.as_secs_f64();
    let peak = run.peak_kib.map_or_else(String::new, |kib| format!("{:.1}", kib as f64 / 1024.0));
    println!("{count:>8}  {name:<9} {seconds:>9.3}  {ratio:>8.2}x  {peak:>9}");
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

#[tokio::test]
#[ignore = "scratch"]
async fn hold() {
    let node = Node::start(Version::V2).await;
    node.import_all(&Image::series("docker.io/bench/app", IMAGES, LAYERS)).await;
    std::fs::write("/tmp/perf.socket", node.socket().display().to_string()).unwrap();
    std::fs::write("/tmp/perf.hold", "").unwrap();
    while std::path::Path::new("/tmp/perf.hold").exists() {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
