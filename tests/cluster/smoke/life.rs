//! A cluster comes up, and leaves nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::bed::{Version, cgroup, eventually, leftovers};
use crate::cluster::Cluster;
use crate::suite::{Test, tests};
use crate::world;

pub(crate) fn tests() -> Vec<Test> {
    tests![Shared: both_nodes_are_ready, a_killed_run_leaves_nothing_for_long]
}

async fn both_nodes_are_ready(cluster: &Cluster) {
    let ready = r#"{range .items[*]}{.metadata.name} {.status.conditions[?(@.type=="Ready")].status} {.status.nodeInfo.kubeletVersion}{"\n"}{end}"#;
    let answer = cluster.kubectl(["get", "nodes", "-o", &format!("jsonpath={ready}")]);
    assert_eq!(answer, "node-a True v1.36.3\nnode-b True v1.36.3\n");
    assert_eq!([cluster.node_a().version(), cluster.node_b().version()], [Version::V1, Version::V2]);
    let runtimes = cluster.kubectl([
        "get",
        "nodes",
        "-o",
        "jsonpath={.items[*].status.nodeInfo.containerRuntimeVersion}",
    ]);
    let [one, two] = runtimes.split(' ').collect::<Vec<_>>()[..] else { panic!("two nodes: {runtimes}") };
    assert!(one.starts_with("containerd://1.6.") && two.starts_with("containerd://2."), "{runtimes}");
}

/// Another run has a cluster at the same time, is killed while its pods run, and the next run finds what it left.
async fn a_killed_run_leaves_nothing_for_long(cluster: &Cluster) {
    let beds = cluster.directory().join("other-runs");
    let mut run = run_of("smoke::pods::a_pod_runs_on_each_node", &beds).spawn().unwrap();
    let home = eventually("a pod of the other run", async || {
        assert_eq!(run.try_wait().unwrap(), None, "the other run ends before it has a pod");
        let home = homes(&beds).pop()?;
        let containers =
            fs::read_dir(home.join("node-b/run/containerd/io.containerd.runtime.v2.task/k8s.io"));
        (containers.ok()?.count() > 1).then_some(home)
    })
    .await;
    assert!(
        leftovers::processes(&home).len() >= 8,
        "etcd, the control plane, two containerds and two kubelets"
    );
    assert!(!cgroup::trees(&home).is_empty());

    run.kill().unwrap();
    run.wait().unwrap();

    eventually("the other run's processes to end", async || {
        leftovers::processes(&home).is_empty().then_some(())
    })
    .await;
    assert!(home.exists());
    let next = run_of("no such test", &beds).output().unwrap();
    assert!(next.status.success(), "{next:?}");
    assert_eq!(homes(&beds), Vec::<PathBuf>::new());
    assert_eq!(cgroup::trees(&home), Vec::<PathBuf>::new());
}

/// A run of one test of this program, with the directories of its clusters in `beds`.
fn run_of(test: &str, beds: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test]).env("SECATEUR_BED", beds).env_remove(world::HOME).stdout(Stdio::null());
    command
}

fn homes(beds: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(beds).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.filter(|path| path.is_dir()).collect()
}
