//! A node: a containerd with its images and containers.

use std::ops::Deref;
use std::path::Path;
use std::process::Command;
use std::thread;

use nix::mount::{MsFlags, mount};

use super::{Containerd, Cri, Daemon, Digest, Home, Imported, LOG, Places, Setup, Version, log_tail};

/// A running containerd of its own. All of it is gone when this value is dropped.
///
/// Its methods panic where the node refuses: a test cannot go on then. A failed test prints the daemon's log.
#[derive(Debug)]
pub(crate) struct Node {
    setup: Setup,
    sandbox_image: Option<Imported>,
    containerd: Containerd,
    // The daemon ends before its directory goes: fields are dropped in this order.
    daemon: Daemon,
    pub(super) home: Home,
}

impl Node {
    /// Starts a node and waits until containerd and its CRI answer. The image of pod sandboxes is there already.
    pub(crate) async fn start(version: Version) -> Self {
        Self::start_with(version, Setup::default()).await
    }

    /// Starts a node that is set up in another way. Without the CRI there is no image of pod sandboxes.
    pub(crate) async fn start_with(version: Version, setup: Setup) -> Self {
        let home = Home::new();
        if let Some(bytes) = setup.disk {
            mount_disk(&home.join("root"), bytes);
        }
        let (daemon, containerd) = Containerd::start(version, setup, home.path()).await;
        let sandbox_image = match setup.cri {
            Cri::Enabled => Some(containerd.import_pause().await),
            Cri::Disabled => None,
        };
        Self { setup, sandbox_image, containerd, daemon, home }
    }

    /// The image of pod sandboxes.
    pub(crate) fn sandbox_image(&self) -> Option<&Imported> {
        self.sandbox_image.as_ref()
    }

    /// The directory for a test's own files; it goes with the node.
    pub(crate) fn directory(&self) -> &std::path::Path {
        self.home.path()
    }

    /// Writes something else where the store has content, behind its back.
    pub(crate) fn tamper(&self, digest: &Digest, content: &[u8]) {
        let blobs =
            Places::below(self.home.path()).root.join("io.containerd.content.v1.content/blobs/sha256");
        std::fs::write(blobs.join(digest.hex()), content).expect("the store's files can be written");
    }

    /// Kills the daemon, as a crash would. Containers go on.
    pub(crate) fn kill(&mut self) {
        self.daemon.kill();
    }

    /// Kills the daemon and starts it again on the same directories.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        self.start_again().await;
    }

    /// Keeps a copy of the whole store, for [`Node::restore`]. The daemon is restarted; there must be no containers.
    pub(crate) async fn save(&mut self) {
        self.replace_directory("root", "saved").await;
    }

    /// Puts the store back as it was at [`Node::save`]. The daemon is restarted; there must be no containers.
    pub(crate) async fn restore(&mut self) {
        self.replace_directory("saved", "root").await;
    }

    async fn replace_directory(&mut self, from: &str, to: &str) {
        let containers = self.containers().await;
        assert!(containers.is_empty(), "there must be no containers: {containers:?}");
        self.kill();
        let (from, to) = (self.home.join(from), self.home.join(to));
        if to.exists() {
            std::fs::remove_dir_all(&to).expect("a stopped node's directory can be removed");
        }
        // Layers keep owners, modes and extended attributes, which the standard library does not copy.
        let status = Command::new("cp").arg("-a").args([from, to]).status().expect("cp starts");
        assert!(status.success(), "cp ended with {status}");
        self.start_again().await;
    }

    /// Makes the node one that a killed test run left. The next sweep removes it.
    pub(crate) fn abandon(&mut self) {
        self.home.abandon();
    }

    async fn start_again(&mut self) {
        (self.daemon, self.containerd) =
            Containerd::start(self.version(), self.setup, self.home.path()).await;
    }
}

/// Makes a disk of its own, which goes with the node's directory.
fn mount_disk(at: &Path, bytes: u64) {
    std::fs::create_dir(at).expect("the directory is new");
    let (kind, size) = (Some("tmpfs"), format!("size={bytes}"));
    let mounted = mount(kind, at, kind, MsFlags::empty(), Some(size.as_str()));
    mounted.unwrap_or_else(|error| panic!("cannot mount {}: {error}", at.display()));
}

impl Deref for Node {
    type Target = Containerd;

    fn deref(&self) -> &Containerd {
        &self.containerd
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if thread::panicking() {
            let log = log_tail(&self.home.join(LOG));
            eprintln!("--- the end of containerd's log ({:?}):\n{log}\n---", self.version());
        }
    }
}
