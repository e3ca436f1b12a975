//! Images that pods use.

use secateur::api::result::{ConflictKind, Outcome};
use serde_json::json;

use super::{assert_complete, condition, deleted, on_both, outcome_of, untagged};
use crate::bed::Image;
use crate::cluster::{Cluster, Pod, merged};
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![Shared: a_running_pod_holds_its_image, force_removes_the_name_and_the_pod_goes_on,
        a_pod_protects_its_image_before_its_container_exists, a_finished_pod_holds_its_image_only_by_its_container]
}

async fn a_running_pod_holds_its_image(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let image = on_both(cluster, "used/app:v1").await;
    cluster.namespace("used-run").await;
    let [here, there] = cluster.nodes();
    cluster.run_pod(&Pod::new("used-run", "cart", "docker.io/used/app:v1", here));

    let status = cluster.delete("used-app", json!({"images": ["used/app:v1"]})).await;
    assert_complete(&status);
    assert_eq!((status.nodes.deleted, status.nodes.conflicted), (1, 1));
    assert_eq!(outcome_of(&status, here.name()), Some(Outcome::Conflict));
    assert_eq!(status.node_results[0].node, here.name(), "what needs a person comes first");
    let conflict = &status.node_results[0].conflicts[0];
    assert_eq!(conflict.kind, ConflictKind::RunningContainer);
    let holder = (conflict.namespace.as_deref(), conflict.pod.as_deref(), conflict.container.as_deref());
    assert_eq!(holder, (Some("used-run"), Some("cart"), Some("main")));
    let conflicted = condition(&status, "Conflicted");
    assert_eq!(conflicted.status, "True");
    assert!(conflicted.message.contains(here.name()), "{}", conflicted.message);
    assert!(here.has_image("docker.io/used/app:v1").await && here.has_content(image.config()).await);
    assert!(there.has_nothing_of(&image).await);
    assert_eq!(merged(&status), [(untagged("used/app:v1"), 1), (deleted(&image), 1)]);
}

async fn force_removes_the_name_and_the_pod_goes_on(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    cluster.namespace("used-force").await;
    for node in cluster.nodes() {
        let name = format!("docker.io/used/forced-{}:v1", node.name());
        let image = node.import(&Image::new(&name).layer(&name)).await;
        let pod = Pod::new("used-force", node.name(), &name, node);
        cluster.run_pod(&pod);

        let entry = name.strip_prefix("docker.io/").unwrap();
        let deletion = format!("used-forced-{}", node.name());
        let status = cluster.delete(&deletion, json!({"images": [entry], "force": true})).await;
        assert_complete(&status);
        assert_eq!(outcome_of(&status, node.name()), Some(Outcome::Untagged), "{status:#?}");
        assert_eq!(merged(&status), [(untagged(entry), 1)]);
        assert!(!node.has_image(&name).await);
        assert!(node.has_content(image.config()).await, "its content stays for the container");
        let phase = ["get", "pod", node.name(), "-n", "used-force", "-o", "jsonpath={.status.phase}"];
        assert_eq!(cluster.kubectl(phase), "Running");
        let exec = ["exec", node.name(), "-n", "used-force", "--", "/bin/busybox", "echo", "here"];
        assert_eq!(cluster.kubectl(exec), "here\n");
    }
}

async fn a_pod_protects_its_image_before_its_container_exists(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    cluster.namespace("used-init").await;
    for node in cluster.nodes() {
        let [first, main] = ["init", "main"].map(|part| format!("docker.io/used/{part}-{}:v1", node.name()));
        for name in [&first, &main] {
            node.import(&Image::new(name).layer(name)).await;
        }
        let pod = Pod::new("used-init", node.name(), &main, node).init(&first, "sleep 1000");
        cluster.create_pod(&pod);
        cluster.wait(
            "jsonpath={.status.initContainerStatuses[0].started}=true",
            ["pod", node.name(), "-n", "used-init"],
        );
        let entry = main.strip_prefix("docker.io/").unwrap();
        let status = cluster.delete(&format!("used-{}", pod.name()), json!({"images": [entry]})).await;
        assert_complete(&status);
        let result = status.node_results.iter().find(|result| result.node == node.name()).unwrap();
        assert_eq!(result.outcome, Outcome::Conflict);
        assert_eq!(result.conflicts[0].kind, ConflictKind::PendingPod);
        let holder = (result.conflicts[0].namespace.as_deref(), result.conflicts[0].pod.as_deref());
        assert_eq!(holder, (Some("used-init"), Some(node.name())));
        assert!(node.has_image(&main).await);
    }
}

async fn a_finished_pod_holds_its_image_only_by_its_container(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    on_both(cluster, "used/finished:v1").await;
    cluster.namespace("used-finished").await;
    for node in cluster.nodes() {
        let pod =
            Pod::new("used-finished", node.name(), "docker.io/used/finished:v1", node).once().shell("exit 0");
        cluster.create_pod(&pod);
        cluster.wait("jsonpath={.status.phase}=Succeeded", ["pod", node.name(), "-n", "used-finished"]);
    }
    let status = cluster.delete("used-finished", json!({"images": ["used/finished:v1"]})).await;
    assert_complete(&status);
    for result in &status.node_results {
        let kinds: Vec<_> =
            result.conflicts.iter().map(|conflict| (conflict.kind, conflict.forcible)).collect();
        assert_eq!(kinds, [(ConflictKind::StoppedContainer, true)], "{}", result.node);
    }
    let forced = json!({"images": ["used/finished:v1"], "force": true});
    let status = cluster.delete("used-finished-forced", forced).await;
    assert_complete(&status);
    for node in cluster.nodes() {
        assert!(!node.has_image("docker.io/used/finished:v1").await, "{}", node.name());
    }
}
