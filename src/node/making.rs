//! Containers that are being made: those that have a root file system and are not listed yet.
//!
//! A container has its root file system some time before containerd lists it, and its image must stay from then on. Until it is
//! listed, whoever makes it holds that file system by a lease, or the collector would take it (containerd's "Garbage Collection":
//! whatever a client makes is used or leased at all times); its Go client, so the CRI, `ctr` and `nerdctl`, takes the lease first
//! and ends it last. So where there are no leases but ours and those of pods' sandboxes nothing is being made, and no snapshots are
//! looked at, which on a node of many images takes long. A container with a user namespace may lie on a copy of its image's root
//! file system, which is made first.
//!
//! The CRI looks at an image's record before it takes that lease. Who deletes on behalf of a cluster knows the pod that a container
//! is made for; a command line does not, and can delete the image of a container whose making begins in that moment: making it
//! fails, and the kubelet pulls the image again, or it runs by its root file system alone.
//!
//! Other snapshots that are written to have keys that no container can have as its ID: `extract-… sha256:…` while a layer is
//! unpacked, the path where an image is mounted.

use std::collections::{BTreeSet, HashMap};

use super::error::CallError;
use super::operation::Node;
use super::reclaim::{Holdings, snapshotters, stored};
use super::survey::Survey;
use crate::image::conflict::since;
use crate::image::{Config, Conflict, Container, Decision, Evidence, Fate, ImageId, Plan, Rules, State};

/// What the key of a root file system ends with while it is copied for a container with a user namespace
/// (`WithUserNSRemappedSnapshot` of containerd's client).
const COPY_SUFFIX: &str = "-remap";

/// A container that may be in the making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Making {
    /// The key of its snapshot, which will be its ID, or of a copy that is made for it.
    pub(super) key: String,
    config: Config,
}

impl Making {
    /// What is being made on the root file systems of these configs, and perhaps what has been made.
    pub(super) async fn of(
        node: &Node,
        holdings: &Holdings,
        configs: &[&Config],
    ) -> Result<Vec<Self>, CallError> {
        match node.containerd.has_leases_of_others(&node.known).await? {
            true => Self::on(node, holdings.snapshotters(), configs).await,
            false => Ok(Vec::new()),
        }
    }

    async fn on(
        Node { containerd, known, .. }: &Node,
        snapshotters: BTreeSet<&str>,
        configs: &[&Config],
    ) -> Result<Vec<Self>, CallError> {
        let mut making = Vec::new();
        for snapshotter in snapshotters {
            for (key, parent) in containerd.active_snapshots(snapshotter).await? {
                let Some(subject) = Subject::of(&key) else { continue };
                let mut found = on_root(&parent, configs);
                if found.is_empty() && subject == Subject::Container && !known.has(&key) {
                    // It may lie on a copy.
                    let root = containerd.snapshot_parent_beneath_copy(snapshotter, &key).await?;
                    found = root.map(|root| on_root(root.as_str(), configs)).unwrap_or_default();
                }
                making.extend(found.into_iter().cloned().map(|config| Self { key: key.clone(), config }));
            }
        }
        Ok(making)
    }

    /// The container that it will be. It is not stopped: soon it runs.
    pub(super) fn container(self) -> Container {
        Container {
            id: self.key.into(),
            state: State::Running,
            owner: None,
            image: Evidence::Config(self.config.digest),
            volumes: Vec::new(),
        }
    }
}

impl Node {
    /// What holds the images that are decided to go, where that is only being made: the look after the removal would find it.
    pub(super) async fn held_in_the_making(
        &self,
        survey: &mut Survey,
        decisions: &[Decision],
        rules: &Rules,
    ) -> Result<HashMap<ImageId, Vec<Conflict>>, CallError> {
        let plans = decisions.iter().filter_map(|decision| decision.verdict.as_ref().ok());
        let going: Vec<&Plan> = plans.filter(|plan| plan.fate == Fate::Deleted).collect();
        let trees = going.iter().filter_map(|plan| survey.trees.get(&plan.image));
        let configs: Vec<&Config> = trees.flat_map(|tree| &tree.content.configs).collect();
        let mut held = HashMap::new();
        if configs.is_empty() || !self.containerd.has_leases_of_others(&self.known).await? {
            return Ok(held);
        }
        let kept = stored(&self.containerd, configs.iter().map(|config| config.digest.clone()).collect());
        let making = Making::on(self, snapshotters(&kept.await?), &configs).await?;
        if making.is_empty() {
            return Ok(held);
        }
        let containers = self.containerd.containers(&self.known, making).await?;
        survey.inventory.observe_containers(containers);
        for Plan { image, meant, .. } in going {
            let conflicts = self.ask(survey, |now| since(now, image, *meant, rules)).await?;
            if !conflicts.is_empty() {
                held.insert(image.clone(), conflicts);
            }
        }
        Ok(held)
    }
}

/// What a snapshot that is written to may be for, by its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Subject {
    /// A container has this ID, or can have it.
    Container,
    /// A copy of a root file system.
    Copy,
}

impl Subject {
    fn of(key: &str) -> Option<Self> {
        let is_id = key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
        match (is_id, key.ends_with(COPY_SUFFIX)) {
            (true, _) => Some(Self::Container),
            (false, true) => Some(Self::Copy),
            (false, false) => None,
        }
    }
}

/// The configs whose root file system is `snapshot`.
fn on_root<'a>(snapshot: &str, configs: &[&'a Config]) -> Vec<&'a Config> {
    let is_root = |config: &&Config| config.root().is_some_and(|root| root.as_str() == snapshot);
    configs.iter().copied().filter(is_root).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{ChainId, Digest};

    #[test]
    fn a_container_is_made_on_the_whole_root_file_system_of_its_image() {
        let [one, two]: [Digest; 2] =
            ["a", "b"].map(|digit| format!("sha256:{}", digit.repeat(64)).parse().unwrap());
        let chains = ChainId::of(&[one.clone(), two]);
        let config = Config { digest: one, chains: chains.clone() };
        for (snapshot, expected) in [(chains[1].as_str(), 1), (chains[0].as_str(), 0), ("inspect", 0)] {
            assert_eq!(on_root(snapshot, &[&config]).len(), expected, "{snapshot}");
        }
    }

    #[test]
    fn what_a_snapshot_is_for_is_told_by_its_key() {
        let rows = [
            ("0d3f", Some(Subject::Container)),
            ("my_app-1.web", Some(Subject::Container)),
            ("sha256:9f-remap", Some(Subject::Copy)),
            ("sha256:9f-1000-1000-remap", Some(Subject::Copy)),
            ("extract-1 sha256:9", None),
            ("/mnt/app", None),
        ];
        for (key, expected) in rows {
            assert_eq!(Subject::of(key), expected, "{key}");
        }
    }
}
