//! A node with very many images: how long what takes, and how much memory.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use tokio::process::Command;

use crate::bed::{Cri, Node, Setup, Version, both};

both!(ten_thousand_images_are_no_burden);

const IMAGES: usize = 10_000;
/// The most memory that any of the commands may take, in KiB: what the chart gives an agent.
const MEMORY: u64 = 256 << 10;

async fn ten_thousand_images_are_no_burden(version: Version) {
    let setup = Setup { cri: Cri::Disabled, ..Setup::default() };
    let node = Node::start_with(version, setup).await;
    let begin = Instant::now();
    node.stock("docker.io/many/app", IMAGES).await;
    eprintln!("{version:?}: {IMAGES} images made in {:.1} s", begin.elapsed().as_secs_f64());
    // 1,111 images have a number that begins with 9.
    let rows: [(&str, &[&str], usize); 4] = [
        ("list", &["images", "--output", "json"], IMAGES),
        ("delete one", &["delete", "many/app-17:v1"], IMAGES - 1),
        ("decide on all", &["delete", "--dry-run", "many/**"], IMAGES - 1),
        ("delete 1,111", &["delete", "many/app-9*:v1"], IMAGES - 1 - 1_111),
    ];
    let mut most = 0;
    for (what, arguments, left) in rows {
        let (seconds, memory) = run(&node, arguments).await;
        eprintln!("{version:?}: {what}: {seconds:.2} s, {memory} KiB");
        let names = node.records().await.into_keys().filter(|name| name.starts_with("docker.io/many/"));
        assert_eq!(names.count(), left, "{what}");
        most = most.max(memory);
    }
    assert!(most < MEMORY, "{most} KiB are too much");
}

/// The program as it is shipped, where it was built, or else with everything for debugging.
fn program() -> PathBuf {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/image/build/secateur");
    if shipped.exists() { shipped } else { env!("CARGO_BIN_EXE_secateur").into() }
}

/// Runs the program and returns how many seconds it took, and its most memory in KiB.
async fn run(node: &Node, arguments: &[&str]) -> (f64, u64) {
    let mut command = Command::new("busybox");
    command.args(["time", "-v"]).arg(program()).arg("--address").arg(node.socket());
    let begin = Instant::now();
    let output = command.args(arguments).stdin(Stdio::null()).output().await.unwrap();
    let (seconds, told) = (begin.elapsed().as_secs_f64(), String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{told}");
    let memory =
        told.lines().find_map(|line| line.trim().strip_prefix("Maximum resident set size (kbytes): "));
    (seconds, memory.unwrap().parse().unwrap())
}
