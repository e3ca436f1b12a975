//! A disk that is full: that is when people delete images.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::Path;

use containerd_client::services::v1::{CreateRequest, DeleteRequest};
use k8s_cri::v1::{ImageSpec, RemoveImageRequest};
use nix::sys::statvfs::statvfs;
use secateur::image::Pod;
use secateur::node::Outcome;

use super::agreement::assert_agreement;
use super::deletion::{Deletion, leases};
use super::process::Process;
use crate::bed::{Image, NAMESPACE, Node, Setup, State, Version, both, in_namespace};

both!(
    images_go_from_a_full_disk,
    an_image_goes_with_eight_pages_to_spare,
    what_has_no_room_at_all_leaves_everything_as_it_is,
    what_was_killed_on_a_full_disk_is_ended,
);

const DISK: u64 = 128 << 20;
/// The bytes of a large layer.
const LARGE: usize = 8 << 20;
/// The pages of the database that are free beyond what the smallest change takes.
const PAGES: usize = 8;
/// So many images that their journal would be a blob.
const MANY: usize = 5;

async fn images_go_from_a_full_disk(version: Version) {
    let node = Node::start_with(version, Setup { disk: Some(DISK), ..Setup::default() }).await;
    let name = |what: &str| format!("docker.io/full/{what}:v1");
    let image = |what: &str| Image::new(name(what)).layer(what.repeat(LARGE / what.len()));
    let images = node.import_all(&["idle", "used", "many-a", "many-b"].map(image)).await;
    let pod = node.pod("shop", "cart").await;
    node.container(&pod, "cart", &name("used"), State::Running).await;
    delete_something(&node).await;
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

/// A database that has only ever grown may have no page to spare. The kubelet, which asks the CRI, cannot collect images then either.
async fn what_has_no_room_at_all_leaves_everything_as_it_is(version: Version) {
    let node = Node::start_with(version, Setup { disk: Some(DISK), ..Setup::default() }).await;
    let [idle, other] = ["idle", "other"].map(|what| format!("docker.io/full/{what}:v1"));
    node.import_all(&[&idle, &other].map(|name| Image::new(name).layer(name.clone()))).await;
    let root = node.directory().join("root");
    fill(&root);
    use_up_database(&node).await;
    let before = (node.records().await, node.disk().await);
    let nobody: Vec<Pod> = Vec::new();
    let deletion = Deletion::of(&[&idle]);
    let (engine, done) = deletion.carry_out_as(&node, &nobody).await;
    let told = done.unwrap_err().to_string();
    assert!(told.contains("no space left on device"), "{told}");
    assert_eq!((node.records().await, node.disk().await), before, "nothing is removed");
    drop(engine);

    let image = Some(ImageSpec { image: other, ..ImageSpec::default() });
    let removed = node.image_service().remove_image(RemoveImageRequest { image }).await;
    assert!(removed.is_err(), "{removed:?}");

    std::fs::remove_file(root.join("filler")).unwrap();
    let (engine, done) = deletion.carry_out(&node).await;
    assert_eq!((&done.recovered[..], done.results[0].outcome), (&[][..], Outcome::Deleted), "{done:#?}");
    engine.acknowledge(done).await.unwrap();
    assert_eq!(leases(&node).await, BTreeMap::new(), "what was left of the first attempt ends");
}

/// Eight pages more than the least are enough for one image.
async fn an_image_goes_with_eight_pages_to_spare(version: Version) {
    let node = Node::start_with(version, Setup { disk: Some(DISK), ..Setup::default() }).await;
    let name = "docker.io/full/idle:v1";
    node.import(&Image::new(name).layer("idle")).await;
    delete_something(&node).await;
    fill(&node.directory().join("root"));
    use_up_database(&node).await;
    for number in 0..PAGES {
        let request = DeleteRequest { id: filler(number), sync: false };
        node.client().leases().delete(in_namespace(NAMESPACE, request)).await.unwrap();
    }
    let (engine, done) = Deletion::of(&[name]).carry_out(&node).await;
    assert_eq!(done.results[0].outcome, Outcome::Deleted, "{done:#?}");
    engine.acknowledge(done).await.unwrap();
    assert_eq!(leases(&node).await, BTreeMap::new());
}

/// As has happened on every node for some time: what was removed since the database last grew has left pages that are written again.
async fn delete_something(node: &Node) {
    let name = "docker.io/full/first:v1";
    node.import(&Image::new(name).layer("first")).await;
    Deletion::of(&[name]).run(node).await;
}

/// Makes things that take a page each until the database has none for another.
async fn use_up_database(node: &Node) {
    let labels = HashMap::from([("full".to_owned(), "full".to_owned())]);
    for number in 0..1_000 {
        let request = CreateRequest { id: filler(number), labels: labels.clone() };
        if let Err(status) = node.client().leases().create(in_namespace(NAMESPACE, request)).await {
            assert!(status.message().contains("no space left on device"), "{status}");
            return;
        }
    }
    panic!("the disk is not full");
}

fn filler(number: usize) -> String {
    format!("full-{number}")
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
        // Some may not have been begun.
        let answer = Process::start(&node, "next", &names).finish().await;
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
