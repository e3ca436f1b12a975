//! A node: a machine with a containerd and a kubelet.

use std::ops::Deref;
use std::path::Path;

use super::identity::Authority;
use super::kubelet;
use super::machine::Machine;
use super::service::Service;
use crate::bed::{Containerd, Cri, Digest, Places, Setup, Version, config, eventually};

/// What is known of a node before it starts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub name: &'static str,
    pub version: Version,
    /// The node's own address.
    pub address: &'static str,
    /// The addresses of its pods.
    pub pods: &'static str,
}

/// The nodes of every cluster.
pub(crate) const NODES: [Plan; 2] = [
    Plan { name: "node-a", version: Version::V1, address: "10.0.1.1", pods: "10.88.1.0/24" },
    Plan { name: "node-b", version: Version::V2, address: "10.0.1.2", pods: "10.88.2.0/24" },
];

/// A node of the cluster. What its containerd can be asked and told, the node can be.
pub(crate) struct Node {
    plan: Plan,
    containerd: Containerd,
    /// The daemon of containerd; see [`Node::restart_containerd`].
    pub daemon: Service,
    /// The kubelet.
    pub kubelet: Service,
    // It goes last: the daemons run on it.
    _machine: Machine,
}

impl Node {
    /// Starts the machine and its containerd with the image of pod sandboxes. The kubelet is not started yet.
    pub(crate) async fn start(plan: Plan, home: &Path, logs: &Path, authority: &Authority) -> Self {
        let machine = Machine::start(home.join(plan.name)).await;
        let daemon = containerd(plan, &machine, logs);
        let kubelet = kubelet::service(plan, &machine, home, logs, authority);
        daemon.start();
        let socket = machine.outside(SOCKET);
        let containerd =
            Containerd::connect(plan.version, Cri::Enabled, socket, &home.join(plan.name), || {
                assert!(!daemon.has_ended(), "containerd of {} has ended", plan.name);
            })
            .await;
        containerd.import_pause().await;
        Self { plan, containerd, daemon, kubelet, _machine: machine }
    }

    /// The name of the node in the cluster.
    pub(crate) fn name(&self) -> &'static str {
        self.plan.name
    }

    /// Its daemons.
    pub(crate) fn services(&self) -> [&Service; 2] {
        [&self.daemon, &self.kubelet]
    }

    /// Whether there is a record of that name.
    pub(crate) async fn has_image(&self, name: &str) -> bool {
        self.record(name).await.is_some()
    }

    /// Whether the store has a piece of content.
    pub(crate) async fn has_content(&self, digest: &Digest) -> bool {
        self.content().await.contains_key(digest)
    }

    /// Kills containerd and starts it again. Containers go on.
    pub(crate) async fn restart_containerd(&self) {
        self.daemon.kill();
        self.daemon.start();
        self.await_containerd().await;
    }

    /// Waits until containerd and its CRI answer.
    pub(crate) async fn await_containerd(&self) {
        eventually("containerd to answer again", async || self.answers().await.then_some(())).await;
    }
}

impl Deref for Node {
    type Target = Containerd;

    fn deref(&self) -> &Containerd {
        &self.containerd
    }
}

/// The socket of containerd and its CRI on the machine.
pub(crate) const SOCKET: &str = "/run/containerd/containerd.sock";

/// containerd at the paths where every node has it.
fn containerd(plan: Plan, machine: &Machine, logs: &Path) -> Service {
    let places = Places {
        root: "/var/lib/containerd".into(),
        state: "/run/containerd".into(),
        socket: SOCKET.into(),
        shims: "/run/containerd/s".into(),
        network: machine.outside("cni"),
    };
    let directory = machine.outside("");
    let entrance = machine.entrance();
    config::write_network(&places, plan.pods, Path::new("/var/lib/cni/networks"));
    Service::new(format!("containerd-{}", plan.name), logs, move || {
        entrance.command(&config::command(plan.version, Setup::default(), &places, &directory))
    })
}
