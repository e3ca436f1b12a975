//! Images whose content is not the usual.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secateur::image;
use secateur::node::{self, Outcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::{JoinHandle, JoinSet};

use super::APP;
use super::deletion::{Deletion, belongings, deleted, leases, names, untagged};
use super::process::Process;
use crate::bed::{Cri, Digest, Image, Index, Node, Setup, Version, both};
use crate::grpc;
use crate::trap::Trap;

both!(
    an_index_goes_with_all_its_platforms,
    a_manifest_stays_where_an_index_shares_it,
    an_image_without_layers_goes,
    an_image_goes_whose_content_is_only_partly_there,
    an_image_goes_from_every_snapshotter,
    an_image_goes_though_nobody_can_say_how_large_it_is,
    a_blob_that_is_longer_than_a_message_is_written,
);

async fn an_index_goes_with_all_its_platforms(version: Version) {
    let node = Node::start(version).await;
    let foreign = Image::bare("").layer("there").architecture("s390x");
    let index = Index::new(APP).image(Image::new("").layer("here")).image(foreign);
    let app = node.import(&index.attested()).await;

    let ran = Deletion::of(&["app:v1"]).run(&node).await;

    assert_eq!(ran.outcome(), Outcome::Deleted);
    assert_eq!(ran.removals(), [untagged("app:v1"), deleted(&app)]);
    assert_eq!(ran.gone, names([APP, app.config()]));
    assert_eq!(ran.freed, belongings([&app], node.sandbox_image()));
}

async fn a_manifest_stays_where_an_index_shares_it(version: Version) {
    let node = Node::start(version).await;
    let image = Image::new(APP).layer("here");
    let single = node.import(&image).await;
    let foreign = Image::bare("").layer("there").architecture("s390x");
    let index = Index::new("docker.io/library/index:v1").image(image).image(foreign);
    let index = node.import(&index).await;
    assert_eq!(single.target, index.manifests[0].digest);

    let ran = Deletion::of(&["app:v1"]).run(&node).await;
    assert_eq!(ran.outcome(), Outcome::Deleted);
    assert_eq!(ran.removals(), [untagged("app:v1"), deleted(&single)]);
    assert_eq!(ran.freed, names([]), "the index keeps all of it");
    let labels = &node.content().await[single.config()].labels;
    assert!(labels.contains_key("containerd.io/gc.ref.snapshot.overlayfs"));

    let ran = Deletion::of(&["index:v1"]).run(&node).await;
    assert_eq!(ran.removals(), [untagged("index:v1"), deleted(&index)]);
    assert_eq!(ran.freed, belongings([&index], node.sandbox_image()));
}

async fn an_image_without_layers_goes(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::bare(APP)).await;

    let ran = Deletion::of(&["app:v1"]).run(&node).await;

    assert_eq!(ran.outcome(), Outcome::Deleted);
    assert_eq!(ran.gone, names([APP, app.config()]));
    assert_eq!(ran.freed, belongings([&app], None));
}

async fn an_image_goes_whose_content_is_only_partly_there(version: Version) {
    let node = Node::start(version).await;
    let foreign = || Image::bare("").layer("there").architecture("s390x");
    let index = Index::new(APP).image(Image::new("").layer("here")).image(foreign());
    let digests = node.import(&index).await;
    let [host, other] = &digests.manifests[..] else { panic!("two platforms") };
    let missing = [
        // What a pull leaves out, and what a node has that discards unpacked layers.
        &other.digest,
        &other.layers[0],
        &host.layers[1],
        &host.config,
        &host.digest,
        &digests.target,
    ];
    for blob in missing {
        let app = node.import(&index).await;
        node.remove_content(blob).await;

        let ran = Deletion::of(&["app:v1"]).run(&node).await;

        assert_eq!(ran.outcome(), Outcome::Deleted, "without {blob}");
        assert_eq!(ran.removals(), [untagged("app:v1"), deleted(&app)]);
        assert_eq!(ran.gone, names([APP, app.config()]), "without {blob}");
        let left = node.disk().await;
        let left: Vec<_> = left.keys().map(str::to_owned).collect();
        let own = belongings([&app], node.sandbox_image());
        assert!(left.iter().all(|key| !own.contains(key)), "without {blob}");
    }
}

async fn an_image_goes_from_every_snapshotter(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    node.container_in_snapshotter("user", APP, "native").await;
    let top = app.chain_ids().pop().unwrap();
    assert!(node.layers("native").await[&*top] > 0);

    let ran = Deletion::of(&["app:v1"]).run(&node).await;
    assert_eq!(ran.outcome(), Outcome::Conflict);
    ran.assert_untouched();
    node.remove_plain_container("user").await;

    let before = node.disk().await.bytes() + node.layers("native").await.values().sum::<u64>();
    let (engine, done) = Deletion::of(&["app:v1"]).carry_out(&node).await;
    let [result] = &done.results[..] else { panic!("one entry") };
    assert_eq!(result.outcome, Outcome::Deleted);
    let reclaimed = result.reclaimed_bytes;
    engine.acknowledge(done).await.unwrap();
    node.collect_garbage().await;

    assert_eq!(node.layers("native").await, BTreeMap::new());
    assert!(!node.disk().await.layers.contains_key(&*top));
    assert_eq!(reclaimed, before - node.disk().await.bytes());
}

/// A snapshotter that fails at what is only counted does so each time. Nobody waits for it.
async fn an_image_goes_though_nobody_can_say_how_large_it_is(version: Version) {
    let node = Node::start(version).await;
    let trap = Arc::new(Trap::default());
    let socket = node.directory().join("refusing.sock");
    grpc::listen(socket.clone(), node.socket(), Arc::clone(&trap));
    for call in ["Snapshots/Usage", "Snapshots/Stat"] {
        let app = node.import(&Image::new(APP).layer(call)).await;
        let content = node.disk().await.content;
        trap.refuse(call);
        let answer = Process::start_at(&socket, "", &["app:v1"]).finish().await;
        assert_eq!(answer.only().outcome, "Deleted", "{answer:#?}");
        let left = node.disk().await;
        let bytes = |content: &BTreeMap<_, u64>| content.values().sum::<u64>();
        assert_eq!(answer.only().reclaimed, bytes(&content) - bytes(&left.content), "its blobs at least");
        assert!(!left.layers.contains_key(&**app.chain_ids().last().unwrap()));
        assert!(leases(&node).await.is_empty());
        assert!(node::Node::connect(&socket, "k8s.io").await.unwrap().catalog(&[]).await.is_ok());
    }
}

/// It is a process of its own. People stop theirs, and leave it in the configuration. 1.6 does not tell it the namespace, which the
/// containerd wants to know that takes the place of one here.
#[tokio::test]
async fn a_snapshotter_that_is_away_keeps_nothing_from_its_end() {
    let version = Version::V2;
    let node = Node::start_with(version, Setup { has_remote: true, ..Setup::default() }).await;
    let other = Node::start_with(version, Setup { cri: Cri::Disabled, ..Setup::default() }).await;
    let snapshotter = remote_snapshotter(&node.directory().join("remote.sock"), other.socket());
    let app = node.import(&Image::new(APP).layer("one")).await;
    let api = node.import(&Image::new("docker.io/library/api:v1").layer("two")).await;
    node.container_in_snapshotter("user", APP, "remote").await;
    node.remove_plain_container("user").await;
    assert!(node.layers("remote").await[&**app.chain_ids().last().unwrap()] > 0);
    let before = node.disk().await;

    snapshotter.abort();
    snapshotter.await.unwrap_err();
    for image in [&app, &api] {
        let name = image.name.strip_prefix("docker.io/library/").unwrap();
        let (engine, done) = Deletion::of(&[name]).carry_out(&node).await;
        let [result] = &done.results[..] else { panic!("one entry") };
        assert_eq!(result.outcome, Outcome::Deleted, "{result:#?}");
        assert!(result.reclaimed_bytes > 0 && done.recovered.is_empty(), "{result:#?}");
        engine.acknowledge(done).await.unwrap();
    }
    let records = node.records().await;
    assert!([&app, &api].iter().all(|image| !records.contains_key(&image.name)));
    assert!(node.disk().await.bytes() < before.bytes());
}

/// The snapshotter `native` of another containerd, under the name `remote`: every request begins with that, in as many letters.
fn remote_snapshotter(socket: &Path, containerd: PathBuf) -> JoinHandle<()> {
    let listener = UnixListener::bind(socket).unwrap();
    tokio::spawn(async move {
        let mut connections = JoinSet::new();
        loop {
            let (theirs, _) = listener.accept().await.unwrap();
            let ours = UnixStream::connect(&containerd).await.unwrap();
            connections.spawn(async move {
                let ((mut from, mut to), (mut answers, mut requests)) =
                    (theirs.into_split(), ours.into_split());
                let forth = async {
                    let mut part = vec![0; 64 << 10];
                    loop {
                        let length = from.read(&mut part).await.unwrap_or_default();
                        for at in 0..length.saturating_sub(7) {
                            if part[at..].starts_with(b"\n\x06remote") {
                                part[at + 2..at + 8].copy_from_slice(b"native");
                            }
                        }
                        if length == 0 || requests.write_all(&part[..length]).await.is_err() {
                            return;
                        }
                    }
                };
                tokio::select! {
                    () = forth => {}
                    _ = tokio::io::copy(&mut answers, &mut to) => {}
                }
            });
        }
    })
}

/// The journal of ten thousand images is one.
async fn a_blob_that_is_longer_than_a_message_is_written(version: Version) {
    let node = Node::start(version).await;
    let containerd = node::Containerd::connect(&node.socket(), node::DEFAULT_NAMESPACE).await.unwrap();
    for length in [0, 1, 4 << 20, (4 << 20) + 1, 20 << 20] {
        let text: Vec<u8> = (0..length).map(|index: u32| (index % 251) as u8).collect();
        let digest: image::Digest = Digest::of(&text).parse().unwrap();
        containerd.write_blob(&digest, &text, [].into_iter()).await.unwrap();
        let read = containerd.read_blob(&digest, text.len()).await.unwrap();
        assert!(read == Some(node::blobs::Blob::Whole(text)), "{length}");
    }
}
