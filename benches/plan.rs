//! How long planning takes in the pure core: half of a node's images deleted by name in one request.
//!
//! `cargo bench --bench plan` prints one row for each size of node. Each image has five layers, the lower two of which all
//! images share, a tag, a digest reference and a CRI identity record; 300 containers use images that stay.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use secateur::image::{
    ChainId, Config, Container, Content, Digest, Entry, Evidence, ImageId, InvalidEntry, Inventory, Pattern,
    Record, Request, Rules, State, decide,
};

const SIZES: [usize; 2] = [1_000, 10_000];
const CONTAINERS: usize = 300;
const RUNS: usize = 11;

type Failure = Box<dyn std::error::Error>;

/// One node, as an adapter would hand it over.
#[derive(Clone)]
struct Node {
    records: Vec<Record>,
    contents: Vec<(ImageId, Arc<Content>)>,
    containers: Vec<Container>,
}

fn digest(kind: u8, number: usize) -> Result<Digest, Failure> {
    // The digits that differ come first, as in real digests.
    let spread = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    Ok(format!("sha256:{spread:016x}{kind:048x}").parse()?)
}

fn name(number: usize) -> String {
    format!("docker.io/acme/app-{number}:v1")
}

fn node(images: usize) -> Result<Node, Failure> {
    let mut node = Node { records: Vec::new(), contents: Vec::new(), containers: Vec::new() };
    let labels = HashMap::from([("io.cri-containerd.image".to_owned(), "managed".to_owned())]);
    for number in 0..images {
        let target = ImageId::new(digest(1, number)?);
        let config = digest(2, number)?;
        let by_digest = format!("docker.io/acme/app-{number}@{target}");
        for name in [&name(number), &by_digest, &config.to_string()] {
            node.records.push(Record::new(name, target.clone(), &labels));
        }
        let layers =
            [digest(3, 0)?, digest(4, 0)?, digest(5, number)?, digest(6, number)?, digest(7, number)?];
        let config = Config { digest: config, chains: ChainId::of(&layers) };
        let content = Content { configs: vec![config], ..Content::default() };
        node.contents.push((target, Arc::new(content)));
    }
    for number in 0..CONTAINERS {
        let used = images / 2 + number % (images / 2);
        node.containers.push(Container {
            id: format!("{number:064x}").into(),
            state: State::Running,
            owner: None,
            image: Evidence::Config(digest(2, used)?),
            volumes: Vec::new(),
        });
    }
    Ok(node)
}

fn request(images: usize) -> Result<Request, Failure> {
    let entries: Result<Vec<Entry>, InvalidEntry> =
        (0..images / 2).map(|number| name(number).parse()).collect();
    let protect: Pattern = "registry.k8s.io/**".parse()?;
    Ok(Request { entries: entries?, rules: Rules { force: false, prune: true, protect: vec![protect] } })
}

/// The time that each part takes, and how many images are deleted.
fn run(node: Node, request: &Request) -> Result<([Duration; 3], usize), Failure> {
    let start = Instant::now();
    let mut inventory = Inventory::new(node.records, node.containers, Vec::new());
    let made = start.elapsed();
    for (image, content) in node.contents {
        inventory.learn(image, content);
    }
    let learned = start.elapsed() - made;
    let start = Instant::now();
    let decisions = decide(&inventory, request).map_err(|unread| format!("{unread:?} is missing"))?;
    let decided = start.elapsed();
    let plans = decisions.iter().filter_map(|decision| decision.verdict.as_ref().ok());
    Ok(([made, learned, decided], plans.map(|plan| plan.deleted().count()).sum()))
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1_000.0
}

fn main() -> Result<(), Failure> {
    println!("median of {RUNS} runs, milliseconds");
    println!("{:>7} {:>8} {:>14} {:>8} {:>8}", "images", "deleted", "Inventory::new", "learn", "decide");
    for images in SIZES {
        let node = node(images)?;
        let request = request(images)?;
        let mut times: [Vec<Duration>; 3] = Default::default();
        for _ in 0..RUNS {
            let (parts, deleted) = run(node.clone(), &request)?;
            if deleted != images / 2 {
                return Err(format!("{deleted} of {} images were deleted", images / 2).into());
            }
            times.iter_mut().zip(parts).for_each(|(times, part)| times.push(part));
        }
        let [made, learned, decided] = times.map(median);
        println!("{images:>7} {:>8} {made:>14.2} {learned:>8.2} {decided:>8.2}", images / 2);
    }
    Ok(())
}
