//! What every scripted node holds at its start, once for all of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::images::Image;
use crate::bed::Digest;

/// A blob of the content store.
#[derive(Clone, Debug)]
pub(super) struct Blob {
    pub(super) data: Arc<[u8]>,
    pub(super) size: usize,
    pub(super) labels: HashMap<String, String>,
}

/// The descriptor of a record's target.
#[derive(Clone, Debug)]
pub(super) struct Described {
    pub(super) media_type: String,
    pub(super) digest: Digest,
    pub(super) size: usize,
}

/// Records, blobs and snapshots by their names.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    pub(super) records: BTreeMap<Arc<str>, Arc<Described>>,
    pub(super) blobs: BTreeMap<Arc<str>, Arc<Blob>>,
    pub(super) snapshots: BTreeMap<Arc<str>, u64>,
}

/// The bytes that the one snapshot of an image takes.
const SNAPSHOT_BYTES: u64 = 74 << 20;

impl Blob {
    /// A blob of these bytes.
    pub(super) fn of(data: Vec<u8>, labels: impl IntoIterator<Item = (String, String)>) -> Self {
        Self { size: data.len(), data: data.into(), labels: labels.into_iter().collect() }
    }
}

impl Content {
    /// The content of a node that has these images.
    pub(super) fn of(images: &[Image]) -> Self {
        let mut content = Self::default();
        for parts in images.iter().map(Image::parts) {
            let target = Arc::new(parts.manifest);
            content.records.extend(parts.names.map(|name| (name.into(), Arc::clone(&target))));
            content
                .blobs
                .extend(parts.blobs.into_iter().map(|(digest, blob)| (Arc::from(&*digest), Arc::new(blob))));
            content.snapshots.insert(Arc::from(&*parts.snapshot), SNAPSHOT_BYTES);
        }
        content
    }
}
