//! How a deletion is done: only to see, patiently, and for how long it is remembered.

use secateur::api::result::Outcome;
use secateur::api::status::{ImageDeletionStatus, Phase};
use serde_json::json;

use super::{
    assert_complete, checks_of_the_example, condition, deleted, on_both, outcome_of, untagged, until_no_lease,
};
use crate::bed::{Image, eventually};
use crate::cluster::{Cluster, Pod, merged};
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![Shared: a_dry_run_says_the_same_and_removes_nothing, it_waits_until_the_pod_goes,
        what_a_pattern_no_longer_holds_goes_before_the_rest,
        what_is_forced_by_its_digest_goes_with_all_its_names_when_no_container_runs,
        it_waits_for_a_pod_that_never_had_a_container, it_waits_no_longer_than_its_deadline,
        a_finished_deletion_goes_with_its_reports, a_deletion_that_is_removed_while_it_waits_is_let_go,
        one_with_the_longest_name_has_its_events]
}

async fn a_dry_run_says_the_same_and_removes_nothing(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let image = on_both(cluster, "manners/dry:v1").await;
    let dry = cluster.delete("manners-dry", json!({"images": ["manners/dry:v1"], "dryRun": true})).await;
    assert_complete(&dry);
    assert_eq!(merged(&dry), [(untagged("manners/dry:v1"), 2), (deleted(&image), 2)]);
    assert_eq!(dry.reclaimed_bytes, 0);
    for node in cluster.nodes() {
        assert!(node.has_image("docker.io/manners/dry:v1").await && node.has_content(image.config()).await);
    }
    let wet = cluster.delete("manners-wet", json!({"images": ["manners/dry:v1"]})).await;
    assert_eq!(merged(&wet), merged(&dry));
}

async fn it_waits_until_the_pod_goes(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    cluster.namespace("manners-wait").await;
    let image = on_both(cluster, "manners/wait:v1").await;
    let pods = cluster.nodes().each_ref().map(|node| {
        let pod = Pod::new("manners-wait", node.name(), "docker.io/manners/wait:v1", node);
        cluster.run_pod(&pod);
        pod
    });
    cluster.request("manners-wait", json!({"images": ["manners/wait:v1"], "onConflict": "Wait"}));
    let status =
        cluster.status_where("manners-wait", "both nodes wait", |status| status.nodes.conflicted == 2).await;
    assert_eq!(status.phase, Phase::Active);
    assert_eq!(condition(&status, "Complete").reason, "WaitingForConflicts");
    for pod in &pods {
        cluster.delete_pod(pod);
    }
    let status = cluster.finished("manners-wait").await;
    assert_complete(&status);
    assert_eq!(status.nodes.deleted, 2, "{status:#?}");
    for node in cluster.nodes() {
        assert!(node.has_nothing_of(&image).await, "{}", node.name());
    }
}

async fn what_a_pattern_no_longer_holds_goes_before_the_rest(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    cluster.namespace("manners-some").await;
    let node = cluster.node_b();
    let names = ["docker.io/manners-some/a:v1", "docker.io/manners-some/b:v1"];
    let mut held = Vec::new();
    for (pod, name) in ["a", "b"].into_iter().zip(names) {
        let image = node.import(&Image::new(name).layer(name)).await;
        let pod = Pod::new("manners-some", pod, name, node);
        cluster.run_pod(&pod);
        held.push((image, pod));
    }
    cluster.request("manners-some", json!({"images": ["manners-some/*:v1"], "onConflict": "Wait"}));
    let both = |status: &ImageDeletionStatus| {
        status.node_results.iter().any(|result| result.conflicts.len() == held.len())
    };
    cluster.status_where("manners-some", "both images are held", both).await;
    cluster.delete_pod(&held[1].1);
    let one = |status: &ImageDeletionStatus| {
        status.node_results.iter().any(|result| result.conflicts.len() == 1 && result.records.len() == 2)
    };
    let status = cluster.status_where("manners-some", "one image is held", one).await;
    assert_eq!(status.phase, Phase::Active);
    assert!(node.has_nothing_of(&held[1].0).await);
    assert!(node.has_image(names[0]).await);
    cluster.delete_pod(&held[0].1);
    let status = cluster.finished("manners-some").await;
    assert_complete(&status);
    assert_eq!(outcome_of(&status, node.name()), Some(Outcome::Deleted));
    assert!(node.has_nothing_of(&held[0].0).await);
}

/// As `docs/examples/leaked-secret.yaml` promises.
async fn what_is_forced_by_its_digest_goes_with_all_its_names_when_no_container_runs(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    cluster.namespace("manners-leak").await;
    let image = on_both(cluster, "manners/leak:v1").await;
    for node in cluster.nodes() {
        node.tag("docker.io/manners/leak:v1", "ghcr.io/manners/leak:v2").await;
    }
    let [here, there] = cluster.nodes();
    let pod = Pod::new("manners-leak", "leak", "docker.io/manners/leak:v1", here);
    cluster.run_pod(&pod);
    let spec = json!({"images": [&image.target], "force": true, "onConflict": "Wait"});
    cluster.request("manners-leak", spec);
    let waits = |status: &ImageDeletionStatus| status.nodes.conflicted == 1 && status.nodes.deleted == 1;
    cluster.status_where("manners-leak", "one node waits", waits).await;
    assert!(there.has_nothing_of(&image).await);
    assert!(
        here.has_image("docker.io/manners/leak:v1").await && here.has_image("ghcr.io/manners/leak:v2").await
    );
    cluster.delete_pod(&pod);
    let status = cluster.finished("manners-leak").await;
    assert_complete(&status);
    assert_eq!(
        (status.nodes.deleted, &*condition(&status, "Conflicted").status),
        (2, "False"),
        "{status:#?}"
    );
    assert!(here.has_nothing_of(&image).await);
    assert_eq!(checks_of_the_example(cluster, "manners-leak"), [true, true, true]);
}

async fn it_waits_for_a_pod_that_never_had_a_container(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    cluster.namespace("manners-pending").await;
    let (node, name) = (cluster.node_b(), "docker.io/manners/pending:v1");
    let image = node.import(&Image::new(name).layer("pending")).await;
    let first = "docker.io/manners/first:v1";
    node.import(&Image::new(first).layer("first")).await;
    let pod = Pod::new("manners-pending", "slow", name, node).init(first, "sleep 1000");
    cluster.create_pod(&pod);
    cluster.wait(
        "jsonpath={.status.initContainerStatuses[0].started}=true",
        ["pod", "slow", "-n", "manners-pending"],
    );
    cluster.request("manners-pending", json!({"images": ["manners/pending:v1"], "onConflict": "Wait"}));
    cluster.status_where("manners-pending", "the node waits", |status| status.nodes.conflicted == 1).await;
    cluster.delete_pod(&pod);
    let status = cluster.finished("manners-pending").await;
    assert_complete(&status);
    assert_eq!(outcome_of(&status, node.name()), Some(Outcome::Deleted), "{status:#?}");
    assert!(node.has_nothing_of(&image).await);
}

async fn it_waits_no_longer_than_its_deadline(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    cluster.namespace("manners-late").await;
    let (node, name) = (cluster.node_a(), "docker.io/manners/late:v1");
    node.import(&Image::new(name).layer("late")).await;
    let pod = Pod::new("manners-late", "stays", name, node);
    cluster.run_pod(&pod);
    let spec = json!({"images": ["manners/late:v1"], "onConflict": "Wait", "activeDeadlineSeconds": 8});
    let status = cluster.delete("manners-late", spec).await;
    assert_complete(&status);
    assert_eq!(outcome_of(&status, node.name()), Some(Outcome::Conflict));
    cluster.delete_pod(&pod);
    // The agent does what came after it, so it has passed it over.
    assert_complete(&cluster.delete("manners-later", json!({"images": ["manners/none:v1"]})).await);
    assert!(node.has_image(name).await, "after the deadline no agent acts");
}

async fn a_finished_deletion_goes_with_its_reports(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let spec = json!({"images": ["manners/short:v1"], "ttlSecondsAfterFinished": 1});
    cluster.request("manners-short", spec);
    cluster.deletion_is_gone("manners-short").await;
}

async fn a_deletion_that_is_removed_while_it_waits_is_let_go(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    cluster.namespace("manners-removed").await;
    let (node, name) = (cluster.node_b(), "docker.io/manners/removed:v1");
    node.import(&Image::new(name).layer("removed")).await;
    let pod = Pod::new("manners-removed", "holds", name, node);
    cluster.run_pod(&pod);
    cluster.request("manners-removed", json!({"images": ["manners/removed:v1"], "onConflict": "Wait"}));
    cluster.status_where("manners-removed", "the node waits", |status| status.nodes.conflicted == 1).await;
    cluster.kubectl(["delete", "imagedeletion", "manners-removed"]);
    cluster.deletion_is_gone("manners-removed").await;
    cluster.delete_pod(&pod);
    // The next deletion shows that the agent has gone past it.
    assert_complete(&cluster.delete("manners-after", json!({"images": ["manners/none:v1"]})).await);
    until_no_lease(node).await;
    assert!(node.has_image(name).await);
}

/// An Event is named by what it is about and a time.
async fn one_with_the_longest_name_has_its_events(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let name = "manners-long.".repeat(20)[..253].to_owned();
    assert_complete(&cluster.delete(&name, json!({"images": ["manners/none:v1"]})).await);
    let about = format!("involvedObject.name={name}");
    eventually("what happened to be said", async || {
        let reasons = cluster.kubectl([
            "get",
            "events",
            "--field-selector",
            &about,
            "-o",
            "jsonpath={.items[*].reason}",
        ]);
        (reasons.contains("Started") && reasons.contains("Completed")).then_some(())
    })
    .await;
}
