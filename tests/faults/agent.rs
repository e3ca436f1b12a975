//! The agent: the library's own, in a thread that can be killed.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use kube::Config;
use prometheus::Registry;
use secateur::agent::{self, Settings};
use secateur::telemetry::health::Health;
use secateur::telemetry::metrics::AgentMetrics;
use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

use super::http;
use super::trap::Trap;
use crate::bed::eventually;
use crate::cluster::NAMESPACE;
use crate::fleet::Place;

/// Where an agent runs, and as whom.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) place: Place,
    pub(crate) config: Config,
    pub(crate) socket: PathBuf,
    pub(crate) trap: Arc<Trap>,
}

/// A running agent.
pub(crate) struct Agent {
    killed: CancellationToken,
    health: Health,
    thread: JoinHandle<()>,
}

impl Agent {
    /// Starts one.
    pub(crate) fn start(seat: &Seat) -> Self {
        let mut config = seat.config.clone();
        config.auth_info.token = Some(seat.place.token.clone().into());
        let settings = Settings {
            node: seat.place.node.clone(),
            pod: Some((NAMESPACE.to_owned(), seat.place.pod.clone())),
            address: seat.socket.clone(),
            namespace: "k8s.io".to_owned(),
            protect: Vec::new(),
        };
        let health = Health::missing(agent::PARTS);
        let killed = CancellationToken::new();
        let (told, ends, trap) = (health.clone(), killed.clone(), Arc::clone(&seat.trap));
        let thread = thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("tokio starts");
            runtime.block_on(async {
                let client = http::client(&config, trap);
                let metrics = AgentMetrics::register(&Registry::new()).expect("the registry is new");
                let work = agent::run(settings, client, metrics, told, CancellationToken::new());
                tokio::select! {
                    () = work => panic!("the agent has ended by itself"),
                    () = ends.cancelled() => {}
                }
            });
        });
        Self { killed, health, thread }
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(&self) {
        eventually("the agent to be ready", async || {
            assert!(!self.thread.is_finished(), "the agent has ended");
            self.health.complaint().is_none().then_some(())
        })
        .await;
    }

    /// Ends it wherever it is.
    pub(crate) fn kill(self) {
        self.killed.cancel();
        self.thread.join().expect("the agent has not panicked");
    }
}
