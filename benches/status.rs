//! How long the controller takes to fold reports into a status: each of them once, and one fold of all.
//!
//! `cargo bench --bench status` prints one row for each number of nodes and of images. Every node deletes every image, with
//! a tag and a digest; one node in ten has a conflict on each.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use secateur::api::aggregate::{Reports, aggregate};
use secateur::api::deletion::{ImageDeletion, ImageDeletionSpec};
use secateur::api::report::{ImageDeletionReport, ImageDeletionReportSpec};
use secateur::api::result::{Conflict, ConflictKind, ImageResult, Outcome, Record};
use secateur::api::status::Phase;

const NODES: [usize; 3] = [500, 5_000, 50_000];
const IMAGES: [usize; 2] = [1, 64];
const RUNS: usize = 5;

type Failure = Box<dyn std::error::Error>;

fn deletion(images: usize) -> ImageDeletion {
    let names = (0..images).map(|image| format!("ghcr.io/acme/app-{image}:v1"));
    let mut deletion = ImageDeletion::new("drop", ImageDeletionSpec::of(names));
    deletion.metadata.uid = Some("5f2c1f7e-3c55-4a38-9a3f-1f0e2a1b2c3d".to_owned());
    deletion.metadata.creation_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    deletion
}

fn node(number: usize) -> String {
    format!("ip-10-0-{}-{}.eu-central-1.compute.internal", number / 256, number % 256)
}

fn report(deletion: &ImageDeletion, number: usize) -> ImageDeletionReportSpec {
    let results = deletion.spec.images.iter().enumerate().map(|(place, image)| {
        let image = image.to_string();
        match number % 10 {
            0 => held(image),
            _ => deleted(image, place),
        }
    });
    let epoch = Time(Timestamp::UNIX_EPOCH);
    ImageDeletionReport::of(deletion, &node(number), results.collect(), epoch.clone(), Some(epoch)).spec
}

fn deleted(image: String, place: usize) -> ImageResult {
    let records = vec![Record::Untagged(image.clone()), Record::Deleted(format!("sha256:{place:064x}"))];
    let (conflicts, message) = (Vec::new(), None);
    ImageResult { image, outcome: Outcome::Deleted, records, conflicts, reclaimed_bytes: 1_992_294, message }
}

fn held(image: String) -> ImageResult {
    let conflict = Conflict {
        image: image.clone(),
        kind: ConflictKind::RunningContainer,
        forcible: false,
        namespace: Some("shop".to_owned()),
        pod: Some("cart-7d9".to_owned()),
        container: Some("cart".to_owned()),
        message: format!("conflict: unable to delete {image} (cannot be forced) - it is in use"),
    };
    let (records, conflicts) = (Vec::new(), vec![conflict]);
    ImageResult { image, outcome: Outcome::Conflict, records, conflicts, reclaimed_bytes: 0, message: None }
}

/// The time to take every report in, and that of one fold.
fn run(deletion: &ImageDeletion, nodes: usize) -> Result<[Duration; 2], Failure> {
    let reports: Vec<_> = (0..nodes).map(|number| report(deletion, number)).collect();
    let desired: BTreeSet<_> = (0..nodes).map(node).collect();
    let mut kept = Reports::on(deletion.metadata.uid.as_deref().unwrap_or_default());
    let start = Instant::now();
    for report in reports {
        kept.insert(report);
    }
    let taken = start.elapsed();
    let start = Instant::now();
    let status = aggregate(deletion, &desired, 0, &kept, Timestamp::UNIX_EPOCH);
    let folded = start.elapsed();
    match (status.phase, status.nodes.reported as usize == nodes) {
        (Phase::Complete, true) => Ok([taken, folded]),
        (phase, _) => Err(format!("{phase:?} after {} of {nodes} reports", status.nodes.reported).into()),
    }
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1_000.0
}

fn main() -> Result<(), Failure> {
    println!("median of {RUNS} runs, milliseconds");
    println!("{:>6} {:>6} {:>12} {:>10}", "nodes", "images", "all taken in", "one fold");
    for images in IMAGES {
        let deletion = deletion(images);
        for nodes in NODES.into_iter().filter(|nodes| nodes * images <= 500_000) {
            let mut times: [Vec<Duration>; 2] = Default::default();
            for _ in 0..RUNS {
                let parts = run(&deletion, nodes)?;
                times.iter_mut().zip(parts).for_each(|(times, part)| times.push(part));
            }
            let [taken, folded] = times.map(median);
            println!("{nodes:>6} {images:>6} {taken:>12.2} {folded:>10.2}");
        }
    }
    Ok(())
}
