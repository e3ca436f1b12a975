//! What people read: the output of `kubectl`, kept in `docs/kubectl.md`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::json;

use crate::bed::Image;
use crate::cluster::{Cluster, Pod, manifest};
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![Alone: kubectl_reads_well]
}

/// Runs what the page shows and looks for what a person looks for. With `UPDATE_DOCS=1` the page is written anew.
async fn kubectl_reads_well(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    cluster.kubectl(["delete", "imgdel", "--all"]);
    cluster.namespace("shop").await;
    for node in cluster.nodes() {
        for name in ["docker.io/library/app:v1", "docker.io/library/app:v2"] {
            node.import(&Image::new(name).layer(name)).await;
        }
    }
    cluster.run_pod(&Pod::new("shop", "cart", "docker.io/library/app:v1", cluster.node_b()));
    cluster.apply(&manifest("drop-app-v1", json!({"images": ["app:v1"]})));
    cluster.apply(&manifest("drop-app-v2", json!({"images": ["app:v2"]})));
    cluster.finished("drop-app-v1").await;
    cluster.finished("drop-app-v2").await;
    let rows: [(&str, &[&str], &[&str]); 6] = [
        (
            "Where every deletion stands:",
            &["get", "imgdel"],
            &["NAME", "PHASE", "NODES", "DELETED", "CONFLICTED", "RECLAIMED", "AGE", "2/2"],
        ),
        (
            "Waiting, in a script:",
            &["wait", "--for=condition=Complete", "imagedeletion/drop-app-v1"],
            &["imagedeletion.secateur.dev/drop-app-v1 condition met"],
        ),
        (
            "Everything about one, with the pod that holds the image:",
            &["describe", "imgdel", "drop-app-v1"],
            &["RunningContainer", "cart", "shop", "Events:", "Complete", "AllNodesReported"],
        ),
        (
            "What each node did:",
            &["get", "imgdelrep", "--field-selector", "imageDeletion=drop-app-v1"],
            &["DELETION", "NODE", "OUTCOME", "node-a", "node-b", "Conflict", "Deleted"],
        ),
        (
            "What can be written:",
            &["explain", "imagedeletion.spec"],
            &["images", "-required-", "onConflict", "enum: Report, Wait"],
        ),
        ("Everything of the project:", &["get", "secateur"], &["imagedeletion.secateur.dev/drop-app-v2"]),
    ];
    let mut page = String::from(HEAD);
    for (caption, arguments, words) in rows {
        let printed = cluster.kubectl(arguments);
        for word in words {
            assert!(printed.contains(word), "no {word} in:\n{printed}");
        }
        let printed = printed.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
        write!(page, "\n{caption}\n\n```console\n$ kubectl {}\n{printed}\n```\n", arguments.join(" "))
            .unwrap();
    }
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/kubectl.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&file, &page).expect("the page can be written");
    }
    let shown = |page: &str| {
        page.lines().filter(|line| line.starts_with("$ ")).map(str::to_owned).collect::<Vec<_>>()
    };
    let kept = fs::read_to_string(&file).expect("there is a page");
    assert_eq!(shown(&kept), shown(&page), "docs/kubectl.md is stale: run the test with UPDATE_DOCS=1");
}

const HEAD: &str = "\
# What kubectl shows

Two deletions on a cluster of two nodes: `app:v2` is used by nobody, `app:v1` by a pod on `node-b`. The test
`words::kubectl_reads_well` ran these commands and wrote this page.
";
