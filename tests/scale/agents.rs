//! The agents: the library's own, many in this process, each with a client and a socket of its own.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use kube::Config;
use prometheus::Registry;
use secateur::agent::{self, Settings};
use secateur::telemetry::health::Health;
use secateur::telemetry::metrics::AgentMetrics;
use tokio::runtime::Builder;
use tokio::task::LocalSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::fleet::{Place, with_token};
use crate::meter::{self, Meter, Reading};
use crate::scripted;

/// An agent does not leave its thread, and there are as many threads as the machine has cores.
const THREADS: usize = 2;
/// How many agents of a thread start at once.
const STARTING: usize = 16;
const PAUSE: Duration = Duration::from_millis(10);

/// Agents that run until this goes.
pub(crate) struct Agents {
    seats: Vec<Arc<Seat>>,
    threads: Vec<JoinHandle<()>>,
    cancel: CancellationToken,
}

/// One agent.
struct Seat {
    settings: Settings,
    config: Config,
    meter: Arc<Meter>,
    registry: Registry,
    health: Health,
}

impl Agents {
    /// Starts an agent for each place, at its node's socket below a directory, and waits until all are ready.
    pub(crate) async fn start(places: Vec<Place>, config: &Config, sockets: &Path) -> Self {
        let seat = |(number, place): (usize, Place)| Arc::new(Seat::new(place, config, sockets, number));
        let seats: Vec<_> = places.into_iter().enumerate().map(seat).collect();
        let cancel = CancellationToken::new();
        let threads = (0..THREADS)
            .map(|thread| {
                let own = seats.iter().skip(thread).step_by(THREADS).cloned().collect();
                let cancel = cancel.clone();
                thread::spawn(move || work(own, &cancel))
            })
            .collect();
        let agents = Self { seats, threads, cancel };
        while let Some(complaint) = agents.seats.iter().find_map(|seat| seat.health.complaint()) {
            assert!(
                agents.threads.iter().all(|thread| !thread.is_finished()),
                "agents have ended: {complaint}"
            );
            sleep(PAUSE).await;
        }
        agents
    }

    /// Every agent's meter.
    pub(crate) fn read(&self) -> Vec<Reading> {
        self.seats.iter().map(|seat| seat.meter.read()).collect()
    }

    /// How often something went wrong for any agent and was tried again, by kind, as their metrics say.
    pub(crate) fn errors(&self) -> BTreeMap<String, f64> {
        let families = self.seats.iter().flat_map(|seat| seat.registry.gather());
        let mut errors = BTreeMap::new();
        for family in families.filter(|family| family.name() == "secateur_errors_total") {
            for metric in family.get_metric() {
                let kind = metric.get_label().iter().map(|label| label.value()).collect();
                *errors.entry(kind).or_default() += metric.get_counter().get_value();
            }
        }
        errors
    }
}

impl Drop for Agents {
    fn drop(&mut self) {
        self.cancel.cancel();
        for thread in self.threads.drain(..) {
            // It has said what was wrong.
            let _ = thread.join();
        }
    }
}

impl Seat {
    fn new(place: Place, config: &Config, sockets: &Path, number: usize) -> Self {
        let config = with_token(config, &place.token);
        let settings = Settings {
            node: place.node,
            pod: Some((crate::cluster::NAMESPACE.to_owned(), place.pod)),
            address: scripted::socket(sockets, number),
            namespace: "k8s.io".to_owned(),
            protect: Vec::new(),
        };
        Self {
            settings,
            config,
            meter: Arc::default(),
            registry: Registry::new(),
            health: Health::missing(agent::PARTS),
        }
    }

    async fn work(self: Arc<Self>, cancel: CancellationToken) {
        let metrics = AgentMetrics::register(&self.registry).expect("the registry is new");
        let client = meter::client(&self.config, &self.meter);
        agent::run(self.settings.clone(), client, metrics, self.health.clone(), cancel).await;
    }
}

fn work(seats: Vec<Arc<Seat>>, cancel: &CancellationToken) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("tokio starts");
    LocalSet::new().block_on(&runtime, async {
        for starting in seats.chunks(STARTING) {
            for seat in starting {
                tokio::task::spawn_local(Arc::clone(seat).work(cancel.clone()));
            }
            while starting.iter().any(|seat| seat.health.complaint().is_some()) && !cancel.is_cancelled() {
                sleep(PAUSE).await;
            }
        }
        cancel.cancelled().await;
    });
}
