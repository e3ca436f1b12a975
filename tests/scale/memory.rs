//! What an agent takes of a node's memory: the real program beside a real containerd with many images.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use secateur::api::status::Phase;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::sleep;

use crate::bed::{Containerd, Daemon, Image, Setup, Version, eventually};
use crate::cluster::{Cluster, NAMESPACE, Service};
use crate::controller::Controller;
use crate::fleet::{self, Place};
use crate::process::memory;
use crate::run::{follow, manifest};

/// What was measured, in bytes.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// Resident while nothing is asked for.
    pub(crate) idle: f64,
    /// Resident at most while half of the images are deleted.
    pub(crate) deleting: f64,
}

const IMAGES: usize = 1_000;
const LAYERS: usize = 2;
/// Half of the images: those with the numbers 100 to 599.
const HALF: &str = "memory/app-{1,2,3,4,5}??:v1";
/// When nothing of the start is under way any more.
const SETTLED: Duration = Duration::from_secs(10);
const LISTEN: &str = "127.0.0.1:9465";

/// Measures one agent.
pub(crate) async fn run(home: &Path) -> Memory {
    let cluster = Cluster::start(home).await;
    let (_daemon, containerd) = start_containerd(home).await;
    containerd.import_pause().await;
    containerd.import_all(&Image::series("docker.io/memory/app", IMAGES, LAYERS)).await;
    let _controller = Controller::start(&cluster).await;
    let place = fleet::settle(&cluster, 1).await.remove(0);
    let agent = start_agent(&cluster, place, &containerd).await;
    sleep(SETTLED).await;
    let process = agent.id().expect("it was started");
    let idle = memory(process, "VmRSS");

    let following = tokio::spawn(follow(cluster.client(), vec!["half".to_owned()]));
    cluster.apply(&manifest("half", json!({"images": [HALF]})));
    let status = following.await.expect("the watch goes on").last.remove("half").expect("it was followed");
    let deleting = memory(process, "VmHWM");
    assert_eq!((status.phase, status.nodes.deleted), (Phase::Complete, 1), "{:?}", status.node_results);
    let left = containerd.records().await;
    let left = left.keys().filter(|name| name.starts_with("docker.io/memory/")).count();
    assert_eq!(left, IMAGES / 2);
    Memory { idle, deleting }
}

async fn start_containerd(home: &Path) -> (Daemon, Containerd) {
    let home = home.join("machine");
    std::fs::create_dir(&home).expect("the directory is new");
    Containerd::start(Version::V2, Setup::default(), &home).await
}

async fn start_agent(cluster: &Cluster, place: Place, containerd: &Containerd) -> Service {
    let kubeconfig = cluster.kubeconfig_of("agent", &place.token);
    let socket = containerd.socket();
    let service = Service::new("agent", &cluster.logs(), move || {
        let mut command = Command::new(env!("CARGO_BIN_EXE_secateur"));
        command
            .arg("agent")
            .arg("--address")
            .arg(&socket)
            .args(["--listen", LISTEN])
            .env("KUBECONFIG", &kubeconfig)
            .env("NODE_NAME", &place.node)
            .env("POD_NAMESPACE", NAMESPACE)
            .env("POD_NAME", &place.pod);
        command
    });
    service.start();
    eventually("the agent to be ready", async || {
        assert!(!service.has_ended(), "the agent has ended");
        crate::page(&format!("http://{LISTEN}/readyz"))
    })
    .await;
    service
}
