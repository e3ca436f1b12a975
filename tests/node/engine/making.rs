//! That whoever makes a container holds a lease until it is listed, which the look after a removal goes by.

use std::sync::Arc;

use super::APP;
use super::process::Process;
use crate::bed::{Image, Node, Pod, SnapshotKind, State, Version, both};
use crate::grpc;
use crate::trap::Trap;

both!(
    the_cri_makes_containers_under_a_lease,
    ctr_makes_containers_under_a_lease,
    snapshots_are_looked_at_only_while_somebody_may_make_a_container,
);

/// How often a container is made for one to be seen in the making.
const ATTEMPTS: usize = 1_000;

async fn the_cri_makes_containers_under_a_lease(version: Version) {
    let (node, pod) = node(version).await;
    let make = async || node.container(&pod, "made", APP, State::Created).await;
    assert_leased(&node, make, async |id: String| node.remove_container(&id).await).await;
}

async fn ctr_makes_containers_under_a_lease(version: Version) {
    let (node, _) = node(version).await;
    let make = async || node.plain_container("made", APP, State::Created).await;
    assert_leased(&node, make, async |()| node.remove_plain_container("made").await).await;
}

/// containerd 2 has a lease for each pod, for as long as it lives.
async fn snapshots_are_looked_at_only_while_somebody_may_make_a_container(version: Version) {
    let (node, pod) = node(version).await;
    let other = node.import(&Image::new("docker.io/library/other:v1").layer("other")).await;
    node.container(&pod, "other", &other.name, State::Running).await;
    let trap = Arc::new(Trap::default());
    let socket = node.directory().join("counting.sock");
    grpc::listen(socket.clone(), node.socket(), Arc::clone(&trap));
    for (is_made, looks) in [(false, 0), (true, 1)] {
        if is_made {
            node.hold("made", other.config()).await;
        }
        node.import(&Image::new("docker.io/library/gone:v1").layer("gone")).await;
        trap.set(None);
        let answer = Process::start_at(&socket, "", &["gone:v1"]).finish().await;
        let (calls, _) = trap.clear();
        assert_eq!(answer.only().outcome, "Deleted", "{answer:#?}");
        let listed = calls.iter().filter(|site| site.call == "Snapshots/List").count();
        assert_eq!(listed, looks, "{:?}", node.leases().await);
    }
}

async fn node(version: Version) -> (Node, Pod) {
    let node = Node::start(version).await;
    // The CRI copies a volume between the two, so that there is something to be seen.
    node.import(&Image::new(APP).volume("/bin")).await;
    let pod = node.pod("shop", "cart").await;
    (node, pod)
}

/// Makes a container until one was seen in the making.
async fn assert_leased<T>(node: &Node, make: impl AsyncFn() -> T, remove: impl AsyncFn(T)) {
    for _ in 0..ATTEMPTS {
        let (made, is_seen) = watched(node, make()).await;
        if is_seen {
            return;
        }
        remove(made).await;
    }
    panic!("none was seen while it was made");
}

/// Looks again and again while a container is made, and says whether it was seen in the making. A root file system that is
/// there, and whose container is not listed afterwards, is that of a container which was being made all the time in between:
/// by then there is a lease.
async fn watched<T>(node: &Node, making: impl Future<Output = T>) -> (T, bool) {
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
    let made = tokio::select! {
        made = making => made,
        () = looking => unreachable!("it looks for ever"),
    };
    (made, is_seen)
}
