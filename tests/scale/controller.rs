//! The controller: the real program, with its service account's token, in a process whose memory can be read.

use std::path::Path;
use std::process::Command;

use crate::bed::eventually;
use crate::cluster::{Cluster, NAMESPACE, Service};
use crate::fleet::token;

const LISTEN: &str = "127.0.0.1:9464";

/// A running controller.
pub(crate) struct Controller(Service);

impl Controller {
    /// Starts it and waits until it is ready and leads.
    pub(crate) async fn start(cluster: &Cluster) -> Self {
        let token =
            token(cluster.client(), "secateur-controller", None).await.expect("the chart has the account");
        let kubeconfig = cluster.kubeconfig_of("controller", &token);
        let service = Service::new("controller", &cluster.logs(), move || {
            let mut command = Command::new(env!("CARGO_BIN_EXE_secateur"));
            command
                .args(["controller", "--listen", LISTEN, "--log-format", "text"])
                .env("KUBECONFIG", &kubeconfig)
                .env("POD_NAMESPACE", NAMESPACE)
                .env("POD_NAME", "secateur-controller-0");
            command
        });
        let controller = Self(service);
        controller.restart().await;
        controller
    }

    /// Starts it, if it was stopped.
    pub(crate) async fn restart(&self) {
        self.0.start();
        eventually("the controller to be ready", async || {
            assert!(!self.0.has_ended(), "the controller has ended: see {}", self.0.name());
            crate::page(&format!("http://{LISTEN}/readyz"))
        })
        .await;
    }

    /// Kills it.
    pub(crate) fn stop(&self) {
        self.0.kill();
    }

    /// The most memory that it had resident, in bytes.
    pub(crate) fn peak(&self) -> f64 {
        memory(self.0.id().expect("it runs"), "VmHWM")
    }
}

/// What `/proc` says of a process's memory, in bytes: `VmRSS` now, `VmHWM` at most.
pub(crate) fn memory(process: u32, what: &str) -> f64 {
    let status = std::fs::read_to_string(Path::new("/proc").join(process.to_string()).join("status"));
    let status = status.expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.expect("a process has memory") * 1024.0
}
