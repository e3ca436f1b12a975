//! Manifests, indexes and configs. Images are input from strangers, so what is read is little and bounded, and what containerd
//! could read in another way is not read at all.

mod json;

use self::json::{Members, elements};
use crate::image::{ChainId, Digest, Flaw};

/// The largest manifest, index or config that is read, in bytes: about twice what containerd takes from a registry
/// (`MaxManifestSize`, 4 × 1048 × 1048 bytes), which in turn refuses manifests past 4 MiB.
pub const DOCUMENT_MAX: usize = 8 << 20;
/// The most blobs and layers that an image may lead to: 32 platforms of 127 layers, Docker's bound, and each of these as it is
/// stored and as it is unpacked, are 8,128.
pub const PARTS_MAX: usize = 10_000;

/// A blob that leads to others, or that describes a root file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// An index, or a Docker manifest list: its manifests.
    Index(Vec<Digest>),
    /// A manifest: its config and its layers.
    Manifest {
        /// The config.
        config: Digest,
        /// The layers, lowest first.
        layers: Vec<Digest>,
    },
    /// A config: the chain IDs of its layers, lowest first.
    Config(Vec<ChainId>),
    /// None of these: it leads to nothing.
    Other,
}

/// What a document is read as. It follows from where it was found, and not from what it says that it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// The target of a record, or what an index names: an index or a manifest.
    Manifest,
    /// What a manifest names as its config.
    Config,
}

impl Document {
    /// Reads what is in a blob.
    pub fn parse(bytes: &[u8], role: Role) -> Result<Self, Flaw> {
        if bytes.len() > DOCUMENT_MAX {
            return Err(Flaw::TooLarge(DOCUMENT_MAX));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| Flaw::NotJson)?;
        match role {
            Role::Manifest => index_or_manifest(text),
            Role::Config => config(text),
        }
    }

    /// How many blobs and layers it names.
    pub const fn parts(&self) -> usize {
        match self {
            Self::Index(manifests) => manifests.len(),
            Self::Manifest { layers, .. } => 1 + layers.len(),
            Self::Config(chains) => chains.len(),
            Self::Other => 0,
        }
    }
}

/// containerd refuses what is an index and a manifest at once.
fn index_or_manifest(text: &str) -> Result<Document, Flaw> {
    let [manifests, config, layers] = Members::of(text, ["manifests", "config", "layers"], Flaw::NotJson)?.0;
    match (manifests, config, layers) {
        (Some(manifests), None, None) => Ok(Document::Index(digests(manifests)?)),
        (Some(_), _, _) => Err(Flaw::Ambiguous),
        (None, Some(config), layers) => Ok(Document::Manifest {
            config: digest(config)?,
            layers: layers.map_or(Ok(Vec::new()), digests)?,
        }),
        (None, None, Some(_)) => Err(Flaw::Shape),
        (None, None, None) => Ok(Document::Other),
    }
}

fn config(text: &str) -> Result<Document, Flaw> {
    let [rootfs] = Members::of(text, ["rootfs"], Flaw::NotJson)?.0;
    let Some(rootfs) = rootfs else {
        return Ok(Document::Other);
    };
    let [diff_ids] = Members::of(rootfs, ["diff_ids"], Flaw::Shape)?.0;
    let diff_ids = diff_ids.map_or(Ok(Vec::new()), |list| elements(list, PARTS_MAX))?;
    let diff_ids = diff_ids.into_iter().map(json::digest).collect::<Result<Vec<_>, _>>()?;
    Ok(Document::Config(ChainId::of(&diff_ids)))
}

fn digests(descriptors: &str) -> Result<Vec<Digest>, Flaw> {
    elements(descriptors, PARTS_MAX)?.into_iter().map(digest).collect()
}

fn digest(descriptor: &str) -> Result<Digest, Flaw> {
    let [digest] = Members::of(descriptor, ["digest"], Flaw::Shape)?.0;
    json::digest(digest.ok_or(Flaw::Shape)?)
}

#[cfg(test)]
mod tests;
