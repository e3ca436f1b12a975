//! OCI archives, as `ctr images import` reads them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use serde_json::{Value, json};
use tar::{Builder, Header};

use super::Digest;

pub(super) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(super) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIGURATION: &str = "application/vnd.oci.image.config.v1+json";

/// What can be put into an archive under a name of its own.
pub(crate) trait Content {
    /// Writes the content and names it.
    fn add_to(&self, archive: &mut Archive) -> Imported;
}

/// The digests of what was imported under one name.
#[derive(Clone, Debug)]
pub(crate) struct Imported {
    /// The name of the record.
    pub name: String,
    /// What the record points at: a manifest or an index.
    pub target: Digest,
    /// The manifest of the machine's platform, where there is one. Its layers are unpacked.
    pub host: Option<Manifest>,
    /// All manifests: those of the platforms, then those of attestations.
    pub manifests: Vec<Manifest>,
}

impl Imported {
    /// The configuration of the machine's platform: the CRI's image ID.
    pub(crate) fn config(&self) -> &Digest {
        &self.host().config
    }

    /// The chain IDs of the machine's platform: the keys of its snapshots, base first.
    pub(crate) fn chain_ids(&self) -> Vec<Digest> {
        self.host().chain_ids()
    }

    /// Every digest that the store holds for it.
    pub(crate) fn content(&self) -> Vec<Digest> {
        let mut content = vec![self.target.clone()];
        for manifest in &self.manifests {
            content.extend([manifest.digest.clone(), manifest.config.clone()]);
            content.extend_from_slice(&manifest.layers);
        }
        content.sort();
        content.dedup();
        content
    }

    fn host(&self) -> &Manifest {
        self.host.as_ref().expect("the image has a manifest for this machine")
    }
}

/// The digests of one manifest.
#[derive(Clone, Debug)]
pub(crate) struct Manifest {
    /// The manifest itself.
    pub digest: Digest,
    /// Its configuration.
    pub config: Digest,
    /// Its layers as they are stored, base first.
    pub layers: Vec<Digest>,
    /// The layers without compression, base first.
    pub diff_ids: Vec<Digest>,
}

impl Manifest {
    /// The chain ID of every layer, base first.
    pub(crate) fn chain_ids(&self) -> Vec<Digest> {
        (1..=self.diff_ids.len()).filter_map(|end| Digest::chain(&self.diff_ids[..end])).collect()
    }
}

/// An archive in the making.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    blobs: BTreeMap<Digest, Vec<u8>>,
    names: Vec<Value>,
}

impl Archive {
    /// Adds a blob and returns its descriptor.
    pub(super) fn put(&mut self, media_type: &str, content: Vec<u8>) -> Value {
        let digest = Digest::of(&content);
        let descriptor = json!({"mediaType": media_type, "digest": digest, "size": content.len()});
        self.blobs.insert(digest, content);
        descriptor
    }

    /// Adds a manifest and its configuration. The layers are there already, given by their descriptors.
    pub(super) fn manifest(
        &mut self,
        config: Value,
        layers: Vec<Value>,
        diff_ids: Vec<Digest>,
    ) -> (Value, Manifest) {
        let config = self.put(CONFIGURATION, config.to_string().into_bytes());
        let manifest = json!({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers});
        let descriptor = self.put(MANIFEST, manifest.to_string().into_bytes());
        let manifest = Manifest {
            digest: digest_of(&descriptor),
            config: digest_of(&config),
            layers: layers.iter().map(digest_of).collect(),
            diff_ids,
        };
        (descriptor, manifest)
    }

    /// Gives a name to what a descriptor points at.
    pub(super) fn name(
        &mut self,
        name: &str,
        mut descriptor: Value,
        host: Option<Manifest>,
        manifests: Vec<Manifest>,
    ) -> Imported {
        let target = digest_of(&descriptor);
        descriptor["annotations"] = json!({"io.containerd.image.name": name});
        self.names.push(descriptor);
        Imported { name: name.to_owned(), target, host, manifests }
    }

    /// Writes an OCI image layout as a tar.
    pub(super) fn save(&self, path: &Path) {
        let file = File::create(path).expect("the archive can be made");
        let mut tar = Builder::new(BufWriter::new(file));
        let mut append = |path: &str, content: &[u8]| {
            let mut header = Header::new_ustar();
            header.set_mode(0o644);
            header.set_size(content.len() as u64);
            tar.append_data(&mut header, path, content).expect("the archive can be written");
        };
        append("oci-layout", json!({"imageLayoutVersion": "1.0.0"}).to_string().as_bytes());
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": self.names});
        append("index.json", index.to_string().as_bytes());
        for (digest, content) in &self.blobs {
            append(&format!("blobs/sha256/{}", digest.hex()), content);
        }
        tar.into_inner().expect("the archive can be written");
    }
}

fn digest_of(descriptor: &Value) -> Digest {
    Digest::from(descriptor["digest"].as_str().expect("a descriptor has a digest").to_owned())
}
