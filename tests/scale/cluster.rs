//! A cluster without machines: a real API server on a real etcd, with the chart's definitions, rights and policy.

#[allow(dead_code, reason = "the other tests' cluster has machines too")]
#[path = "../cluster/cluster/control.rs"]
mod control;
#[path = "../cluster/cluster/identity.rs"]
mod identity;
#[allow(dead_code, reason = "the other tests use more of it")]
#[path = "../cluster/cluster/kubectl.rs"]
mod kubectl;
#[allow(dead_code, reason = "the other tests kill daemons too")]
#[path = "../cluster/cluster/service.rs"]
mod service;

use std::fs;
use std::path::{Path, PathBuf};

use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

use self::control::{ADVERTISED, API_SERVER, ControlPlane};
use self::identity::Authority;
#[allow(unused_imports, reason = "the tests of faults start no program")]
pub(crate) use self::service::Service;
use crate::bed::eventually;
use crate::world;

/// The namespace that Secateur is installed in.
pub(crate) const NAMESPACE: &str = "secateur-system";

/// A running API server. It goes with the world that it is in.
pub(crate) struct Cluster {
    home: PathBuf,
    kubeconfig: PathBuf,
    authority: PathBuf,
    client: Client,
    control: ControlPlane,
}

impl Cluster {
    /// Starts etcd and the API server in this process's world, and installs the chart.
    pub(crate) async fn start(home: &Path) -> Self {
        world::raise_network(&[API_SERVER, ADVERTISED]);
        fs::create_dir(logs(home)).expect("the directory of logs is new");
        let authority = Authority::new(home.join("certificates"));
        let kubeconfig = authority.client("admin", Some("system:masters"));
        let client = Client::try_from(config(&kubeconfig).await).expect("the client can be made");
        let control = ControlPlane::new(home, &logs(home), &authority);
        control.etcd.start();
        control.api_server.start();
        let cluster =
            Self { home: home.to_owned(), kubeconfig, authority: authority.certificate(), client, control };
        eventually("the API server to be ready", async || {
            for service in [&cluster.control.etcd, &cluster.control.api_server] {
                assert!(!service.has_ended(), "{} has ended", service.name());
            }
            cluster.page("/readyz").await
        })
        .await;
        cluster.install_chart();
        cluster
    }

    /// The directory for a run's own files; it goes with the cluster.
    pub(crate) fn directory(&self) -> &Path {
        &self.home
    }

    /// The directory of the daemons' logs.
    pub(crate) fn logs(&self) -> PathBuf {
        logs(&self.home)
    }

    /// The processes of etcd and of the API server.
    pub(crate) fn processes(&self) -> [u32; 2] {
        [&self.control.etcd, &self.control.api_server].map(|service| service.id().expect("it was started"))
    }

    /// A client of the API with every right.
    pub(crate) fn client(&self) -> Client {
        self.client.clone()
    }

    /// The kubeconfig of somebody with every right.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// How somebody reaches the API server whose token is set later.
    pub(crate) async fn config(&self) -> Config {
        config(&self.kubeconfig_of("nobody", "")).await
    }

    /// Writes the kubeconfig of somebody with a token.
    pub(crate) fn kubeconfig_of(&self, name: &str, token: &str) -> PathBuf {
        let file = self.home.join(format!("{name}.kubeconfig"));
        let configuration = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "bed",
            "clusters": [{"name": "bed", "cluster": {
                "server": format!("https://{API_SERVER}"), "certificate-authority": self.authority,
            }}],
            "users": [{"name": "bed", "user": {"token": token}}],
            "contexts": [{"name": "bed", "context": {"cluster": "bed", "user": "bed"}}],
        });
        fs::write(&file, configuration.to_string()).expect("a kubeconfig can be written");
        file
    }

    /// A page of the API server's that is not an object.
    pub(crate) async fn page(&self, path: &str) -> Option<String> {
        let request = axum::http::Request::get(path).body(Vec::new()).expect("a request");
        self.client.request_text(request).await.ok()
    }

    /// Installs the chart. Its pods are objects that nothing makes and nothing starts.
    fn install_chart(&self) {
        let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/secateur");
        let chart = chart.to_str().expect("the path is text");
        self.helm([
            "install",
            "secateur",
            chart,
            "--namespace",
            NAMESPACE,
            "--create-namespace",
            "--no-hooks",
        ]);
        let ours = ["imagedeletions.secateur.dev", "imagedeletionreports.secateur.dev"];
        self.wait("condition=Established", ["crd", ours[0], ours[1]]);
    }
}

/// What a page of Prometheus's text says of all series of a metric that have these labels, as a sum.
pub(crate) fn sum(page: &str, metric: &str, labels: &[&str]) -> f64 {
    let is_asked = |series: &str| {
        series.strip_prefix(metric).is_some_and(|rest| rest.is_empty() || rest.starts_with('{'))
            && labels.iter().all(|label| series.contains(label))
    };
    let lines = page.lines().filter_map(|line| line.rsplit_once(' '));
    lines.filter(|(series, _)| is_asked(series)).filter_map(|(_, value)| value.parse::<f64>().ok()).sum()
}

fn logs(home: &Path) -> PathBuf {
    home.join("logs")
}

async fn config(kubeconfig: &Path) -> Config {
    let kubeconfig = Kubeconfig::read_from(kubeconfig).expect("the kubeconfig can be read");
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await;
    config.expect("the kubeconfig is whole")
}
