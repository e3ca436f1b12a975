//! The agent: the library's own.

use std::path::PathBuf;
use std::sync::Arc;

use kube::Config;
use prometheus::Registry;
use secateur::agent::{self, Settings};
use secateur::telemetry::health::Health;
use secateur::telemetry::metrics::AgentMetrics;
use tokio_util::sync::CancellationToken;

use super::http;
use super::killable::Killable;
use super::trap::Trap;
use crate::bed::eventually;
use crate::cluster::NAMESPACE;
use crate::fleet::{Place, with_token};

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
    health: Health,
    thread: Killable,
}

impl Agent {
    /// Starts one.
    pub(crate) fn start(seat: &Seat) -> Self {
        let config = with_token(&seat.config, &seat.place.token);
        let settings = Settings {
            node: seat.place.node.clone(),
            pod: Some((NAMESPACE.to_owned(), seat.place.pod.clone())),
            address: seat.socket.clone(),
            namespace: "k8s.io".to_owned(),
            protect: Vec::new(),
        };
        let health = Health::missing(agent::PARTS);
        let (told, trap) = (health.clone(), Arc::clone(&seat.trap));
        let thread = Killable::start(async move || {
            let client = http::client(&config, trap);
            let metrics = AgentMetrics::register(&Registry::new()).expect("the registry is new");
            agent::run(settings, client, metrics, told, CancellationToken::new()).await;
        });
        Self { health, thread }
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(&self) {
        eventually("the agent to be ready", async || {
            assert!(!self.thread.has_ended(), "the agent has ended");
            self.health.complaint().is_none().then_some(())
        })
        .await;
    }

    /// Ends it wherever it is.
    pub(crate) fn kill(self) {
        self.thread.kill();
    }
}
