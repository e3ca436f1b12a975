//! What the processes of the pods may do on their node, as the kernel sees them, and what their pods give them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use serde_json::{Value, json};

use crate::cluster::{Cluster, SECATEUR, TOKEN};
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![Shared: no_process_has_any_power, a_process_sees_what_it_needs_of_the_node, only_our_pods_get_a_token]
}

/// The running processes of both components on both nodes, with the user that each must be.
async fn processes(cluster: &Cluster) -> Vec<(&'static str, i32, u32)> {
    let mut processes = Vec::new();
    for node in cluster.nodes() {
        for (component, user) in [("agent", 0), ("controller", 65532)] {
            let pids = node.container_pids(SECATEUR, component).await;
            processes.extend(pids.into_iter().map(|pid| (component, pid, user)));
        }
    }
    let of = |component| processes.iter().filter(|(found, ..)| *found == component).count();
    assert_eq!((of("agent"), of("controller")), (2, 2));
    processes
}

async fn no_process_has_any_power(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    for (component, pid, user) in processes(cluster).await {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process runs");
        let fields: BTreeMap<&str, String> = status
            .lines()
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name, value.split_whitespace().collect::<Vec<_>>().join(" ")))
            .collect();
        let four_times = [user; 4].map(|id| id.to_string()).join(" ");
        let none = "0".repeat(16);
        for (name, expected) in [
            ("Uid", &*four_times),
            ("Gid", &*four_times),
            ("CapInh", &*none),
            ("CapPrm", &*none),
            ("CapEff", &*none),
            ("CapBnd", &*none),
            ("CapAmb", &*none),
            ("NoNewPrivs", "1"),
            // A filter: the runtime's default profile.
            ("Seccomp", "2"),
        ] {
            assert_eq!(fields[name], expected, "{component}: {name}");
        }
        for namespace in ["pid", "net", "ipc", "mnt", "uts"] {
            let of =
                |pid: &str| fs::read_link(format!("/proc/{pid}/ns/{namespace}")).expect("the process runs");
            assert_ne!(
                of(&pid.to_string()),
                of("self"),
                "{component} has the {namespace} namespace of the node"
            );
        }
    }
}

async fn a_process_sees_what_it_needs_of_the_node(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    for (component, pid, _) in processes(cluster).await {
        let mounts = fs::read_to_string(format!("/proc/{pid}/mountinfo")).expect("the process runs");
        let mounts: Vec<(&str, &str)> = mounts
            .lines()
            .map(|line| {
                let fields: Vec<&str> = line.split(' ').collect();
                (fields[4], fields[5])
            })
            .collect();
        let (_, options) = mounts.iter().find(|(at, _)| *at == "/").expect("there is a root");
        assert!(options.starts_with("ro,"), "{component}: the root file system is {options}");
        let is_kernels = |at: &str| ["/proc", "/sys", "/dev"].iter().any(|of| at.starts_with(of));
        let seen: BTreeSet<&str> =
            mounts.iter().map(|(at, _)| *at).filter(|at| *at != "/" && !is_kernels(at)).collect();
        let token = "/var/run/secrets/kubernetes.io/serviceaccount";
        let mut expected = BTreeSet::from(["/etc/hosts", "/etc/hostname", "/etc/resolv.conf", token]);
        if component == "agent" {
            expected.insert("/run/containerd");
            // What containerd itself has mounted below it.
            let of_containerd = seen.iter().filter(|at| at.starts_with("/run/containerd/"));
            expected.extend(of_containerd.copied().collect::<Vec<_>>());
        }
        assert_eq!(seen, expected, "{component}");
        let files: BTreeSet<_> = fs::read_dir(format!("/proc/{pid}/root/"))
            .expect("the process runs")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
            .collect();
        assert!(!files.contains("bin") && files.contains("secateur"), "{component} has no shell: {files:?}");
        assert!(fs::exists(format!("/proc/{pid}/root/{TOKEN}")).unwrap_or_default(), "{component}");
    }
}

/// No account mounts its token unasked, nothing else runs beside us, and no token lies in a Secret.
async fn only_our_pods_get_a_token(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    for account in ["secateur-agent", "secateur-controller"] {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "access-any", "namespace": SECATEUR},
            "spec": {"serviceAccountName": account, "containers": [{"name": "any", "image": "access/none:v1"}]},
        });
        let made = cluster.dry_run(&pod.to_string());
        assert_eq!(made["spec"]["serviceAccountName"], account);
        assert_eq!(made["spec"]["volumes"], Value::Null, "a pod of {account} that asks for nothing");
    }
    let accounts = "jsonpath={range .items[*]}{.metadata.labels.app\\.kubernetes\\.io/component}={.spec.serviceAccountName} {end}";
    let pods = cluster.kubectl(["get", "pods", "-n", SECATEUR, "-o", accounts]);
    for pod in pods.split_whitespace() {
        let (component, account) = pod.split_once('=').expect("a pod has both");
        assert_eq!(account, format!("secateur-{component}"));
    }
    let secrets = cluster.kubectl(["get", "secrets", "-n", SECATEUR, "-o", "jsonpath={.items[*].type}"]);
    let kinds: BTreeSet<&str> = secrets.split_whitespace().collect();
    assert_eq!(kinds, BTreeSet::from(["helm.sh/release.v1"]));
}
