//! Containers that are being made: those that have a root file system and are not listed yet.
//!
//! A container has its root file system some time before containerd lists it, and its image must stay from then on. Until it is
//! listed, whoever makes it holds that file system by a lease, or the collector would take it (containerd's "Garbage Collection":
//! whatever a client makes is used or leased at all times); its Go client, so the CRI, `ctr` and `nerdctl`, takes the lease first
//! and ends it last. So where there are no leases but ours nothing is being made, and no snapshots are looked at, which on a node of
//! many images takes long. Other snapshots that are written to have keys that no container can have as its ID: `extract-… sha256:…`
//! while a layer is unpacked, the path where an image is mounted.

use super::client::Containerd;
use super::error::CallError;
use super::reclaim::Holdings;
use crate::image::{ChainId, Config, Container, Evidence, State};

/// A container that may be in the making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Begun {
    /// The key of its snapshot, which will be its ID.
    pub(super) key: String,
    config: Config,
}

impl Begun {
    /// What is being made on the root file systems of these configs, and perhaps what has been made.
    pub(super) async fn of(
        containerd: &Containerd,
        holdings: &Holdings,
        configs: &[&Config],
    ) -> Result<Vec<Self>, CallError> {
        let mut begun = Vec::new();
        if !containerd.has_leases_of_others().await? {
            return Ok(begun);
        }
        for snapshotter in holdings.snapshotters() {
            let active = containerd.active_snapshots(snapshotter).await?;
            begun.extend(active.iter().flat_map(|(key, root)| of_container(key, root, configs)));
        }
        Ok(begun)
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

/// What may be made of the configs in a snapshot on `root`.
fn of_container(key: &str, root: &ChainId, configs: &[&Config]) -> Vec<Begun> {
    let is_of_it = |config: &&&Config| is_id(key) && config.root() == Some(root);
    let begun = |config: &&Config| Begun { key: key.to_owned(), config: (*config).clone() };
    configs.iter().filter(is_of_it).map(begun).collect()
}

/// Whether a container can have this ID.
fn is_id(key: &str) -> bool {
    key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::Digest;

    #[test]
    fn a_container_is_made_on_the_whole_root_file_system_of_its_image() {
        let [one, two, other]: [Digest; 3] =
            ["a", "b", "c"].map(|digit| format!("sha256:{}", digit.repeat(64)).parse().unwrap());
        let chains = ChainId::of(&[one.clone(), two]);
        let config = Config { digest: one, chains: chains.clone() };
        let rows = [
            ("0d3f", &chains[1], 1),
            ("my_app-1.web", &chains[1], 1),
            ("0d3f", &chains[0], 0),
            ("extract-1 sha256:9", &chains[1], 0),
            ("/mnt/app", &chains[1], 0),
        ];
        for (key, root, expected) in rows {
            assert_eq!(of_container(key, root, &[&config]).len(), expected, "{key} on {root}");
        }
        assert_eq!(of_container("0d3f", &ChainId::new(other), &[&config]), []);
    }
}
