//! A disk that is full: that is when people delete images.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;

use nix::sys::statvfs::statvfs;
use secateur::node::Outcome;

use super::agreement::assert_agreement;
use super::deletion::{Deletion, leases};
use super::process::Process;
use crate::bed::{Image, Node, Setup, State, Version, both};

both!(
    #[ignore = "known to fail: a database that must grow has no room for the journal either (make limits)"]
    images_go_from_a_full_disk,
    what_was_killed_on_a_full_disk_is_ended,
);

const DISK: u64 = 128 << 20;
/// The bytes of a large layer.
const LARGE: usize = 8 << 20;
/// So many images that their journal would be a blob.
const MANY: usize = 5;

async fn images_go_from_a_full_disk(version: Version) {
    let node = Node::start_with(version, Setup { disk: Some(DISK), ..Setup::default() }).await;
    let name = |what: &str| format!("docker.io/full/{what}:v1");
    let image = |what: &str| Image::new(name(what)).layer(what.repeat(LARGE / what.len()));
    let images = node.import_all(&["idle", "used", "many-a", "many-b"].map(image)).await;
    let pod = node.pod("shop", "cart").await;
    node.container(&pod, "cart", &name("used"), State::Running).await;
    let root = node.directory().join("root");
    let filled = fill(&root);
    assert_eq!(free(&root), 0, "the disk is full");
    eprintln!("{version:?}: {filled} bytes fill the disk");

    for (entries, outcome) in
        [(&["full/used:v1"][..], Outcome::Conflict), (&["full/idle:v1"], Outcome::Deleted)]
    {
        let (engine, done) = Deletion::of(entries).carry_out(&node).await;
        assert_eq!(done.results[0].outcome, outcome, "{done:#?}");
        engine.acknowledge(done).await.unwrap();
    }
    assert!(free(&root) >= LARGE as u64, "the space is there again");

    fill_rest(&root);
    let (engine, done) = Deletion::of(&["full/many-*:*"]).carry_out(&node).await;
    assert_eq!(done.results[0].outcome, Outcome::Deleted, "{done:#?}");
    engine.acknowledge(done).await.unwrap();
    assert!(leases(&node).await.is_empty());
    node.collect_garbage().await;
    let records = node.records().await;
    for image in &images {
        assert_eq!(records.contains_key(&image.name), image.name == name("used"), "{}", image.name);
    }
    assert_agreement(&node).await;
}

async fn what_was_killed_on_a_full_disk_is_ended(version: Version) {
    let node = Node::start_with(version, Setup { disk: Some(DISK), ..Setup::default() }).await;
    let root = node.directory().join("root");
    // What the database had of these it uses again: where it must grow, there is no room for it.
    for image in node.import_all(&Image::series("docker.io/full/before", 40, 1)).await {
        node.delete_record(&image.name).await;
        node.delete_record(image.config()).await;
    }
    for (place, count) in [
        ("journal-open", MANY),
        ("removing:2", MANY),
        ("removed", 1),
        ("removed", MANY),
        ("settled", MANY),
        ("reported", 1),
        ("reported", MANY),
    ] {
        let repository = format!("docker.io/full/{}-{count}", place.replace(':', "-"));
        let images = node.import_all(&Image::series(&repository, count, 1)).await;
        let names: Vec<&str> = images.iter().map(|image| &*image.name).collect();
        fill(&root);
        let killed = Process::stopped_at(&node, place, &names).await;
        assert!(leases(&node).await.keys().any(|lease| lease.ends_with("-labels")), "{place}");
        let told = killed.kill().await;
        let answer = Process::start(&node, "next", &["full/none:v1"]).finish().await;
        let removals = answer.removals();
        assert_eq!(removals.len(), 2 * count, "{place}: {answer:?} {told}");
        assert!(leases(&node).await.is_empty(), "{place}");
        for image in &images {
            assert!(removals.contains(&&*format!("deleted {}", image.target)), "{place}: {removals:?}");
            assert_eq!(node.record(&image.name).await, None, "{place}");
        }
        std::fs::remove_file(root.join("filler")).unwrap();
    }
    assert_agreement(&node).await;
}

/// Fills a disk to the last byte.
fn fill(root: &Path) -> u64 {
    fill_with(&root.join("filler"))
}

fn fill_rest(root: &Path) -> u64 {
    fill_with(&root.join("more"))
}

fn fill_with(path: &Path) -> u64 {
    let mut file = File::create(path).unwrap();
    let (block, mut filled) = ([0; 4096], 0);
    loop {
        match file.write(&block) {
            Ok(bytes) => filled += bytes as u64,
            Err(error) if error.kind() == ErrorKind::StorageFull => return filled,
            Err(error) => panic!("{error}"),
        }
    }
}

fn free(root: &Path) -> u64 {
    let disk = statvfs(root).unwrap();
    disk.blocks_available() * disk.fragment_size()
}
