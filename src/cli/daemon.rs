//! `secateur agent` and `secateur controller`: what they are told, and their life from the first line of the log to the last.

use std::collections::BTreeMap;
use std::sync::Arc;

use clap::Args;
use kube::{Client, Config};
use prometheus::Registry;

use super::args::Global;
use super::error::Error;
use super::exit::Exit;
use super::interrupt::terminated;
use crate::agent;
use crate::api::status::Phase;
use crate::controller::{self, ErrorKind};
use crate::image::Pattern;
use crate::telemetry::PORT;
use crate::telemetry::health::Health;
use crate::telemetry::listen::Listen;
use crate::telemetry::logs::{self, Format, Level};
use crate::telemetry::metrics::{self, AgentMetrics, CallTimes, ControllerMetrics};
use crate::telemetry::server::{Served, serve};
use crate::transport::{self, GivenUp};

/// `agent`.
#[derive(Debug, Args)]
pub struct Agent {
    /// The name of this node in the cluster
    #[arg(long, env = "NODE_NAME", value_name = "NAME")]
    pub node_name: String,
    /// The namespace of this agent's pod
    #[arg(long, env = "POD_NAMESPACE", requires = "pod_name", value_name = "NAMESPACE")]
    pub pod_namespace: Option<String>,
    /// The name of this agent's pod, whose images are protected
    #[arg(long, env = "POD_NAME", requires = "pod_namespace", value_name = "NAME")]
    pub pod_name: Option<String>,
    /// Never delete an image that has a matching name
    #[arg(long, value_name = "PATTERN")]
    pub protect: Vec<Pattern>,
    /// What it serves and logs.
    #[command(flatten)]
    pub telemetry: Telemetry,
}

/// `controller`.
#[derive(Debug, Args)]
pub struct Controller {
    /// The namespace of the agents' pods and of the Lease of the leader
    #[arg(long, env = "POD_NAMESPACE", value_name = "NAMESPACE")]
    pub pod_namespace: String,
    /// The name by which this replica holds the Lease
    #[arg(long, env = "POD_NAME", value_name = "NAME")]
    pub pod_name: String,
    /// The labels of the agents' pods
    #[arg(long, default_value = AGENT_SELECTOR, value_name = "SELECTOR")]
    pub agent_selector: String,
    /// The name of the Lease
    #[arg(long, default_value = "secateur-controller", value_name = "NAME")]
    pub lease_name: String,
    /// What it serves and logs.
    #[command(flatten)]
    pub telemetry: Telemetry,
}

const AGENT_SELECTOR: &str = "app.kubernetes.io/name=secateur,app.kubernetes.io/component=agent";

/// What a daemon serves and logs.
#[derive(Debug, Args)]
pub struct Telemetry {
    /// Where /metrics, /healthz and /readyz are served; without an address: at every one
    #[arg(long, env = "SECATEUR_LISTEN", default_value_t = Listen::Everywhere(PORT), value_name = "[ADDRESS]:PORT")]
    pub listen: Listen,
    /// How the log is written
    #[arg(long, env = "SECATEUR_LOG_FORMAT", value_enum, default_value_t, value_name = "FORMAT")]
    pub log_format: Format,
    /// The least important lines that are logged
    #[arg(long, env = "SECATEUR_LOG_LEVEL", value_enum, default_value_t, value_name = "LEVEL")]
    pub log_level: Level,
}

/// Runs an agent until it is told to end.
pub async fn agent(global: &Global, arguments: Agent) -> Result<Exit, Error> {
    let registry = metrics::registry()?;
    let times = CallTimes::register(&registry)?;
    logs::start(arguments.telemetry.log_format, arguments.telemetry.log_level, Some(times));
    let settings = agent::Settings {
        node: arguments.node_name,
        pod: arguments.pod_namespace.zip(arguments.pod_name),
        address: global.address.clone(),
        namespace: global.namespace.clone(),
        protect: arguments.protect,
    };
    let metrics = AgentMetrics::register(&registry)?;
    let health = Health::missing(agent::PARTS);
    let client = transport::client(config().await?, GivenUp::Stays).map_err(|error| cluster(&error))?;
    let cancel = terminated().map_err(Error::Start)?;
    let work = agent::run(settings, client, metrics, health.clone(), cancel);
    serving(&arguments.telemetry, registry, health, work).await
}

/// Runs a controller until it is told to end.
pub async fn controller(arguments: Controller) -> Result<Exit, Error> {
    let registry = metrics::registry()?;
    logs::start(arguments.telemetry.log_format, arguments.telemetry.log_level, None);
    let settings = controller::Settings {
        pod_namespace: arguments.pod_namespace,
        pod_name: arguments.pod_name,
        agent_selector: arguments.agent_selector,
        lease_name: arguments.lease_name,
    };
    let health = Health::missing([CLUSTER]);
    let metrics = ControllerMetrics::register(&registry, ErrorKind::ALL.map(ErrorKind::label))?;
    let observer = Observed { metrics, health: health.clone() };
    let clients = clients(config().await?).map_err(|error| cluster(&error))?;
    let cancel = terminated().map_err(Error::Start)?;
    let work = controller::run(settings, clients, Arc::new(observer), cancel);
    serving(&arguments.telemetry, registry, health, work).await
}

/// What `readyz` calls the controller's knowledge of the cluster.
const CLUSTER: &str = "cluster";

/// What a controller does, for Prometheus and for the kubelet.
struct Observed {
    metrics: ControllerMetrics,
    health: Health,
}

impl controller::Observer for Observed {
    fn phases(&self, counts: &BTreeMap<Phase, usize>) {
        self.metrics.set(|phase| counts.get(&phase).copied().unwrap_or_default());
    }

    fn error(&self, kind: ErrorKind) {
        self.metrics.error(kind.label());
    }

    fn ready(&self, ready: bool) {
        match ready {
            true => self.health.has(CLUSTER),
            false => self.health.lacks(CLUSTER, "not everything has been listed yet"),
        }
    }
}

/// The cluster that the environment or a kubeconfig names.
async fn config() -> Result<Config, Error> {
    Config::infer().await.map_err(|error| cluster(&kube::Error::InferConfig(error)))
}

fn clients(config: Config) -> kube::Result<controller::Clients> {
    let lease = Client::try_from(config.clone())?;
    Ok(controller::Clients { lease, work: transport::client(config, GivenUp::Leaves)? })
}

fn cluster(error: &kube::Error) -> Error {
    Error::Cluster(error.to_string())
}

/// Serves metrics and health for as long as the work goes on.
async fn serving(
    telemetry: &Telemetry,
    registry: Registry,
    health: Health,
    work: impl Future<Output = ()>,
) -> Result<Exit, Error> {
    let place = telemetry.listen;
    let failed = |source| Error::Listen { place, source };
    let server = serve(place, Served { registry, health }).await.map_err(failed)?;
    tokio::select! {
        () = work => {
            tracing::info!("ended");
            Ok(Exit::Done)
        }
        ended = server => ended.map(|()| Exit::Done).map_err(failed),
    }
}
