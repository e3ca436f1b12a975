//! Chain IDs: what a stack of layers is called once it is unpacked.

use std::fmt;

use sha2::{Digest as _, Sha256};

use super::digest::Digest;

/// The identity of a stack of layers, and the key of its snapshot (OCI image spec, "Layer ChainID").
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChainId(Digest);

impl ChainId {
    /// The chain ID that a snapshotter shows as the key of a committed snapshot.
    pub const fn new(digest: Digest) -> Self {
        Self(digest)
    }

    /// The chain IDs of every stack that starts at the lowest layer: of one layer, of two, … of all of them.
    pub fn of(diff_ids: &[Digest]) -> Vec<Self> {
        diff_ids.iter().fold(Vec::with_capacity(diff_ids.len()), |mut chains: Vec<Self>, diff_id| {
            let next = match chains.last() {
                None => Self(diff_id.clone()),
                Some(below) => Self(Digest::sha256(&Sha256::digest(format!("{below} {diff_id}")))),
            };
            chains.push(next);
            chains
        })
    }

    /// The whole ID, `sha256:…`.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_of_each_prefix_is_there() {
        let diff_ids: Vec<Digest> =
            ["a", "b", "c"].map(|c| format!("sha256:{}", c.repeat(64)).parse().unwrap()).into();
        let chains = ChainId::of(&diff_ids);
        assert_eq!(chains.len(), 3);
        assert_eq!(chains[0].as_str(), diff_ids[0].as_str());
        // printf 'sha256:aa… sha256:bb…' | sha256sum
        assert_eq!(
            chains[1].as_str(),
            "sha256:ccd722928bd92476ba1745586fed6e45a102504185ad88cd89e01ff116fd146c"
        );
        assert_eq!(ChainId::of(&diff_ids[..2]), chains[..2]);
        assert!(ChainId::of(&[]).is_empty());
    }
}
