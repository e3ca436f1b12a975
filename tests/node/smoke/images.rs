//! What the bed puts into a store is there, as the builders say.

use super::APP;
use crate::bed::{Compression, Digest, Image, Index, Node, SnapshotKind, Version, both};

both!(
    an_import_makes_an_identity_record,
    equal_layers_are_one_snapshot,
    other_compression_is_another_target_of_one_config,
    an_index_keeps_all_platforms_and_attestations,
    an_image_may_have_no_layers,
    many_images_come_in_one_archive,
    records_can_be_made_moved_labelled_and_removed,
    garbage_is_collected,
);

async fn an_import_makes_an_identity_record(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one").label("a", "b")).await;

    let records = node.records().await;
    assert_eq!(records[APP].target, app.target);
    assert_eq!(records[&**app.config()].target, app.target);
    let content = node.content().await;
    assert!(app.content().iter().all(|digest| content.contains_key(digest)));
    assert_eq!(app.content().len(), 4, "a manifest, a configuration and two layers");
    assert!(content[app.config()].size > 0);
    let snapshots = node.snapshots().await;
    let [base, top] = &app.chain_ids()[..] else { panic!("two layers") };
    assert_eq!(snapshots[&**base].parent, None);
    assert_eq!(snapshots[&**top].parent.as_deref(), Some(&**base));
    assert_eq!(snapshots[&**top].kind, SnapshotKind::Committed);
    let labels = &content[app.config()].labels;
    assert_eq!(labels["containerd.io/gc.ref.snapshot.overlayfs"], **top);
    assert_eq!(node.cri_image(APP).await.unwrap().id, **app.config());
    assert!(node.cri_image("docker.io/library/other:v1").await.is_none());
}

async fn equal_layers_are_one_snapshot(version: Version) {
    let node = Node::start(version).await;
    let images =
        [Image::new(APP).layer("one"), Image::new("docker.io/library/child:v1").layer("one").layer("two")];
    let imported = node.import_all(&images).await;
    let [app, child] = &imported[..] else { panic!("two images") };
    assert_ne!(app.target, child.target);
    assert_eq!(app.chain_ids(), child.chain_ids()[..2]);
    let snapshots = node.snapshots().await;
    let keys = child.chain_ids();
    assert!(keys.iter().all(|key| snapshots.contains_key(&**key)));
    // The sandbox image starts with the same busybox, so it adds nothing.
    assert_eq!(snapshots.len(), keys.len());
}

async fn other_compression_is_another_target_of_one_config(version: Version) {
    let node = Node::start(version).await;
    let plain = Image::new(APP).layer("one");
    let packed = Image::new("docker.io/library/app:packed").layer("one").compression(Compression::Gzip);
    let plain = node.import(&plain).await;
    let packed = node.import(&packed).await;
    assert_ne!(plain.target, packed.target);
    assert_eq!(plain.config(), packed.config());
    assert_eq!(plain.chain_ids(), packed.chain_ids());
    let content = node.content().await;
    for image in [&plain, &packed] {
        assert!(image.content().iter().all(|digest| content.contains_key(digest)));
    }
}

async fn an_index_keeps_all_platforms_and_attestations(version: Version) {
    let node = Node::start(version).await;
    let index = Index::new(APP)
        .image(Image::new("").layer("here"))
        .image(Image::bare("").layer("there").architecture("s390x"))
        .attested();
    let app = node.import(&index).await;
    assert_eq!(app.manifests.len(), 4);
    assert!(app.manifests.iter().all(|manifest| manifest.digest != app.target));
    let content = node.content().await;
    assert!(app.content().iter().all(|digest| content.contains_key(digest)));
    assert_eq!(node.record(app.config()).await.unwrap().target, app.target);
    let snapshots = node.snapshots().await;
    assert!(app.chain_ids().iter().all(|key| snapshots.contains_key(&**key)));
    let foreign = &app.manifests[1];
    assert!(foreign.chain_ids().iter().all(|key| !snapshots.contains_key(&**key)));
}

async fn an_image_may_have_no_layers(version: Version) {
    let node = Node::start(version).await;
    let empty = node.import(&Image::bare(APP)).await;
    assert!(empty.chain_ids().is_empty());
    assert_eq!(node.record(empty.config()).await.unwrap().target, empty.target);
}

async fn many_images_come_in_one_archive(version: Version) {
    let node = Node::start(version).await;
    let imported = node.import_all(&Image::series("docker.io/many/app", 50, 2)).await;
    assert_eq!(imported.len(), 50);
    let snapshots = node.snapshots().await;
    let mut keys: Vec<Digest> = imported.iter().flat_map(|image| image.chain_ids()).collect();
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 100);
    assert!(keys.iter().all(|key| snapshots.contains_key(&**key)));
}

async fn records_can_be_made_moved_labelled_and_removed(version: Version) {
    let node = Node::start(version).await;
    let one = node.import(&Image::new(APP).layer("one")).await;
    let two = node.import(&Image::new("docker.io/library/two:v1").layer("two")).await;
    let by_digest = format!("docker.io/library/app@{}", one.target);

    node.tag(APP, &by_digest).await;
    assert_eq!(node.record(&by_digest).await.unwrap().target, one.target);
    node.put_record("no reference!", APP).await;
    assert_eq!(node.record("no reference!").await.unwrap().target, one.target);
    node.move_record(APP, &two.name).await;
    assert_eq!(node.record(APP).await.unwrap().target, two.target);
    node.label(APP, "org.example/colour", "red").await;
    let labels = node.record(APP).await.unwrap().labels;
    assert_eq!(labels.get("org.example/colour").map(String::as_str), Some("red"));
    node.delete_record(APP).await;
    assert_eq!(node.record(APP).await, None);
}

async fn garbage_is_collected(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    node.delete_record(app.config()).await;
    node.delete_record(APP).await;
    node.collect_garbage().await;
    let top = app.chain_ids().pop().unwrap();
    assert!(!node.snapshots().await.contains_key(&*top));
    assert!(!node.content().await.contains_key(&app.target));
    assert!(node.leases().await.is_empty());
}
