//! What an image is made of, as far as it is on the node.

use super::chain::ChainId;
use super::digest::Digest;
use super::illegible::Illegible;

/// The configs that a target leads to. A manifest has one; an index has one for each platform whose manifest is there;
/// a target whose own content is gone has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Content {
    /// In the order of the index. Immutable, for all of it is named by the digest of what it says.
    pub configs: Vec<Config>,
    /// Whether something that it names could lead to more configs and is not there.
    pub partial: bool,
    /// What of it is there and can't be read, if anything is: there may be more configs and root file systems than these.
    pub illegible: Option<Illegible>,
}

/// One image config and the root file system that it describes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The config's digest: the image ID that the CRI shows.
    pub digest: Digest,
    /// The chain ID of each stack of its layers, lowest first; empty if the config itself is not there or it has no layers.
    pub chains: Vec<ChainId>,
}

impl Config {
    /// The chain ID of the whole root file system.
    pub fn root(&self) -> Option<&ChainId> {
        self.chains.last()
    }
}

impl Content {
    /// Whether it may have configs that are not known: then a record named by a digest is taken at its word.
    pub const fn may_have_more(&self) -> bool {
        self.partial || self.illegible.is_some() || self.configs.is_empty()
    }

    /// Whether a container's image name is all that there is to tell that it has this root file system.
    pub fn hides_roots(&self) -> bool {
        self.illegible.is_some() || self.configs.iter().all(|config| config.chains.is_empty())
    }

    /// Whether one of the configs has that digest.
    pub fn has_config(&self, digest: &Digest) -> bool {
        self.configs.iter().any(|config| config.digest == *digest)
    }

    /// Whether one of the root file systems is that chain.
    pub fn has_root(&self, chain: &ChainId) -> bool {
        self.configs.iter().any(|config| config.root() == Some(chain))
    }
}
