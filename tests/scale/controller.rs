//! The controller: the real program, with its service account's token, in a process whose memory can be read.

use std::process::Command;

use crate::bed::eventually;
use crate::cluster::{Cluster, NAMESPACE, Service};
use crate::fleet::token;
use crate::process::memory;

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
        memory(self.id(), "VmHWM")
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.0.id().expect("it was started")
    }
}
