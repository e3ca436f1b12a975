//! People, by the roles that the chart has for them.

use secateur::api::status::Phase;
use serde_json::json;

use crate::cluster::{Cluster, manifest};
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![Shared: a_viewer_creates_no_deletion, who_may_delete_images_writes_no_status_and_no_report]
}

async fn a_viewer_creates_no_deletion(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    for (role, user) in [("view", "viewer"), ("admin", "gardener")] {
        cluster.kubectl(["create", "clusterrolebinding", user, "--clusterrole", role, "--user", user]);
    }
    let deletion = manifest("access-viewer", json!({"images": ["access/none:v1"], "dryRun": true}));
    let answer = cluster.apply_fails_by("viewer", &deletion);
    assert!(answer.contains("forbidden"), "{answer}");
    cluster.kubectl(["get", "imagedeletions", "--as", "viewer"]);
    cluster.apply_by("gardener", &deletion);
    let listed = cluster.kubectl(["get", "imgdel", "access-viewer", "--as", "viewer", "-o", "name"]);
    assert_eq!(listed, "imagedeletion.secateur.dev/access-viewer\n");
}

async fn who_may_delete_images_writes_no_status_and_no_report(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let user = "pipeline";
    cluster.kubectl([
        "create",
        "clusterrolebinding",
        user,
        "--clusterrole",
        "secateur-delete",
        "--user",
        user,
    ]);
    let mut lie: serde_json::Value =
        serde_json::from_str(&manifest("access-status", json!({"images": ["access/none:v1"]}))).unwrap();
    lie["status"] = json!({"phase": "Failed", "reclaimedBytes": 1_000_000});
    cluster.apply_by(user, &lie.to_string());
    let status = cluster.finished("access-status").await;
    assert_eq!((status.phase, status.reclaimed_bytes), (Phase::Complete, 0), "{status:#?}");
    let patch =
        ["patch", "imgdel", "access-status", "--type=merge", "-p", r#"{"status": {"reclaimedBytes": 1}}"#];
    let answer = cluster.kubectl_fails([&patch[..], &["--subresource=status", "--as", user]].concat());
    assert!(answer.contains("forbidden"), "{answer}");
    let answer = cluster.kubectl_fails(["delete", "imgdelrep", "--all", "--as", user]);
    assert!(answer.contains("forbidden"), "{answer}");
}
