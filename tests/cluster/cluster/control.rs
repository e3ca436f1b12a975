//! The control plane: etcd, the API server, the controller manager and the scheduler.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::identity::{Authority, KeyFiles};
use super::service::Service;
use crate::bed::tools::tool;

/// The cluster's network of services.
const SERVICES: &str = "10.0.0.0/24";
/// The API server as pods know it: the first address of the services. It listens there itself; nothing needs a proxy.
pub(crate) const API_SERVER: &str = "10.0.0.1";
/// The address that the endpoint of the `kubernetes` service names.
pub(crate) const ADVERTISED: &str = "10.0.1.100";
const ETCD: &str = "http://127.0.0.1:2379";
const ISSUER: &str = "https://kubernetes.default.svc";
/// After that long without a lease a node is not ready. Kubelets renew theirs every two seconds.
const NODE_GRACE: &str = "12s";

/// The daemons of the control plane. They know each other by fixed addresses, so that each can be started again.
pub(crate) struct ControlPlane {
    pub etcd: Service,
    pub api_server: Service,
    pub controller_manager: Service,
    pub scheduler: Service,
}

impl ControlPlane {
    /// Prepares the daemons, and starts none.
    pub(crate) fn new(home: &Path, logs: &Path, authority: &Authority) -> Self {
        let tokens = authority.pair("tokens");
        Self {
            etcd: etcd(home, logs),
            api_server: api_server(logs, authority, &tokens),
            controller_manager: controller_manager(logs, authority, &tokens),
            scheduler: scheduler(logs, authority),
        }
    }

    /// All daemons, in the order in which they start.
    pub(crate) fn services(&self) -> [&Service; 4] {
        [&self.etcd, &self.api_server, &self.controller_manager, &self.scheduler]
    }
}

/// The directory of the Kubernetes programs.
pub(crate) fn kubernetes() -> PathBuf {
    tool("kubernetes", "k8s.io/kubernetes", include_str!("../../tools/kubernetes/go.mod"))
}

fn etcd(home: &Path, logs: &Path) -> Service {
    let directory = tool("etcd", "go.etcd.io/etcd/server/v3", include_str!("../../tools/etcd/go.mod"));
    let data = home.join("etcd");
    Service::new("etcd", logs, move || {
        let mut command = Command::new(directory.join("etcd"));
        command
            .arg("--data-dir")
            .arg(&data)
            .args(["--listen-client-urls", ETCD, "--advertise-client-urls", ETCD])
            .args(["--listen-peer-urls", "http://127.0.0.1:2380"])
            .args(["--name=bed", "--unsafe-no-fsync", "--log-level", "warn"]);
        command
    })
}

fn api_server(logs: &Path, authority: &Authority, tokens: &KeyFiles) -> Service {
    let server = authority.certify(
        "kube-apiserver",
        None,
        &[
            API_SERVER,
            ADVERTISED,
            "127.0.0.1",
            "localhost",
            "kubernetes.default.svc",
            "kubernetes.default",
            "kubernetes",
        ],
    );
    let kubelets = authority.certify("kube-apiserver-kubelet-client", Some("system:masters"), &[]);
    let tokens = tokens.clone();
    let authority = authority.certificate();
    Service::new("kube-apiserver", logs, move || {
        let mut command = Command::new(kubernetes().join("kube-apiserver"));
        command
            .args(["--etcd-servers", ETCD])
            .args(["--bind-address=0.0.0.0", "--secure-port=443", "--advertise-address", ADVERTISED])
            .args(["--service-cluster-ip-range", SERVICES])
            .args(["--authorization-mode=Node,RBAC", "--enable-admission-plugins=NodeRestriction"])
            .args(["--allow-privileged", "--profiling=false"])
            .args(["--service-account-issuer", ISSUER])
            .arg("--service-account-key-file")
            .arg(&tokens.public)
            .arg("--service-account-signing-key-file")
            .arg(&tokens.private)
            .arg("--client-ca-file")
            .arg(&authority)
            .arg("--tls-cert-file")
            .arg(&server.certificate)
            .arg("--tls-private-key-file")
            .arg(&server.key)
            .arg("--kubelet-preferred-address-types=InternalIP")
            .arg("--kubelet-certificate-authority")
            .arg(&authority)
            .arg("--kubelet-client-certificate")
            .arg(&kubelets.certificate)
            .arg("--kubelet-client-key")
            .arg(&kubelets.key);
        command
    })
}

fn controller_manager(logs: &Path, authority: &Authority, tokens: &KeyFiles) -> Service {
    let kubeconfig = authority.client("system:kube-controller-manager", None);
    let tokens = tokens.clone();
    let authority = authority.certificate();
    Service::new("kube-controller-manager", logs, move || {
        let mut command = Command::new(kubernetes().join("kube-controller-manager"));
        command
            .arg("--kubeconfig")
            .arg(&kubeconfig)
            .arg("--root-ca-file")
            .arg(&authority)
            .arg("--service-account-private-key-file")
            .arg(&tokens.private)
            .args(["--use-service-account-credentials", "--leader-elect=false", "--secure-port=0"])
            // With the default limits its controllers start four seconds later.
            .args(["--kube-api-qps=500", "--kube-api-burst=500"])
            .args(["--node-monitor-period=1s", "--node-monitor-grace-period", NODE_GRACE]);
        command
    })
}

fn scheduler(logs: &Path, authority: &Authority) -> Service {
    let kubeconfig = authority.client("system:kube-scheduler", None);
    Service::new("kube-scheduler", logs, move || {
        let mut command = Command::new(kubernetes().join("kube-scheduler"));
        command.arg("--kubeconfig").arg(&kubeconfig).args(["--leader-elect=false", "--secure-port=0"]);
        command
    })
}
