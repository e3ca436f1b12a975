//! The bed itself is what the other tests believe it is.

use std::fs;

use containerd_client::types::v1::Status;
use k8s_cri::v1::ContainerState;

use crate::bed::{
    Compression, Digest, Image, Index, Node, SnapshotKind, State, Version, both, cgroup, leftovers, sweep,
};

both!(
    a_node_answers,
    an_import_makes_an_identity_record,
    equal_layers_are_one_snapshot,
    other_compression_is_another_target_of_one_config,
    an_index_keeps_all_platforms_and_attestations,
    an_image_may_have_no_layers,
    records_can_be_made_moved_labelled_and_removed,
    garbage_is_collected,
    pods_have_containers_in_every_state,
    plain_containers_are_in_every_state,
    a_restart_keeps_containers,
    a_saved_store_can_be_restored,
    a_dropped_node_leaves_nothing,
    a_killed_run_is_swept_and_a_live_one_is_not,
    many_images_come_in_one_archive,
);

const APP: &str = "docker.io/library/app:v1";
const PAUSE: &str = "registry.k8s.io/pause:bed";

async fn a_node_answers(version: Version) {
    let node = Node::start(version).await;
    assert_eq!(node.version(), version);
    let answer = node.client().version().version(()).await.unwrap().into_inner();
    let generation = match version {
        Version::V1 => "1.",
        Version::V2 => "v2.",
    };
    assert!(answer.version.starts_with(generation), "{}", answer.version);
    assert!(node.records().await.contains_key(PAUSE));
    assert!(node.leases().await.is_empty());
}

async fn an_import_makes_an_identity_record(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one").label("a", "b")).await;

    let records = node.records().await;
    assert_eq!(records[APP].target, app.target);
    assert_eq!(records[&**app.config()].target, app.target);
    let content = node.content().await;
    assert!(app.content().iter().all(|digest| content.contains_key(digest)));
    assert_eq!(
        app.content().len(),
        4,
        "a manifest, a configuration and two layers"
    );
    assert!(content[app.config()].size > 0);
    let snapshots = node.snapshots().await;
    let [base, top] = &app.chain_ids()[..] else {
        panic!("two layers")
    };
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
    let images = [
        Image::new(APP).layer("one"),
        Image::new("docker.io/library/child:v1").layer("one").layer("two"),
    ];
    let imported = node.import_all(&images).await;
    let [app, child] = &imported[..] else {
        panic!("two images")
    };
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
    let packed = Image::new("docker.io/library/app:packed")
        .layer("one")
        .compression(Compression::Gzip);
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
    assert!(
        foreign
            .chain_ids()
            .iter()
            .all(|key| !snapshots.contains_key(&**key))
    );
}

async fn an_image_may_have_no_layers(version: Version) {
    let node = Node::start(version).await;
    let empty = node.import(&Image::bare(APP)).await;
    assert!(empty.chain_ids().is_empty());
    assert_eq!(node.record(empty.config()).await.unwrap().target, empty.target);
}

async fn records_can_be_made_moved_labelled_and_removed(version: Version) {
    let node = Node::start(version).await;
    let one = node.import(&Image::new(APP).layer("one")).await;
    let two = node
        .import(&Image::new("docker.io/library/two:v1").layer("two"))
        .await;
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
    // The CRI answers an event about one name by making its own record anew, so the name goes last.
    node.delete_record(app.config()).await;
    node.delete_record(APP).await;
    node.collect_garbage().await;
    let top = app.chain_ids().pop().unwrap();
    assert!(!node.snapshots().await.contains_key(&*top));
    assert!(!node.content().await.contains_key(&app.target));
    assert!(node.leases().await.is_empty());
}

async fn pods_have_containers_in_every_state(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    let pod = node.pod("shop", "cart").await;
    let created = node.container(&pod, "created", APP, State::Created).await;
    let running = node.container(&pod, "running", APP, State::Running).await;
    let paused = node.container(&pod, "paused", app.config(), State::Paused).await;
    let stopped = node.container(&pod, "stopped", APP, State::Stopped).await;

    assert_eq!(node.cri_state(&created).await, ContainerState::ContainerCreated);
    assert_eq!(node.cri_state(&running).await, ContainerState::ContainerRunning);
    assert_eq!(node.cri_state(&paused).await, ContainerState::ContainerRunning);
    assert_eq!(node.cri_state(&stopped).await, ContainerState::ContainerExited);
    let tasks = node.tasks().await;
    assert_eq!(tasks.get(&pod.id), Some(&Status::Running));
    assert_eq!(tasks.get(&running), Some(&Status::Running));
    assert_eq!(tasks.get(&paused), Some(&Status::Paused));
    assert_eq!((tasks.get(&created), tasks.get(&stopped)), (None, None));
    let snapshots = node.snapshots().await;
    let top = app.chain_ids().pop().unwrap();
    assert_eq!(snapshots[&running].parent.as_deref(), Some(&*top));
    assert_eq!(snapshots[&running].kind, SnapshotKind::Active);
    assert_shim_is_of(version, &node);

    node.resume(&paused).await;
    node.stop_container(&running).await;
    assert_eq!(node.cri_state(&running).await, ContainerState::ContainerExited);
    node.remove_container(&running).await;
    node.remove_pod(&pod).await;
    assert!(node.containers().await.is_empty());
}

/// Debian's shim would serve 2.x too, and a test would not notice.
fn assert_shim_is_of(version: Version, node: &Node) {
    let expected = fs::canonicalize(version.directory().join("containerd-shim-runc-v2")).unwrap();
    let programs: Vec<_> = leftovers::processes(node.directory())
        .into_iter()
        .filter_map(|pid| fs::read_link(format!("/proc/{pid}/exe")).ok())
        .filter(|program| program.ends_with("containerd-shim-runc-v2"))
        .collect();
    assert!(!programs.is_empty());
    assert!(
        programs.iter().all(|program| *program == expected),
        "{programs:?}"
    );
}

async fn plain_containers_are_in_every_state(version: Version) {
    let node = Node::start(version).await;
    node.import(&Image::new(APP)).await;
    for (id, state) in [
        ("created", State::Created),
        ("running", State::Running),
        ("paused", State::Paused),
        ("stopped", State::Stopped),
    ] {
        node.plain_container(id, APP, state).await;
    }
    let containers = node.containers().await;
    assert_eq!(
        containers.keys().collect::<Vec<_>>(),
        ["created", "paused", "running", "stopped"]
    );
    assert!(containers.values().all(|image| image == APP));
    let tasks = node.tasks().await;
    assert_eq!(tasks.get("created"), None);
    assert_eq!(tasks.get("running"), Some(&Status::Running));
    assert_eq!(tasks.get("paused"), Some(&Status::Paused));
    assert_eq!(tasks.get("stopped"), Some(&Status::Stopped));
    let request = k8s_cri::v1::ListContainersRequest { filter: None };
    assert!(
        node.runtime()
            .list_containers(request)
            .await
            .unwrap()
            .into_inner()
            .containers
            .is_empty()
    );
}

async fn a_restart_keeps_containers(version: Version) {
    let mut node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    let pod = node.pod("shop", "cart").await;
    let running = node.container(&pod, "running", APP, State::Running).await;
    let stopped = node.container(&pod, "stopped", APP, State::Stopped).await;
    node.plain_container("plain", APP, State::Running).await;
    let records = node.records().await;

    node.restart().await;

    assert_eq!(node.cri_state(&running).await, ContainerState::ContainerRunning);
    assert_eq!(node.cri_state(&stopped).await, ContainerState::ContainerExited);
    assert_eq!(node.tasks().await.get("plain"), Some(&Status::Running));
    assert_eq!(node.records().await, records);
    assert_eq!(node.cri_image(APP).await.unwrap().id, **app.config());
}

async fn a_saved_store_can_be_restored(version: Version) {
    let mut node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    let saved = (node.records().await, node.content().await, node.snapshots().await);
    node.save().await;
    node.delete_record(app.config()).await;
    node.delete_record(APP).await;
    assert_ne!(node.records().await, saved.0);

    node.restore().await;

    assert_eq!(
        (node.records().await, node.content().await, node.snapshots().await),
        saved
    );
    assert_eq!(node.cri_image(APP).await.unwrap().id, **app.config());
}

async fn a_dropped_node_leaves_nothing(version: Version) {
    let node = Node::start(version).await;
    node.import(&Image::new(APP)).await;
    let pod = node.pod("shop", "cart").await;
    node.container(&pod, "running", APP, State::Running).await;
    node.container(&pod, "paused", APP, State::Paused).await;
    node.plain_container("plain", APP, State::Running).await;
    let directory = node.directory().to_owned();
    assert!(leftovers::processes(&directory).len() > 5);
    assert!(leftovers::mounts(&directory).len() > 3);
    assert!(!cgroup::trees(&directory).is_empty());

    drop(node);

    assert_eq!(leftovers::processes(&directory), []);
    assert_eq!(leftovers::mounts(&directory), Vec::<std::path::PathBuf>::new());
    assert_eq!(cgroup::trees(&directory), Vec::<std::path::PathBuf>::new());
    assert!(!directory.exists());
}

async fn a_killed_run_is_swept_and_a_live_one_is_not(version: Version) {
    let mut node = Node::start(version).await;
    node.import(&Image::new(APP)).await;
    node.plain_container("plain", APP, State::Running).await;
    let dead = node.directory().to_owned();

    sweep();
    assert_eq!(node.tasks().await.len(), 1);

    node.abandon();
    sweep();
    assert!(!dead.exists());
    assert_eq!(leftovers::processes(&dead), []);
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
