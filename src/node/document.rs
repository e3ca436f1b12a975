//! Manifests, indexes and configs: images are input from strangers, so what is read is little and bounded.

use serde::Deserialize;

use crate::image::{ChainId, Digest};

/// The largest manifest, index or config that is read, in bytes. The distribution project refuses manifests past 4 MiB.
pub const DOCUMENT_MAX: usize = 4 << 20;
/// The most descriptors that one document may hold.
const DESCRIPTORS_MAX: usize = 10_000;

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
    /// None of these, or too much of it.
    Other,
}

#[derive(Deserialize)]
struct Raw {
    manifests: Option<Vec<RawBlob>>,
    config: Option<serde_json::Value>,
    layers: Option<Vec<RawBlob>>,
    rootfs: Option<RawRootfs>,
}

#[derive(Deserialize)]
struct RawBlob {
    digest: String,
}

#[derive(Deserialize)]
struct RawRootfs {
    #[serde(default)]
    diff_ids: Vec<String>,
}

impl Document {
    /// Reads what is in a blob. A document that could be an index and a manifest at once is neither.
    pub fn parse(bytes: &[u8]) -> Self {
        let Ok(raw) = serde_json::from_slice::<Raw>(bytes) else {
            return Self::Other;
        };
        let read = match (raw.manifests, raw.layers, raw.rootfs) {
            (Some(manifests), None, None) if raw.config.is_none() => digests(manifests).map(Self::Index),
            (None, layers, None) => {
                raw.config.and_then(|config| manifest(config, layers.unwrap_or_default()))
            }
            (None, None, Some(rootfs)) => chains(&rootfs.diff_ids).map(Self::Config),
            _ => None,
        };
        read.unwrap_or(Self::Other)
    }

    /// About how many bytes it takes in memory.
    pub(super) fn weight(&self) -> usize {
        const DIGEST: usize = 100;
        let digests = match self {
            Self::Index(manifests) => manifests.len(),
            Self::Manifest { layers, .. } => 1 + layers.len(),
            Self::Config(chains) => chains.len(),
            Self::Other => 0,
        };
        DIGEST * (1 + digests)
    }
}

fn manifest(config: serde_json::Value, layers: Vec<RawBlob>) -> Option<Document> {
    let config = serde_json::from_value::<RawBlob>(config).ok()?.digest.parse().ok()?;
    Some(Document::Manifest { config, layers: digests(layers)? })
}

fn chains(diff_ids: &[String]) -> Option<Vec<ChainId>> {
    if diff_ids.len() > DESCRIPTORS_MAX {
        return None;
    }
    let diff_ids: Vec<Digest> = diff_ids.iter().map(|digest| digest.parse().ok()).collect::<Option<_>>()?;
    Some(ChainId::of(&diff_ids))
}

fn digests(blobs: Vec<RawBlob>) -> Option<Vec<Digest>> {
    if blobs.len() > DESCRIPTORS_MAX {
        return None;
    }
    blobs.into_iter().map(|blob| blob.digest.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_told_apart_by_what_is_in_them() {
        let digest = |c: char| format!("sha256:{}", c.to_string().repeat(64));
        let blob = |c: char| digest(c).parse::<Digest>().unwrap();
        let raw = |c: char| format!(r#"{{"mediaType":"x","digest":"{}","size":1}}"#, digest(c));
        let (a, b, c) = (raw('a'), raw('b'), raw('c'));
        let rows = [
            (format!(r#"{{"manifests":[{a},{b}]}}"#), Document::Index(vec![blob('a'), blob('b')])),
            (
                format!(r#"{{"config":{a},"layers":[{b},{c}]}}"#),
                Document::Manifest { config: blob('a'), layers: vec![blob('b'), blob('c')] },
            ),
            (format!(r#"{{"config":{a}}}"#), Document::Manifest { config: blob('a'), layers: vec![] }),
            (
                // In an image config, `config` is the runtime configuration.
                format!(r#"{{"config":{{"Cmd":["sh"]}},"rootfs":{{"diff_ids":["{}"]}}}}"#, digest('a')),
                Document::Config(vec![ChainId::new(digest('a').parse().unwrap())]),
            ),
            (format!(r#"{{"manifests":[{a}],"config":{b},"layers":[]}}"#), Document::Other),
            (r#"{"manifests":[{"digest":"sha256:short"}]}"#.to_owned(), Document::Other),
            (r#"{"hello":1}"#.to_owned(), Document::Other),
            ("not json".to_owned(), Document::Other),
        ];
        for (text, document) in rows {
            assert_eq!(Document::parse(text.as_bytes()), document, "{text}");
        }
    }

    #[test]
    fn a_million_layers_are_not_read() {
        let layer = format!(r#"{{"digest":"sha256:{}"}}"#, "a".repeat(64));
        let layers = vec![layer; DESCRIPTORS_MAX + 1].join(",");
        let text = format!(r#"{{"config":{{"digest":"sha256:{}"}},"layers":[{layers}]}}"#, "b".repeat(64));
        assert_eq!(Document::parse(text.as_bytes()), Document::Other);
    }
}
