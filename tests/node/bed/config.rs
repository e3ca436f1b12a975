//! The configuration of a node's containerd and its CNI.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::json;

use super::Version;

/// The image of pod sandboxes. The bed imports it under this name.
pub(crate) const PAUSE: &str = "registry.k8s.io/pause:bed";

/// How a node differs from an ordinary one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Setup {
    /// Whether pods can run.
    pub cri: Cri,
    /// Where the daemon tells its metrics over HTTP.
    pub metrics: Option<SocketAddr>,
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

/// The file that `containerd --config` gets.
///
/// `restrict_oom_score_adj`: not every machine for tests may lower the score of a sandbox.
pub(crate) fn containerd(version: Version, setup: Setup, home: &Path) -> String {
    let disabled = disabled_plugins(version, setup.cri);
    let metrics =
        setup.metrics.map(|address| format!("\n[metrics]\naddress = \"{address}\"\n")).unwrap_or_default();
    let home = home.display();
    match version {
        Version::V1 => format!(
            r#"version = 2
root = "{home}/root"
state = "{home}/state"
disabled_plugins = {disabled:?}
{metrics}
[grpc]
address = "{home}/containerd.sock"

[plugins."io.containerd.internal.v1.opt"]
path = "{home}/opt"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
restrict_oom_score_adj = true

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
Root = "{home}/runc"

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{CNI_PLUGINS}"
conf_dir = "{home}/cni"
"#
        ),
        Version::V2 => format!(
            r#"version = 3
root = "{home}/root"
state = "{home}/state"
disabled_plugins = {disabled:?}
{metrics}
[grpc]
address = "{home}/containerd.sock"

[plugins."io.containerd.internal.v1.opt"]
path = "{home}/opt"

[plugins."io.containerd.shim.v1.manager"]
socket_dir = "{home}/s"

[plugins."io.containerd.nri.v1.nri"]
disable = true

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "{PAUSE}"

[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
Root = "{home}/runc"

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["{CNI_PLUGINS}"]
conf_dir = "{home}/cni"
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

/// A CNI configuration. Without one the CRI does not call itself ready, although the bed's pods use the host's network.
pub(crate) fn cni(home: &Path) -> String {
    json!({
        "cniVersion": "0.4.0",
        "name": "bed",
        "plugins": [{
            "type": "ptp",
            "ipam": {
                "type": "host-local",
                "dataDir": home.join("ipam"),
                "ranges": [[{"subnet": "10.88.0.0/16"}]],
            },
        }],
    })
    .to_string()
}
