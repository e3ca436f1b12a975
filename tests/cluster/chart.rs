//! The chart in its life: installed, tested, upgraded, uninstalled.

use std::fs;
use std::path::Path;

use crate::bed::eventually;
use crate::cluster::{Cluster, SECATEUR};
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![Shared: its_own_test_passes, every_example_is_taken_and_comes_to_its_end;
        Alone: an_upgrade_changes_what_it_must, an_uninstall_leaves_only_what_is_peoples]
}

async fn its_own_test_passes(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let said = cluster.helm(["test", "secateur", "--namespace", SECATEUR, "--timeout", "60s"]);
    assert!(said.contains("Phase:") && said.contains("Succeeded"), "{said}");
    let left = cluster.kubectl(["get", "imgdel", "-o", "name"]);
    assert!(!left.contains("self-test"), "{left}");
}

async fn every_example_is_taken_and_comes_to_its_end(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/examples");
    let files = fs::read_dir(examples).expect("there are examples").map(|file| file.unwrap().path());
    let deletions: Vec<_> = files.filter(|path| path.is_file()).collect();
    assert!(deletions.len() >= 10, "{deletions:?}");
    for path in deletions {
        let name = cluster.create(&fs::read_to_string(path).unwrap());
        cluster.finished(&name).await;
        cluster.kubectl(["delete", "imgdel", &name]);
        cluster.deletion_is_gone(&name).await;
    }
}

async fn an_upgrade_changes_what_it_must(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let level = [
        "get",
        "daemonset",
        "secateur-agent",
        "-n",
        SECATEUR,
        "-o",
        "jsonpath={.spec.template.spec.containers[0]}",
    ];
    cluster.install_secateur(&["--set", "logLevel=debug"]).await;
    assert!(cluster.kubectl(level).contains("debug"));
    // A definition that was changed by hand is as the chart has it after the next upgrade.
    let shorter = r#"{"spec": {"names": {"shortNames": ["gone"]}}}"#;
    cluster.kubectl(["patch", "crd", "imagedeletions.secateur.dev", "--type", "merge", "-p", shorter]);
    cluster.install_secateur(&["--force-conflicts"]).await;
    assert!(!cluster.kubectl(level).contains("debug"));
    let names = ["get", "crd", "imagedeletions.secateur.dev", "-o", "jsonpath={.spec.names.shortNames}"];
    assert_eq!(cluster.kubectl(names), r#"["imgdel"]"#);
}

async fn an_uninstall_leaves_only_what_is_peoples(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let deletion = crate::cluster::manifest("chart-kept", serde_json::json!({"images": ["chart/none:v1"]}));
    cluster.apply(&deletion);
    cluster.finished("chart-kept").await;
    cluster.helm(["uninstall", "secateur", "--namespace", SECATEUR, "--wait"]);

    let kinds = "all,configmap,serviceaccount,role,rolebinding,lease,networkpolicy,resourcequota,secret";
    // What they have made goes after them.
    let usual = ["configmap/kube-root-ca.crt", "serviceaccount/default"];
    eventually("nothing to be left", async || {
        let left = cluster.kubectl(["get", kinds, "-n", SECATEUR, "-o", "name"]);
        left.lines().all(|line| usual.contains(&line) || line.starts_with("pod/")).then_some(())
    })
    .await;
    cluster.wait("delete", ["pods", "--all", "-n", SECATEUR]);
    let kinds =
        "clusterrole,clusterrolebinding,validatingadmissionpolicy,validatingadmissionpolicybinding,crd";
    let left = cluster.kubectl(["get", kinds, "-o", "name"]);
    let orphans: Vec<_> = left.lines().filter(|line| line.contains("secateur")).collect();
    let definition =
        |kind: &str| format!("customresourcedefinition.apiextensions.k8s.io/{kind}.secateur.dev");
    assert_eq!(orphans, [definition("imagedeletionreports"), definition("imagedeletions")]);
    assert!(
        cluster.kubectl(["get", "imgdel", "-o", "name"]).contains("chart-kept"),
        "what people made stays"
    );

    cluster.install_secateur(&[]).await;
    let status = cluster.delete("chart-again", serde_json::json!({"images": ["chart/none:v1"]})).await;
    assert_eq!(status.nodes.absent, 2);
}
