//! The CRI says what the store has.

use std::collections::BTreeSet;

use super::APP;
use super::deletion::Deletion;
use crate::bed::{Compression, Image, Node, Version, both, eventually};

both!(
    the_cri_forgets_what_is_gone_and_keeps_what_stays,
    the_cri_knows_an_image_whose_twin_took_the_identity_record,
);

/// Waits until the CRI's answers agree with the store.
///
/// # Panics
///
/// Where they still do not after a while.
pub(super) async fn assert_agreement(node: &Node) {
    let mut last = Vec::new();
    eventually("the CRI to agree with the store", async || {
        let now = disagreements(node).await;
        if now != last {
            println!("{now:#?}");
            last = now;
        }
        last.is_empty().then_some(())
    })
    .await;
}

/// What the CRI says and the store does not, and the other way round.
async fn disagreements(node: &Node) -> Vec<String> {
    let records = node.records().await;
    let mut found = Vec::new();
    let mut listed = BTreeSet::new();
    for image in node.cri_images().await {
        let names: Vec<_> = image.repo_tags.iter().chain(&image.repo_digests).cloned().collect();
        if names.is_empty() && !records.contains_key(&image.id) {
            found.push(format!("the CRI lists {} and no record is left of it", image.id));
        }
        let stale = names.iter().filter(|name| !records.contains_key(*name));
        // The CRI's cache rewrites a dangling record's name as one of Docker Hub, and then does not find it when the record goes.
        let stale = stale.filter(|name| !name.starts_with("docker.io/library/moby-dangling@"));
        found.extend(stale.map(|name| format!("the CRI lists {name}, which is no record")));
        listed.extend(names);
        listed.insert(image.id);
    }
    for (name, record) in &records {
        let managed = record.labels.get("io.cri-containerd.image").is_some_and(|value| value == "managed");
        let is_reference = name.starts_with("sha256:") || (name.contains('/') && !name.contains(' '));
        if !managed || !is_reference {
            continue;
        }
        if !listed.contains(name) {
            found.push(format!("the CRI does not list {name}"));
        }
        if node.cri_image(name).await.is_none() {
            found.push(format!("the CRI does not know {name}"));
        }
    }
    found
}

async fn the_cri_forgets_what_is_gone_and_keeps_what_stays(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    node.tag(APP, "docker.io/library/app:v2").await;
    node.import(&Image::new("docker.io/library/other:v1").layer("two")).await;

    Deletion::of(&["app:v1"]).run(&node).await;
    assert!(node.cri_image(APP).await.is_none());
    assert_eq!(node.cri_image("docker.io/library/app:v2").await.unwrap().id, **app.config());
    assert_eq!(node.cri_image(app.config()).await.unwrap().repo_tags, ["docker.io/library/app:v2"]);

    Deletion::of(&["app:v2"]).run(&node).await;
    let listed: Vec<_> = node.cri_images().await.into_iter().map(|image| image.repo_tags).collect();
    assert!(node.cri_image(app.config()).await.is_none());
    assert_eq!(listed.len(), 2, "the sandbox image and the other one: {listed:?}");
}

async fn the_cri_knows_an_image_whose_twin_took_the_identity_record(version: Version) {
    let node = Node::start(version).await;
    let plain = node.import(&Image::new(APP).layer("one")).await;
    let packed = Image::new("docker.io/library/app:packed").layer("one").compression(Compression::Gzip);
    node.import(&packed).await;
    let holder = node.record(plain.config()).await.unwrap().target;
    let (goes, stays) = match holder == plain.target {
        true => (APP, "docker.io/library/app:packed"),
        false => ("docker.io/library/app:packed", APP),
    };

    Deletion::of(&[goes]).run(&node).await;

    assert_eq!(node.record(plain.config()).await, None);
    assert_eq!(node.cri_image(stays).await.unwrap().repo_tags, [stays]);
    let pod = node.pod("shop", "cart").await;
    node.container(&pod, "by-id", plain.config(), crate::bed::State::Running).await;
}
