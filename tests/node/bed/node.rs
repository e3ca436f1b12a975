//! A node: a containerd with its images and containers.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::thread;

use containerd_client::Client;
use containerd_client::tonic::Request;
use containerd_client::tonic::transport::Channel;
use k8s_cri::v1::StatusRequest;
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use tokio::task::spawn_blocking;

use super::archive::Content;
use super::daemon::{self, Daemon};
use super::home::Home;
use super::{Archive, Cri, Digest, Image, Imported, Setup, Version, config, eventually};

/// The containerd namespace that the CRI serves.
pub(crate) const NAMESPACE: &str = "k8s.io";

/// The largest answer that containerd sends, its default.
pub(super) const MAX_MESSAGE: usize = 16 << 20;

/// A running containerd of its own. All of it is gone when this value is dropped.
///
/// Its methods panic where the node refuses: a test cannot go on then. A failed test prints the daemon's log.
#[derive(Debug)]
pub(crate) struct Node {
    version: Version,
    setup: Setup,
    channel: Option<Channel>,
    sandbox_image: Option<Imported>,
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
        let daemon = Daemon::spawn(version, setup, &home);
        let mut node = Self { version, setup, channel: None, sandbox_image: None, daemon, home };
        node.await_ready().await;
        if setup.cri == Cri::Enabled {
            let sandbox = Image::new(config::PAUSE).label("bed", "pause");
            node.sandbox_image = Some(node.import(&sandbox).await);
        }
        node
    }

    /// The image of pod sandboxes.
    pub(crate) fn sandbox_image(&self) -> Option<&Imported> {
        self.sandbox_image.as_ref()
    }

    /// Which containerd it is.
    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// The socket of containerd and the CRI.
    pub(crate) fn socket(&self) -> PathBuf {
        self.home.join("containerd.sock")
    }

    /// The directory for a test's own files; it goes with the node.
    pub(crate) fn directory(&self) -> &std::path::Path {
        self.home.path()
    }

    /// Kills the daemon, as a crash would. Containers go on.
    pub(crate) fn kill(&mut self) {
        self.channel = None;
        self.daemon.kill();
    }

    /// Kills the daemon and starts it again on the same directories.
    pub(crate) async fn restart(&mut self) {
        self.kill();
        self.daemon = Daemon::spawn(self.version, self.setup, &self.home);
        self.await_ready().await;
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
        self.daemon = Daemon::spawn(self.version, self.setup, &self.home);
        self.await_ready().await;
    }

    /// Makes the node one that a killed test run left. The next sweep removes it.
    pub(crate) fn abandon(&mut self) {
        self.home.abandon();
    }

    /// Imports an image or index in one archive of its own. See [`Node::import_all`].
    pub(crate) async fn import(&self, content: &impl Content) -> Imported {
        self.import_archive(|archive| vec![content.add_to(archive)]).await.remove(0)
    }

    /// Imports several in one archive, with all their platforms, and waits until the CRI knows each.
    ///
    /// The CRI then has its own record for it, `sha256:<config>`, unless the image is for other machines only. Where two
    /// images share a configuration, either may be the target of that record.
    pub(crate) async fn import_all(&self, contents: &[impl Content]) -> Vec<Imported> {
        self.import_archive(|archive| contents.iter().map(|content| content.add_to(archive)).collect()).await
    }

    async fn import_archive(&self, fill: impl FnOnce(&mut Archive) -> Vec<Imported>) -> Vec<Imported> {
        let mut archive = Archive::default();
        let imported = fill(&mut archive);
        let file =
            tempfile::NamedTempFile::new_in(self.home.path()).expect("the node's directory can be written");
        archive.save(file.path());
        let path = file.path().to_str().expect("the path is text");
        match self.version {
            Version::V1 => self.ctr(["images", "import", "--all-platforms", path]).await,
            Version::V2 => self.ctr(["images", "import", "--local", "--all-platforms", path]).await,
        };
        self.await_cri(&imported).await;
        // The archive's own index is content that nothing refers to; it would go at some later time of its own.
        self.collect_garbage().await;
        imported
    }

    /// Waits until the CRI knows these images by name and by identity, and the store has their identity records.
    async fn await_cri(&self, imported: &[Imported]) {
        if self.setup.cri == Cri::Disabled {
            return;
        }
        let wanted: Vec<_> = imported.iter().filter(|image| image.host.is_some()).collect();
        eventually("the CRI to know the imported images", async || {
            let known: BTreeMap<String, Vec<String>> =
                self.cri_images().await.into_iter().map(|image| (image.id, image.repo_tags)).collect();
            let records = self.records().await;
            let is_known = |image: &&Imported| {
                let config: &str = image.config();
                let tags = known.get(config);
                records.contains_key(config) && tags.is_some_and(|tags| tags.contains(&image.name))
            };
            wanted.iter().all(is_known).then_some(())
        })
        .await;
    }

    /// Runs this containerd's own `ctr` in the CRI's namespace and returns what it prints.
    pub(crate) async fn ctr<const N: usize>(&self, arguments: [&str; N]) -> String {
        self.ctr_in(NAMESPACE, &arguments).await
    }

    /// Runs this containerd's own `ctr` in any namespace.
    pub(crate) async fn ctr_in(&self, namespace: &str, arguments: &[&str]) -> String {
        let mut command = Command::new(self.version.directory().join("ctr"));
        command.arg("--address").arg(self.socket()).args(["--namespace", namespace]).args(arguments);
        let output =
            spawn_blocking(move || command.output()).await.expect("ctr is waited for").expect("ctr starts");
        assert!(
            output.status.success(),
            "ctr {}: {}{}",
            arguments.join(" "),
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr),
        );
        String::from_utf8(output.stdout).expect("ctr prints text")
    }

    /// A client of containerd's services.
    pub(crate) fn client(&self) -> Client {
        Client::from(self.channel())
    }

    pub(super) fn channel(&self) -> Channel {
        self.channel.clone().expect("the daemon runs")
    }

    async fn await_ready(&mut self) {
        let socket = self.socket();
        let channel = eventually("containerd and its CRI to answer", async || {
            if let Some(status) = self.daemon.ended() {
                panic!("containerd ended with {status}");
            }
            let channel = containerd_client::connect(&socket).await.ok()?;
            if self.setup.cri == Cri::Disabled {
                Client::from(channel.clone()).version().version(()).await.ok()?;
                return Some(channel);
            }
            // The CRI answers only after its recovery, which is the last thing to be ready.
            let request = StatusRequest { verbose: false };
            RuntimeServiceClient::new(channel.clone()).status(request).await.ok()?;
            Some(channel)
        })
        .await;
        self.channel = Some(channel);
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!(
                "--- the end of containerd's log ({:?}):\n{}\n---",
                self.version,
                daemon::log_tail(self.home.path())
            );
        }
    }
}

/// A request in a namespace of containerd.
pub(super) fn in_namespace<T>(namespace: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request
        .metadata_mut()
        .insert("containerd-namespace", namespace.parse().expect("a namespace is a header value"));
    request
}

/// The digest of a target that must be there.
pub(super) fn target_of(image: &containerd_client::services::v1::Image) -> Digest {
    Digest::from(image.target.as_ref().expect("a record has a target").digest.clone())
}
