//! A node starts, goes on, and leaves nothing.

use containerd_client::types::v1::Status;
use k8s_cri::v1::ContainerState;

use super::{APP, PAUSE};
use crate::bed::{Image, Node, State, Version, both, cgroup, leftovers, sweep};

both!(
    a_node_answers,
    a_restart_keeps_containers,
    a_saved_store_can_be_restored,
    a_dropped_node_leaves_nothing,
    a_killed_run_is_swept_and_a_live_one_is_not,
);

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

    assert_eq!((node.records().await, node.content().await, node.snapshots().await), saved);
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
