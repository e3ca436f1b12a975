//! The kubelet of a node.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::control::kubernetes;
use super::identity::Authority;
use super::machine::Machine;
use super::node::{Plan, SOCKET};
use super::service::Service;
use crate::bed::cgroup::{hierarchies, parent};

/// The kubelet of a node, which is not started yet.
pub(crate) fn service(
    plan: Plan,
    machine: &Machine,
    home: &Path,
    logs: &Path,
    authority: &Authority,
) -> Service {
    let user = format!("system:node:{}", plan.name);
    let identity = authority.certify(&user, Some("system:nodes"), &[plan.name, plan.address]);
    let kubeconfig = authority.kubeconfig(&user, &identity);
    let configuration = machine.outside("kubelet.json");
    let content = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": plan.address,
        "healthzBindAddress": plan.address,
        "authentication": {"anonymous": {"enabled": false}, "x509": {"clientCAFile": authority.certificate()}},
        "tlsCertFile": identity.certificate,
        "tlsPrivateKeyFile": identity.key,
        "containerRuntimeEndpoint": format!("unix://{SOCKET}"),
        "volumePluginDir": "/var/lib/kubelet/plugins/volume",
        "resolvConf": "",
        "makeIPTablesUtilChains": false,
        "nodeLeaseDurationSeconds": 8,
        // Whatever the machine's disks and memory are like, nothing is evicted and no image collected.
        "evictionHard": {"memory.available": "0%", "nodefs.available": "0%", "imagefs.available": "0%", "nodefs.inodesFree": "0%", "imagefs.inodesFree": "0%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        // What tests kill is soon started again, however often they do.
        "crashLoopBackOff": {"maxContainerRestartPeriod": "1s"},
        // Both nodes' pods are in the machine's cgroups, of either version: each node below one of its own.
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup(home, plan.name),
        "enforceNodeAllocatable": [],
        "failCgroupV1": false,
        "failSwapOn": false,
        "localStorageCapacityIsolation": false,
    });
    fs::write(&configuration, content.to_string()).expect("the configuration can be written");
    let entrance = machine.entrance();
    Service::new(format!("kubelet-{}", plan.name), logs, move || {
        let mut command = Command::new(kubernetes().join("kubelet"));
        command.arg("--config").arg(&configuration).arg("--kubeconfig").arg(&kubeconfig).args([
            "--hostname-override",
            plan.name,
            "--node-ip",
            plan.address,
        ]);
        entrance.command(&command)
    })
}

/// Makes the cgroup of a node in every hierarchy, below that of the cluster, and returns its path.
fn cgroup(home: &Path, node: &str) -> String {
    let path = format!("{}/{node}", parent(home));
    for hierarchy in hierarchies() {
        let directory = hierarchy.join(path.trim_start_matches('/'));
        fs::create_dir_all(&directory)
            .unwrap_or_else(|error| panic!("cannot make {}: {error}", directory.display()));
    }
    path
}
