//! The test bed: a real Kubernetes of two nodes, made of the real programs, in a [world](crate::world) of its own.
//!
//! `node-a` has containerd 1.6 and `node-b` 2.x, each at the paths where every node has it. All share one network
//! namespace; pods have networks of their own and reach the API server at the usual `10.0.0.1:443`. Images come from
//! archives that are imported: nothing is pulled.
//!
//! Its methods panic where the cluster refuses: a test cannot go on then.

mod containers;
mod control;
mod deletions;
mod elsewhere;
mod identity;
mod kubectl;
mod kubelet;
mod leader;
mod logs;
mod machine;
mod node;
mod persons;
mod pods;
mod prometheus;
mod secateur;
mod service;
mod thief;
mod vitals;

use std::fs;
use std::path::{Path, PathBuf};

use k8s_openapi::api::core::v1::{Node as NodeObject, ServiceAccount};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use tokio::sync::OnceCell;

use self::control::{ADVERTISED, ControlPlane};
pub(crate) use self::control::{API_SERVER, kubernetes};
pub(crate) use self::deletions::{manifest, merged};
use self::identity::Authority;
pub(crate) use self::logs::Mark;
pub(crate) use self::node::Node;
use self::node::{NODES, Plan};
pub(crate) use self::pods::Pod;
pub(crate) use self::prometheus::{Prometheus, fetch};
pub(crate) use self::secateur::NAMESPACE as SECATEUR;
pub(crate) use self::service::Service;
pub(crate) use self::thief::{TOKEN, Thief};
pub(crate) use self::vitals::Vitals;
use crate::bed::eventually;
use crate::world;

/// A running cluster. All of it goes with the world that it is in.
pub(crate) struct Cluster {
    home: PathBuf,
    kubeconfig: PathBuf,
    client: Client,
    control: ControlPlane,
    nodes: [Node; 2],
    definitions: OnceCell<()>,
    secateur: OnceCell<()>,
}

impl Cluster {
    /// Starts a cluster in this process's world and waits until both nodes are ready for pods.
    pub(crate) async fn start(home: &Path) -> Self {
        world::raise_network(&[API_SERVER, ADVERTISED, NODES[0].address, NODES[1].address]);
        let logs = logs::directory(home);
        fs::create_dir(&logs).expect("the directory of logs is new");
        let authority = Authority::new(home.join("certificates"));
        let kubeconfig = authority.client("admin", Some("system:masters"));
        let client = client(&kubeconfig).await;
        let control = ControlPlane::new(home, &logs, &authority);
        control.etcd.start();
        control.api_server.start();
        let node = |plan: Plan| Node::start(plan, home, &logs, &authority);
        let (a, b) = tokio::join!(node(NODES[0]), node(NODES[1]));
        let cluster = Self {
            home: home.to_owned(),
            kubeconfig,
            client,
            control,
            nodes: [a, b],
            definitions: OnceCell::new(),
            secateur: OnceCell::new(),
        };
        cluster.recover().await;
        cluster
    }

    /// The node with containerd 1.6.
    pub(crate) fn node_a(&self) -> &Node {
        &self.nodes[0]
    }

    /// The node with containerd 2.x.
    pub(crate) fn node_b(&self) -> &Node {
        &self.nodes[1]
    }

    /// Both nodes.
    pub(crate) fn nodes(&self) -> &[Node; 2] {
        &self.nodes
    }

    /// The API server's daemon. After a start, [`Cluster::await_api`].
    pub(crate) fn api_server(&self) -> &Service {
        &self.control.api_server
    }

    /// The scheduler's daemon.
    pub(crate) fn scheduler(&self) -> &Service {
        &self.control.scheduler
    }

    /// A client of the API with every right.
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// The kubeconfig of somebody with every right.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// The directory for a test's own files; it goes with the cluster.
    pub(crate) fn directory(&self) -> &Path {
        &self.home
    }

    /// Starts all daemons that do not run, and waits until both nodes are ready for pods.
    pub(crate) async fn recover(&self) {
        self.control.etcd.start();
        self.control.api_server.start();
        self.await_api().await;
        // The controller manager gives up where no API server answers.
        self.services().for_each(Service::start);
        for node in &self.nodes {
            node.await_containerd().await;
        }
        self.await_nodes().await;
        self.await_accounts("default").await;
        if self.has_secateur() {
            self.await_secateur().await;
        }
    }

    /// Waits until the API server is ready.
    pub(crate) async fn await_api(&self) {
        eventually("the API server to be ready", async || {
            self.check();
            let request = axum::http::Request::get("/readyz").body(Vec::new()).expect("a request");
            self.client.request_text(request).await.ok()
        })
        .await;
    }

    /// Waits until both nodes are ready.
    pub(crate) async fn await_nodes(&self) {
        let nodes: Api<NodeObject> = Api::all(self.client());
        eventually("both nodes to be ready", async || {
            self.check();
            let nodes = nodes.list(&Default::default()).await.ok()?.items;
            (nodes.iter().filter(|node| is_ready(node)).count() == self.nodes.len()).then_some(())
        })
        .await;
    }

    /// Waits until pods can be made in a namespace, which needs its service account.
    async fn await_accounts(&self, namespace: &str) {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client(), namespace);
        eventually("the namespace's service account", async || accounts.get("default").await.ok()).await;
    }

    /// Nothing that was started has ended by itself.
    fn check(&self) {
        for service in self.services() {
            assert!(!service.has_ended(), "{} has ended", service.name());
        }
    }

    /// Every daemon of the cluster.
    fn services(&self) -> impl Iterator<Item = &Service> {
        let nodes = self.nodes.iter().flat_map(Node::services);
        self.control.services().into_iter().chain(nodes)
    }
}

fn is_ready(node: &NodeObject) -> bool {
    let conditions = node.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

async fn client(kubeconfig: &Path) -> Client {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("the kubeconfig can be read");
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    Client::try_from(config.expect("the kubeconfig is whole")).expect("the client can be made")
}
