//! The containers of the bed are in the states that they are asked for.

use std::fs;

use containerd_client::types::v1::Status;
use k8s_cri::v1::ContainerState;

use super::APP;
use crate::bed::{Image, Node, SnapshotKind, State, Version, both, leftovers};

both!(pods_have_containers_in_every_state, plain_containers_are_in_every_state,);

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
    assert!(programs.iter().all(|program| *program == expected), "{programs:?}");
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
    assert_eq!(containers.keys().collect::<Vec<_>>(), ["created", "paused", "running", "stopped"]);
    assert!(containers.values().all(|image| image == APP));
    let tasks = node.tasks().await;
    assert_eq!(tasks.get("created"), None);
    assert_eq!(tasks.get("running"), Some(&Status::Running));
    assert_eq!(tasks.get("paused"), Some(&Status::Paused));
    assert_eq!(tasks.get("stopped"), Some(&Status::Stopped));
    let request = k8s_cri::v1::ListContainersRequest { filter: None };
    assert!(node.runtime().list_containers(request).await.unwrap().into_inner().containers.is_empty());
}
