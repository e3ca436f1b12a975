//! A node of the suite: a real containerd, what is put on it for a scenario, and what is on it afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::bed::{Containerd, Daemon, Digest, Imported, NAMESPACE, Setup, Version, cgroup, eventually};
use crate::scenario::{Act, Container, Scenario};

/// How long it may take until nothing is left that a scenario has put on the node.
const CLEARED: Duration = Duration::from_secs(30);
/// What the IDs of our leases start with.
const LEASES: &str = "secateur-";

/// A containerd with nothing but the image of pod sandboxes.
pub(crate) struct Machine {
    pub(crate) containerd: Containerd,
    home: PathBuf,
    empty: Store,
    _daemon: Daemon,
}

/// What a node has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Store {
    /// The records: names and targets.
    pub(crate) records: BTreeMap<String, Digest>,
    pub(crate) content: BTreeSet<Digest>,
    pub(crate) snapshots: BTreeSet<String>,
    /// The leases of deletions.
    pub(crate) leases: BTreeSet<String>,
}

impl Machine {
    pub(crate) async fn start(home: &Path, version: Version) -> Self {
        let home = home.join(format!("{version:?}"));
        std::fs::create_dir(&home).expect("the directory is new");
        let (daemon, containerd) = Containerd::start(version, Setup::default(), &home).await;
        containerd.import_pause().await;
        let mut machine = Self { containerd, home, empty: Store::default(), _daemon: daemon };
        machine.empty = machine.store().await;
        machine
    }

    /// The socket on which the agent's calls come by.
    pub(crate) fn socket(&self) -> PathBuf {
        self.home.join("trapped.sock")
    }

    /// Puts on the node what a scenario begins with.
    pub(crate) async fn prepare(&self, scenario: &Scenario) -> Vec<Imported> {
        let imported = self.containerd.import_all(&scenario.images()).await;
        for (name, like) in &scenario.names {
            let name = name.replace("@TARGET", &format!("@{}", imported[0].target));
            self.containerd.put_record(&name, like).await;
        }
        for image in imported.iter().filter(|image| scenario.dangles == Some(&image.name)) {
            self.containerd.put_record(&format!("moby-dangling@{}", image.target), &image.name).await;
            self.containerd.delete_record(&image.name).await;
        }
        for container in &scenario.containers {
            self.make(container).await;
        }
        imported
    }

    async fn make(&self, container: &Container) {
        let Container { id, image, runs } = *container;
        if !runs {
            self.containerd.ctr(["containers", "create", image, id]).await;
            return;
        }
        let cgroup = format!("{}/{id}", cgroup::parent(&self.home));
        let runc = self.home.join("state/runc");
        let runc = runc.to_str().expect("the path is text");
        self.containerd
            .ctr(["run", "--detach", "--null-io", "--runc-root", runc, "--cgroup", &cgroup, image, id])
            .await;
    }

    /// Does what somebody else does meanwhile.
    pub(crate) async fn act(&self, act: &Act) {
        match act {
            Act::Tag { name, like } | Act::Move { name, like } => {
                self.try_ctr(&["images", "tag", "--force", like, name]).await;
            }
            Act::Untag(name) => self.try_ctr(&["images", "rm", name]).await,
            Act::Use(container) => {
                self.try_ctr(&["containers", "create", container.image, container.id]).await;
            }
            Act::Free(id) => self.try_ctr(&["containers", "rm", id]).await,
        }
    }

    /// Runs `ctr`. What it is about may be gone by then, and then nobody can do it.
    async fn try_ctr(&self, arguments: &[&str]) {
        let mut command = tokio::process::Command::new(self.containerd.version().directory().join("ctr"));
        command
            .arg("--address")
            .arg(self.containerd.socket())
            .args(["--namespace", NAMESPACE])
            .args(arguments);
        command.output().await.expect("ctr starts");
    }

    /// Whether a deletion has written its journal.
    pub(crate) async fn has_journal(&self) -> bool {
        let content = self.containerd.content().await;
        let leases = self.containerd.leases().await;
        let mut journals = leases.values().filter_map(|labels| labels.get("secateur.dev/journal"));
        journals.any(|at| at == "labels" || content.keys().any(|digest| digest.as_ref() as &str == at))
    }

    /// The IDs of all containers.
    pub(crate) async fn containers(&self) -> Vec<String> {
        self.containerd.ctr(["containers", "ls", "-q"]).await.lines().map(str::to_owned).collect()
    }

    /// What the node has now.
    pub(crate) async fn store(&self) -> Store {
        let records = self.containerd.records().await;
        let leases = self.containerd.leases().await;
        Store {
            records: records.into_iter().map(|(name, record)| (name, record.target)).collect(),
            content: self.containerd.content().await.into_keys().collect(),
            snapshots: self.containerd.snapshots().await.into_keys().collect(),
            leases: leases.into_keys().filter(|id| id.starts_with(LEASES)).collect(),
        }
    }

    /// What the node keeps: what it has after a collection.
    pub(crate) async fn kept(&self) -> Store {
        self.containerd.collect_garbage().await;
        self.store().await
    }

    /// Removes everything that a scenario has put on the node, and says what was left over.
    pub(crate) async fn clear(&self) -> Result<(), String> {
        let running = self.containerd.ctr(["tasks", "ls", "-q"]).await;
        for task in running.lines() {
            self.containerd.ctr(["tasks", "kill", "--signal", "KILL", task]).await;
            eventually("the task to end", async || {
                let tasks = self.containerd.ctr(["tasks", "ls"]).await;
                tasks.lines().any(|line| line.starts_with(task) && line.contains("STOPPED")).then_some(())
            })
            .await;
            self.containerd.ctr(["tasks", "rm", task]).await;
        }
        for container in self.containers().await {
            self.containerd.ctr(["containers", "rm", &container]).await;
        }
        // The CRI hears of each and may write records of its own meanwhile.
        let end = Instant::now() + CLEARED;
        let mut left = self.kept().await;
        while Instant::now() < end {
            if left == self.empty {
                return Ok(());
            }
            for name in left.records.keys().filter(|name| !self.empty.records.contains_key(*name)) {
                self.containerd.delete_record(name).await;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
            left = self.kept().await;
        }
        Err(format!("left on the node: {}", left.beyond(&self.empty)))
    }
}

impl Store {
    /// Whether a record is gone that was there before.
    pub(crate) fn has_lost(&self, before: &Self) -> bool {
        before.records.keys().any(|name| !self.records.contains_key(name))
    }

    /// What is here and not in another, in words.
    pub(crate) fn beyond(&self, other: &Self) -> String {
        let records: Vec<_> =
            self.records.iter().filter(|(name, target)| other.records.get(*name) != Some(target)).collect();
        let content: Vec<_> = self.content.difference(&other.content).collect();
        let snapshots: Vec<_> = self.snapshots.difference(&other.snapshots).collect();
        let leases: Vec<_> = self.leases.difference(&other.leases).collect();
        format!("records {records:?}, content {content:?}, snapshots {snapshots:?}, leases {leases:?}")
    }
}
