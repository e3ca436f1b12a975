//! A running containerd, as its clients see it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use containerd_client::Client;
use containerd_client::tonic::Request;
use containerd_client::tonic::transport::Channel;
use k8s_cri::v1::StatusRequest;
use tokio::task::spawn_blocking;

use super::archive::{Archive, Content};
use super::{Cri, Daemon, Digest, Image, Imported, Places, Setup, Version, config, eventually};

/// The containerd namespace that the CRI serves.
pub(crate) const NAMESPACE: &str = "k8s.io";

/// The largest answer that containerd sends, its default.
pub(super) const MAX_MESSAGE: usize = 16 << 20;

/// A containerd and its CRI. The connection outlives a restart of the daemon.
///
/// Its methods panic where the daemon refuses: a test cannot go on then.
#[derive(Debug)]
pub(crate) struct Containerd {
    version: Version,
    cri: Cri,
    socket: PathBuf,
    scratch: PathBuf,
    channel: Channel,
}

/// The network of the pods, which only a few of the tests' pods use.
const PODS: &str = "10.88.0.0/16";
/// The daemon's log, in its directory.
pub(crate) const LOG: &str = "containerd.log";

impl Containerd {
    /// Starts a daemon with all its files in a directory, and waits until it and its CRI answer.
    pub(crate) async fn start(version: Version, setup: Setup, home: &Path) -> (Daemon, Self) {
        let places = Places::below(home);
        config::write_network(&places, PODS, &home.join("ipam"));
        let mut command = config::command(version, setup, &places, home);
        let mut daemon = Daemon::spawn(&mut command, &home.join(LOG));
        let check = || assert_eq!(daemon.ended(), None, "containerd has ended");
        let containerd = Self::connect(version, setup.cri, places.socket, home, check).await;
        (daemon, containerd)
    }

    /// Waits until a daemon that was just started and its CRI answer. `scratch` is a directory for archives on their way;
    /// `check` is called before each try, to panic where the daemon has ended.
    pub(crate) async fn connect(
        version: Version,
        cri: Cri,
        socket: PathBuf,
        scratch: &Path,
        mut check: impl FnMut(),
    ) -> Self {
        eventually("containerd and its CRI to answer", async || {
            check();
            let channel = containerd_client::connect(&socket).await.ok()?;
            let (socket, scratch) = (socket.clone(), scratch.to_owned());
            let containerd = Self { version, cri, socket, scratch, channel };
            containerd.answers().await.then_some(containerd)
        })
        .await
    }

    /// Which containerd it is.
    pub(crate) fn version(&self) -> Version {
        self.version
    }

    /// The socket of containerd and the CRI.
    pub(crate) fn socket(&self) -> PathBuf {
        self.socket.clone()
    }

    /// Imports the image of pod sandboxes.
    pub(crate) async fn import_pause(&self) -> Imported {
        self.import(&Image::new(config::PAUSE).label("bed", "pause")).await
    }

    /// Imports an image or index in one archive of its own. See [`Containerd::import_all`].
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
            tempfile::NamedTempFile::new_in(&self.scratch).expect("the node's directory can be written");
        archive.save(file.path());
        self.import_file(file.path()).await;
        self.await_cri(&imported).await;
        // The archive's own index is content that nothing refers to; it would go at some later time of its own.
        self.collect_garbage().await;
        imported
    }

    /// Imports an archive that something else wrote, with all its platforms.
    pub(crate) async fn import_file(&self, archive: &Path) {
        let archive = archive.to_str().expect("the path is text");
        match self.version {
            Version::V1 => self.ctr(["images", "import", "--all-platforms", archive]).await,
            Version::V2 => self.ctr(["images", "import", "--local", "--all-platforms", archive]).await,
        };
    }

    /// Waits until the CRI knows these images by name and by identity, and the store has their identity records.
    async fn await_cri(&self, imported: &[Imported]) {
        if self.cri == Cri::Disabled {
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
        command.arg("--address").arg(&self.socket).args(["--namespace", namespace]).args(arguments);
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
        self.channel.clone()
    }

    /// Whether the daemon and its CRI answer now. The CRI does only after its recovery, the last thing to be ready.
    pub(crate) async fn answers(&self) -> bool {
        match self.cri {
            Cri::Disabled => self.client().version().version(()).await.is_ok(),
            Cri::Enabled => self.runtime().status(StatusRequest { verbose: false }).await.is_ok(),
        }
    }
}

/// A request in a namespace of containerd.
pub(crate) fn in_namespace<T>(namespace: &str, message: T) -> Request<T> {
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
