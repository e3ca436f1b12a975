//! That whoever makes a container holds a lease until it is listed, which the look after a removal goes by.

use super::APP;
use crate::bed::{Image, Node, Pod, SnapshotKind, State, Version, both};

both!(the_cri_makes_containers_under_a_lease, ctr_makes_containers_under_a_lease);

/// How often a container is made for one to be seen while it is.
const ATTEMPTS: usize = 100;

async fn the_cri_makes_containers_under_a_lease(version: Version) {
    let (node, pod) = node(version).await;
    for attempt in 0..ATTEMPTS {
        let name = format!("made-{attempt}");
        if is_seen_in_the_making(&node, node.container(&pod, &name, APP, State::Created)).await {
            return;
        }
    }
    panic!("none was seen while it was made");
}

async fn ctr_makes_containers_under_a_lease(version: Version) {
    let (node, _) = node(version).await;
    for attempt in 0..ATTEMPTS {
        let id = format!("made-{attempt}");
        if is_seen_in_the_making(&node, node.plain_container(&id, APP, State::Created)).await {
            return;
        }
    }
    panic!("none was seen while it was made");
}

async fn node(version: Version) -> (Node, Pod) {
    let node = Node::start(version).await;
    node.import(&Image::new(APP).layer("one")).await;
    let pod = node.pod("shop", "cart").await;
    (node, pod)
}

/// Looks again and again while a container is made. A root file system that is there, and whose container is not listed
/// afterwards, is that of a container which was being made all the time in between: by then there is a lease.
async fn is_seen_in_the_making<T>(node: &Node, making: impl Future<Output = T>) -> bool {
    let mut is_seen = false;
    let looking = async {
        loop {
            let snapshots = node.snapshots().await;
            let leases = node.leases().await;
            let containers = node.containers().await;
            let mut active = snapshots.iter().filter(|(_, snapshot)| snapshot.kind == SnapshotKind::Active);
            if let Some((key, _)) = active.find(|(key, _)| !containers.contains_key(*key)) {
                assert!(!leases.is_empty(), "no lease while {key} is made");
                is_seen = true;
            }
        }
    };
    tokio::select! {
        _ = making => {}
        () = looking => {}
    }
    is_seen
}
