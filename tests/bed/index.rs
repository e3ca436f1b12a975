//! Images of several platforms.

use serde_json::{Value, json};

use super::Image;
use super::archive::{Archive, Content, INDEX, Imported, Manifest};

/// A recipe for an index: one name, a manifest per platform, perhaps attestations.
#[derive(Clone, Debug)]
pub(crate) struct Index {
    name: String,
    images: Vec<Image>,
    attested: bool,
}

impl Index {
    /// An empty index with the name of its record.
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), images: Vec::new(), attested: false }
    }

    /// Adds the image of one platform. Its own name is not used.
    pub(crate) fn image(mut self, image: Image) -> Self {
        self.images.push(image);
        self
    }

    /// Adds an attestation manifest for each image, as BuildKit does.
    pub(crate) fn attested(mut self) -> Self {
        self.attested = true;
        self
    }
}

impl Content for Index {
    fn add_to(&self, archive: &mut Archive) -> Imported {
        let mut host = None;
        let mut descriptors = Vec::new();
        let mut manifests = Vec::new();
        for image in &self.images {
            let (mut descriptor, manifest) = image.write(archive);
            descriptor["platform"] = image.platform();
            descriptors.push(descriptor);
            if image.is_for_host() {
                host = Some(manifest.clone());
            }
            manifests.push(manifest);
        }
        if self.attested {
            let subjects: Vec<String> =
                manifests.iter().map(|manifest| manifest.digest.to_string()).collect();
            for subject in subjects {
                let (descriptor, manifest) = attestation(archive, &subject);
                descriptors.push(descriptor);
                manifests.push(manifest);
            }
        }
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": descriptors});
        let descriptor = archive.put(INDEX, index.to_string().into_bytes());
        archive.name(&self.name, descriptor, host, manifests)
    }
}

/// See "Image attestation storage" in BuildKit's documentation.
fn attestation(archive: &mut Archive, subject: &str) -> (Value, Manifest) {
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v0.1",
        "predicateType": "https://slsa.dev/provenance/v0.2",
        "subject": [{"name": subject}],
    });
    let statement = archive.put("application/vnd.in-toto+json", statement.to_string().into_bytes());
    let diff_ids = vec![super::Digest::from(statement["digest"].as_str().expect("a digest").to_owned())];
    let configuration = json!({
        "os": "unknown",
        "architecture": "unknown",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
    });
    let (mut descriptor, manifest) = archive.manifest(configuration, vec![statement], diff_ids);
    descriptor["platform"] = json!({"os": "unknown", "architecture": "unknown"});
    descriptor["annotations"] = json!({
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": subject,
    });
    (descriptor, manifest)
}
