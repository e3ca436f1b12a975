//! The images that every scripted node has when it starts.

use serde_json::json;

use super::content::{Blob, Described};
use crate::bed::Digest;

/// An image of one layer: what makes it different from others is its name.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    name: String,
}

/// What an image is made of.
pub(super) struct Parts {
    /// The record's name, and that of the CRI's identity record.
    pub(super) names: [String; 2],
    pub(super) manifest: Described,
    pub(super) blobs: Vec<(Digest, Blob)>,
    /// The chain ID of the layer.
    pub(super) snapshot: Digest,
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";
/// The bytes that a layer has in the content store.
const LAYER_BYTES: usize = 27 << 20;

impl Image {
    /// An image by the name of its record: `registry.example/shop/cart:1.4.2`.
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }

    /// What it is made of. The layer's content is not there, since nothing reads it; its size is.
    pub(super) fn parts(&self) -> Parts {
        let layer = Digest::of(format!("layer of {}", self.name).as_bytes());
        let diff = Digest::of(format!("root of {}", self.name).as_bytes());
        let config = json!({
            "os": "linux", "architecture": "amd64", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [diff]},
        });
        let config = config.to_string().into_bytes();
        let config_digest = Digest::of(&config);
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": config_digest, "size": config.len()},
            "layers": [{"mediaType": LAYER, "digest": layer, "size": LAYER_BYTES}],
        });
        let manifest = manifest.to_string().into_bytes();
        let manifest_digest = Digest::of(&manifest);
        let described = Described {
            media_type: MANIFEST.to_owned(),
            digest: manifest_digest.clone(),
            size: manifest.len(),
        };
        let keeps = |index: usize, digest: &Digest| {
            (format!("containerd.io/gc.ref.content.{index}"), digest.to_string())
        };
        let blobs = vec![
            (manifest_digest, Blob::of(manifest, [keeps(0, &config_digest), keeps(1, &layer)])),
            (
                config_digest.clone(),
                Blob::of(config, [("containerd.io/gc.ref.snapshot.overlayfs".to_owned(), diff.to_string())]),
            ),
            (layer, Blob { size: LAYER_BYTES, ..Blob::of(Vec::new(), []) }),
        ];
        Parts {
            names: [self.name.clone(), config_digest.to_string()],
            manifest: described,
            blobs,
            snapshot: diff,
        }
    }
}
