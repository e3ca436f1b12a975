//! What an image is made of.

use std::io::Write;
use std::{fs, sync::LazyLock};

use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tar::{Builder, EntryType, Header};

use super::Digest;
use super::archive::{Archive, Content, Imported, Manifest};

/// The platform of the machine in the words of the OCI image specification.
pub(crate) const HOST: &str = match std::env::consts::ARCH.as_bytes() {
    b"aarch64" => "arm64",
    _ => "amd64",
};

/// How the layers of an image are stored. It changes their digests and not their diff IDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    /// Plain tar.
    None,
    /// tar.gz.
    Gzip,
}

/// A recipe for an image of one platform. What is equal in two recipes is shared in the store.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    name: String,
    architecture: String,
    compression: Compression,
    labels: Vec<(String, String)>,
    volumes: Vec<String>,
    layers: Vec<Layer>,
}

#[derive(Clone, Debug)]
enum Layer {
    /// A static busybox as `/bin/busybox`.
    Busybox,
    /// One small file with this content.
    File(String),
}

impl Image {
    /// An image that can run: its first layer is a static busybox, and it sleeps for an hour unless told otherwise.
    ///
    /// The name is the record's, so it must be canonical: `docker.io/library/app:v1`.
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self { layers: vec![Layer::Busybox], ..Self::bare(name) }
    }

    /// An image without layers. With some it still has nothing to run.
    pub(crate) fn bare(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            architecture: HOST.into(),
            compression: Compression::None,
            labels: Vec::new(),
            volumes: Vec::new(),
            layers: Vec::new(),
        }
    }

    /// `count` small images for measurements, `<repository>-<number>:v1`, each with `layers` layers of its own.
    pub(crate) fn series(repository: &str, count: usize, layers: usize) -> Vec<Self> {
        (0..count)
            .map(|number| {
                let image = Self::bare(format!("{repository}-{number}:v1"));
                (0..layers).fold(image, |image, layer| image.layer(format!("{repository} {number} {layer}")))
            })
            .collect()
    }

    /// Adds a layer of one file. Equal content after equal layers is the same layer, and the same snapshot.
    pub(crate) fn layer(mut self, content: impl Into<String>) -> Self {
        self.layers.push(Layer::File(content.into()));
        self
    }

    /// Adds a label to the image's configuration. (Labels of the record: `Node::label`.)
    pub(crate) fn label(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.labels.push((key.into(), value.into()));
        self
    }

    /// Declares a volume at a path: the CRI copies what the image has there for each container before it lists it.
    pub(crate) fn volume(mut self, path: impl Into<String>) -> Self {
        self.volumes.push(path.into());
        self
    }

    /// Stores the layers in another way.
    pub(crate) fn compression(mut self, compression: Compression) -> Self {
        self.compression = compression;
        self
    }

    /// Makes it an image for another architecture.
    pub(crate) fn architecture(mut self, architecture: impl Into<String>) -> Self {
        self.architecture = architecture.into();
        self
    }

    /// The digests that it has when it is imported.
    pub(crate) fn digests(&self) -> Imported {
        self.add_to(&mut Archive::default())
    }

    /// The platform as an index names it.
    pub(super) fn platform(&self) -> Value {
        json!({"os": "linux", "architecture": self.architecture})
    }

    /// Whether the machine can run it.
    pub(super) fn is_for_host(&self) -> bool {
        self.architecture == HOST
    }

    /// Writes manifest, configuration and layers. The manifest's descriptor is returned with them.
    pub(super) fn write(&self, archive: &mut Archive) -> (Value, Manifest) {
        let mut layers = Vec::new();
        let mut diff_ids = Vec::new();
        for layer in &self.layers {
            let tar = layer.tar();
            diff_ids.push(Digest::of(&tar));
            layers.push(match self.compression {
                Compression::None => archive.put("application/vnd.oci.image.layer.v1.tar", tar),
                Compression::Gzip => archive.put("application/vnd.oci.image.layer.v1.tar+gzip", gzip(&tar)),
            });
        }
        let labels: serde_json::Map<_, _> =
            self.labels.iter().map(|(key, value)| (key.clone(), json!(value))).collect();
        let volumes: serde_json::Map<_, _> =
            self.volumes.iter().map(|path| (path.clone(), json!({}))).collect();
        let config = json!({
            "Entrypoint": ["/bin/busybox"], "Cmd": ["sleep", "3600"], "Labels": labels, "Volumes": volumes,
        });
        let configuration = json!({
            "os": "linux",
            "architecture": self.architecture,
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": diff_ids},
        });
        archive.manifest(configuration, layers, diff_ids)
    }
}

impl Content for Image {
    fn add_to(&self, archive: &mut Archive) -> Imported {
        let (descriptor, manifest) = self.write(archive);
        let host = self.is_for_host().then(|| manifest.clone());
        archive.name(&self.name, descriptor, host, vec![manifest])
    }
}

impl Layer {
    fn tar(&self) -> Vec<u8> {
        match self {
            Self::Busybox => BUSYBOX.clone(),
            Self::File(content) => {
                let mut tar = Builder::new(Vec::new());
                let name = format!("file-{}", &Digest::of(content.as_bytes()).hex()[..12]);
                append(&mut tar, &name, EntryType::Regular, content.as_bytes());
                tar.into_inner().expect("memory can be written")
            }
        }
    }
}

static BUSYBOX: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let program =
        fs::read("/bin/busybox").expect("Debian's busybox-static is installed: run `make tools` first");
    let mut tar = Builder::new(Vec::new());
    append(&mut tar, "bin/", EntryType::Directory, &[]);
    append(&mut tar, "bin/busybox", EntryType::Regular, &program);
    tar.into_inner().expect("memory can be written")
});

fn append(tar: &mut Builder<Vec<u8>>, path: &str, kind: EntryType, content: &[u8]) {
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(0o755);
    header.set_size(content.len() as u64);
    tar.append_data(&mut header, path, content).expect("memory can be written");
}

fn gzip(tar: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(tar).expect("memory can be written");
    encoder.finish().expect("memory can be written")
}
