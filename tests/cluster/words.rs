//! What people read: the output of `kubectl`, kept in `docs/kubectl.md`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::json;

use crate::bed::{Image, eventually};
use crate::cluster::{Cluster, Pod, manifest};
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![Alone: kubectl_reads_well]
}

/// Runs what the page shows, looks for what a person looks for, and compares the page. With `UPDATE_DOCS=1` it is written anew.
async fn kubectl_reads_well(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    for kind in ["imgdel", "imgdelrep"] {
        cluster.kubectl(["delete", kind, "--all"]);
    }
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
    // Events are published when the status has been written.
    let events = ["get", "events", "--field-selector", "involvedObject.name=drop-app-v1", "-o", "name"];
    eventually("what happened to be said", async || {
        (cluster.kubectl(events).lines().count() == 3).then_some(())
    })
    .await;
    let rows: [(&str, &[&str], &[&str]); 8] = [
        (
            "Where every deletion stands:",
            &["get", "imgdel"],
            &["NAME", "PHASE", "NODES", "DELETED", "CONFLICTED", "RECLAIMED", "AGE", "2/2"],
        ),
        (
            "With what failed, whether it was only tried, and what was asked for:",
            &["get", "imgdel", "-o", "wide"],
            &["FAILED", "DRY-RUN", "IMAGES", r#"["app:v1"]"#, "false"],
        ),
        (
            "Waiting, in a script:",
            &["wait", "--for=condition=Complete", "imagedeletion/drop-app-v1"],
            &["imagedeletion.secateur.dev/drop-app-v1 condition met"],
        ),
        (
            "Everything about one, with the pod that holds the image:",
            &["describe", "imgdel", "drop-app-v1"],
            &[
                "RunningContainer",
                "cart",
                "shop",
                "Complete",
                "AllNodesReported",
                "Events:",
                "Started",
                "Completed",
            ],
        ),
        (
            "What each node did:",
            &["get", "imgdelrep", "--field-selector", "imageDeletion=drop-app-v1"],
            &["DELETION", "NODE", "OUTCOME", "node-a", "node-b", "Conflict", "Deleted"],
        ),
        ("When each was done:", &["get", "imgdelrep", "-o", "wide"], &["COMPLETED", "drop-app-v2"]),
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
    let kept = fs::read_to_string(&file).expect("there is a page");
    let [kept, page] = [steady(&kept), steady(&page)];
    let only = |these: &[String], those: &[String]| {
        these.iter().filter(|line| !those.contains(line)).cloned().collect::<Vec<_>>()
    };
    let (gone, new) = (only(&kept, &page), only(&page, &kept));
    assert!(kept == page, "docs/kubectl.md is stale: run with UPDATE_DOCS=1. Gone: {gone:#?}, new: {new:#?}");
}

/// What of a page is the same each time, whatever the order of lines of the same second.
fn steady(page: &str) -> Vec<String> {
    let line = |line: &str| line.split_whitespace().map(steady_word).collect::<Vec<_>>().join(" ");
    let mut lines: Vec<String> = page.lines().map(line).collect();
    lines.sort();
    lines
}

/// A word without what differs: times, ages, sizes, versions, and what is named by them.
fn steady_word(word: &str) -> &str {
    let is_digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let differs = |part: &str| part.len() >= 8 && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let has_id = word.split(['-', ':', '.']).any(differs);
    let is_age = word.ends_with(['s', 'm', 'h'])
        && word.split(['s', 'm', 'h']).all(|part| part.is_empty() || is_digits(part));
    let is_time = word.ends_with('Z') && word.contains('T');
    let is_size = word.ends_with('i') && word.starts_with(|first: char| first.is_ascii_digit());
    let is_number = word.len() > 2 && is_digits(word);
    match has_id || is_age || is_time || is_size || is_number {
        true => "#",
        false => word,
    }
}

const HEAD: &str = "\
# What kubectl shows

Two deletions on a cluster of two nodes: `app:v2` is used by nobody, `app:v1` by a pod on `node-b`. The test
`words::kubectl_reads_well` ran these commands and wrote this page.
";
