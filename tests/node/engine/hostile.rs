//! Images are input from strangers: whatever is in them, it takes a bounded time and memory to say what became of them, and the
//! other images of the node are deleted as asked.

mod cases;
mod users;

use std::fs;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::APP;
use super::deletion::{Deletion, names, untagged};
use super::process::{Answer, Process};
use crate::bed::{Digest, Image, Imported, Node, Version};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The record of whatever is hostile.
const HOSTILE: &str = "docker.io/library/hostile:v1";

/// The most memory that a deletion of anything may take, in kB. The process of the tests is not optimized.
const MEMORY_KB: u64 = 48 << 10;
/// The longest time that it may take, on a machine that does other things too.
const TIME: Duration = Duration::from_secs(30);

/// What a process of its own did, and what it took.
struct Took {
    answer: Answer,
    peak_kb: u64,
    time: Duration,
}

/// Deletes in a process of its own, which is stopped at its end to ask the system for its peak memory.
async fn delete(node: &Node, entries: &[&str]) -> Took {
    let begin = Instant::now();
    let process = Process::stopped_at(node, "reported", entries).await;
    let time = begin.elapsed();
    let status = fs::read_to_string(process.directory().join("status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let peak_kb = peak.trim().trim_end_matches(" kB").parse().unwrap();
    Took { answer: process.finish().await, peak_kb, time }
}

impl Took {
    fn assert_bounded(&self, case: &str) {
        println!("{case}: {} kB, {:?}", self.peak_kb, self.time);
        assert!(self.peak_kb < MEMORY_KB, "{case}: {} kB", self.peak_kb);
        assert!(self.time < TIME, "{case}: {:?}", self.time);
    }
}

fn descriptor(media_type: &str, digest: &Digest) -> Value {
    json!({"mediaType": media_type, "digest": digest, "size": 1})
}

fn index(manifests: &[Value]) -> Vec<u8> {
    json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}).to_string().into_bytes()
}

/// The manifest that an image has, with whatever is put before its end.
fn manifest(image: &Imported, more: &str) -> Vec<u8> {
    let found = image.host.as_ref().unwrap();
    let layers: Vec<_> = found
        .layers
        .iter()
        .map(|layer| descriptor("application/vnd.oci.image.layer.v1.tar", layer))
        .collect();
    let config = descriptor("application/vnd.oci.image.config.v1+json", &found.config);
    let plain =
        json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}).to_string();
    format!("{}{more}}}", plain.strip_suffix('}').unwrap()).into_bytes()
}
