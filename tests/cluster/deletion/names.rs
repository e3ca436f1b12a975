//! What can be named: tags, digests, IDs, patterns, and what no one may delete.

use secateur::api::result::{ConflictKind, Outcome};
use secateur::api::status::Phase;
use serde_json::json;

use super::{assert_complete, condition, deleted, on_both, outcome_of, untagged};
use crate::bed::Image;
use crate::cluster::{Cluster, merged};
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![Shared: one_of_two_tags_leaves_the_image, a_digest_names_an_image, an_id_prefix_names_an_image,
        an_ambiguous_prefix_fails, a_pattern_names_many, a_protected_image_stays;
        Alone: the_pause_image_and_our_own_stay]
}

async fn one_of_two_tags_leaves_the_image(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let image = on_both(cluster, "names/two:v1").await;
    for node in cluster.nodes() {
        node.tag("docker.io/names/two:v1", "docker.io/names/two:v2").await;
    }
    let status = cluster.delete("names-two", json!({"images": ["names/two:v1"]})).await;
    assert_complete(&status);
    assert_eq!(status.nodes.untagged, 2);
    assert_eq!(merged(&status), [(untagged("names/two:v1"), 2)]);
    for node in cluster.nodes() {
        assert!(!node.has_image("docker.io/names/two:v1").await);
        assert!(node.has_image("docker.io/names/two:v2").await && node.has_content(image.config()).await);
    }
}

async fn a_digest_names_an_image(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let image = on_both(cluster, "names/digest:v1").await;
    for node in cluster.nodes() {
        node.tag("docker.io/names/digest:v1", &format!("docker.io/names/digest@{}", image.target)).await;
    }
    let entry = format!("names/digest@{}", image.target);
    let status = cluster.delete("names-digest", json!({"images": [entry]})).await;
    assert_complete(&status);
    assert_eq!(status.nodes.deleted + status.nodes.untagged, 2, "{status:#?}");
    for node in cluster.nodes() {
        assert!(!node.has_image(&format!("docker.io/{entry}")).await);
    }
}

async fn an_id_prefix_names_an_image(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let image = on_both(cluster, "names/id:v1").await;
    let id = image.config().to_string();
    let prefix = &id["sha256:".len()..][..12];
    let status = cluster.delete("names-id", json!({"images": [prefix]})).await;
    assert_complete(&status);
    assert_eq!(status.nodes.deleted, 2);
    assert_eq!(merged(&status), [(untagged("names/id:v1"), 2), (deleted(&image), 2)]);
    for node in cluster.nodes() {
        assert!(node.has_nothing_of(&image).await, "{}", node.name());
    }
}

async fn an_ambiguous_prefix_fails(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let (one, other) = with_common_prefix();
    let node = cluster.node_b();
    let images = [node.import(&one).await, node.import(&other).await];
    let prefix = images[0].target.to_string()["sha256:".len()..][..4].to_owned();
    let status = cluster.delete("names-ambiguous", json!({"images": [prefix]})).await;
    assert_eq!(status.phase, Phase::Failed);
    assert_eq!(outcome_of(&status, node.name()), Some(Outcome::Failed));
    let failed = condition(&status, "Failed");
    assert!(failed.message.contains(node.name()), "{}", failed.message);
    let message = status.node_results[0].message.as_deref().unwrap();
    assert!(message.contains("ambiguous"), "{message}");
    for image in &images {
        assert!(node.has_image(&image.name).await);
    }
}

/// Two images whose digests begin with the same four digits: some among a few hundred do.
fn with_common_prefix() -> (Image, Image) {
    let mut by_prefix = std::collections::HashMap::new();
    for number in 0.. {
        let name = format!("docker.io/names/ambiguous:v{number}");
        let image = Image::bare(&name).label("number", number.to_string());
        let digest = image.digests().target.to_string();
        if let Some(other) = by_prefix.insert(digest["sha256:".len()..][..4].to_owned(), image.clone()) {
            return (other, image);
        }
    }
    unreachable!("there are fewer prefixes than numbers")
}

async fn a_pattern_names_many(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    for name in ["names/many/api:1.2.0", "names/many/web:1.2.1", "names/many/web:1.3.0"] {
        on_both(cluster, name).await;
    }
    let status = cluster.delete("names-pattern", json!({"images": ["names/many/**:1.2.*"]})).await;
    assert_complete(&status);
    assert_eq!(status.nodes.deleted, 2);
    for node in cluster.nodes() {
        let left: Vec<_> =
            node.records().await.into_keys().filter(|name| name.contains("names/many")).collect();
        assert_eq!(left, ["docker.io/names/many/web:1.3.0"]);
    }
}

async fn a_protected_image_stays(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let name = "registry.k8s.io/names/guarded:v1";
    for node in cluster.nodes() {
        node.import(&Image::new(name).layer("guarded")).await;
    }
    let status = cluster.delete("names-guarded", json!({"images": [name], "force": true})).await;
    assert_complete(&status);
    assert_eq!(status.nodes.conflicted, 2);
    let conflict = &status.node_results[0].conflicts[0];
    assert_eq!((conflict.kind, conflict.forcible), (ConflictKind::Protected, false));
    for node in cluster.nodes() {
        assert!(node.has_image(name).await);
    }
}

/// Also where the chart protects nothing.
async fn the_pause_image_and_our_own_stay(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    cluster.install_secateur(&["--set-json", "protect=[]"]).await;
    let pause = crate::bed::config::PAUSE;
    let spec = json!({"images": [pause, "localhost/secateur:dev"], "force": true});
    let status = cluster.delete("names-own", spec).await;
    assert_complete(&status);
    assert_eq!(status.nodes.conflicted, 2, "{status:#?}");
    for report in cluster.reports("names-own").await.into_values() {
        for result in report.results {
            assert_eq!(result.outcome, Outcome::Conflict, "{}: {result:?}", report.node_name);
            assert!(result.records.is_empty());
            assert!(result.conflicts.iter().any(|conflict| !conflict.forcible), "{result:?}");
        }
    }
    for node in cluster.nodes() {
        assert!(node.has_image(pause).await && node.has_image("localhost/secateur:dev").await);
    }
    cluster.install_secateur(&[]).await;
}
