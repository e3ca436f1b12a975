//! The configuration of a containerd and its CNI.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use super::Version;
use super::tools::path_with;

/// The image of pod sandboxes. The bed imports it under this name.
pub(crate) const PAUSE: &str = "registry.k8s.io/pause:bed";

/// How a containerd differs from that of an ordinary node.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Setup {
    /// Whether pods can run.
    pub cri: Cri,
    /// Where the daemon tells its metrics over HTTP.
    pub metrics: Option<SocketAddr>,
    /// The bytes of the disk that holds the store and nothing else; without, it is on that of the node's directory.
    pub disk: Option<u64>,
    /// Whether there is a snapshotter `remote` that is a process of its own, which listens at `remote.sock` beside the daemon's socket.
    pub has_remote: bool,
}

/// Whether a containerd has the CRI plugin.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Cri {
    /// As on a node of Kubernetes.
    #[default]
    Enabled,
    /// As on a machine that builds images.
    Disabled,
}

/// Snapshotters that the tests do without. 2.x is built without them.
const NO_SNAPSHOTTERS: &[&str] = &[
    "io.containerd.snapshotter.v1.aufs",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.zfs",
];

/// Where Debian puts CNI plugins.
const CNI_PLUGINS: &str = "/usr/lib/cni";

/// Where a containerd has its files.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    /// What outlives a restart of the machine: the store.
    pub root: PathBuf,
    /// What does not: the bundles of containers.
    pub state: PathBuf,
    /// The socket of containerd and its CRI.
    pub socket: PathBuf,
    /// The sockets of shims. Only 2.x can be told.
    pub shims: PathBuf,
    /// The configuration of the network of pods.
    pub network: PathBuf,
}

impl Places {
    /// All in one directory, so that many can run on a machine.
    pub(crate) fn below(home: &Path) -> Self {
        Self {
            root: home.join("root"),
            state: home.join("state"),
            socket: home.join("containerd.sock"),
            shims: home.join("s"),
            network: home.join("cni"),
        }
    }
}

/// The command that starts a containerd. Its configuration is written to a directory, and so is that of the network.
pub(crate) fn command(version: Version, setup: Setup, places: &Places, directory: &Path) -> Command {
    let configuration = directory.join("containerd.toml");
    fs::write(&configuration, containerd(version, setup, places)).expect("the configuration can be written");
    let binaries = version.directory();
    let mut command = Command::new(binaries.join("containerd"));
    command.arg("--config").arg(configuration).env("PATH", path_with(&binaries));
    command
}

/// The file that `containerd --config` gets.
///
/// `restrict_oom_score_adj`: not every machine for tests may lower the score of a sandbox.
fn containerd(version: Version, setup: Setup, places: &Places) -> String {
    let disabled = disabled_plugins(version, setup.cri);
    let remote = match setup.has_remote {
        true => {
            let socket = places.socket.with_file_name("remote.sock");
            format!("\n[proxy_plugins.remote]\ntype = \"snapshot\"\naddress = \"{}\"\n", socket.display())
        }
        false => String::new(),
    };
    let metrics =
        setup.metrics.map(|address| format!("\n[metrics]\naddress = \"{address}\"\n")).unwrap_or_default();
    let [root, state, socket, shims, network] =
        [&places.root, &places.state, &places.socket, &places.shims, &places.network]
            .map(|path| path.display());
    match version {
        Version::V1 => format!(
            r#"version = 2
root = "{root}"
state = "{state}"
disabled_plugins = {disabled:?}
{metrics}{remote}
[grpc]
address = "{socket}"

[plugins."io.containerd.internal.v1.opt"]
path = "{root}/opt"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
Root = "{state}/runc"

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{CNI_PLUGINS}"
conf_dir = "{network}"
"#
        ),
        Version::V2 => format!(
            r#"version = 3
root = "{root}"
state = "{state}"
disabled_plugins = {disabled:?}
{metrics}{remote}
[grpc]
address = "{socket}"

[plugins."io.containerd.internal.v1.opt"]
path = "{root}/opt"

[plugins."io.containerd.shim.v1.manager"]
socket_dir = "{shims}"

[plugins."io.containerd.nri.v1.nri"]
disable = true

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{PAUSE}"

[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
Root = "{state}/runc"

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{CNI_PLUGINS}"]
conf_dir = "{network}"
"#
        ),
    }
}

fn disabled_plugins(version: Version, cri: Cri) -> Vec<&'static str> {
    let mut disabled = match version {
        Version::V1 => NO_SNAPSHOTTERS.to_vec(),
        Version::V2 => Vec::new(),
    };
    if cri == Cri::Disabled {
        disabled.push("io.containerd.grpc.v1.cri");
    }
    disabled
}

/// Writes the configuration of a network of pods. Without one the CRI does not call itself ready, even if no pod uses it.
pub(crate) fn write_network(places: &Places, subnet: &str, leases: &Path) {
    let network = json!({
        "cniVersion": "0.4.0",
        "name": "bed",
        "plugins": [{
            "type": "ptp",
            "ipam": {
                "type": "host-local",
                "dataDir": leases,
                "ranges": [[{"subnet": subnet}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }],
    });
    fs::create_dir_all(&places.network).expect("the directory of the network can be made");
    fs::write(places.network.join("10-bed.conflist"), network.to_string())
        .expect("the configuration of the network can be written");
}
