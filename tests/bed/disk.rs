//! What a containerd has on the disk, with sizes.

use std::collections::BTreeMap;

use containerd_client::services::v1::DeleteContentRequest;
use containerd_client::services::v1::snapshots::{ListSnapshotsRequest, UsageRequest};

use super::containerd::{Containerd, NAMESPACE, in_namespace};
use super::{Digest, SnapshotKind, store::SNAPSHOTTER};

/// Every piece of content and every layer, each with its bytes. What containers write is not in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Disk {
    /// Content by digest.
    pub content: BTreeMap<Digest, u64>,
    /// Unpacked layers by chain ID.
    pub layers: BTreeMap<String, u64>,
}

impl Disk {
    /// All bytes together.
    pub(crate) fn bytes(&self) -> u64 {
        self.content.values().chain(self.layers.values()).sum()
    }

    /// Every digest and chain ID.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        let content = self.content.keys().map(|digest| &**digest);
        content.chain(self.layers.keys().map(String::as_str))
    }
}

impl Containerd {
    /// What is on the disk in the CRI's namespace and the usual snapshotter.
    pub(crate) async fn disk(&self) -> Disk {
        let content = self.content().await;
        Disk {
            content: content.into_iter().map(|(digest, blob)| (digest, blob.size)).collect(),
            layers: self.layers(SNAPSHOTTER).await,
        }
    }

    /// The unpacked layers of a snapshotter by chain ID, with their bytes.
    pub(crate) async fn layers(&self, snapshotter: &str) -> BTreeMap<String, u64> {
        let mut snapshots = self.client().snapshots();
        let request = ListSnapshotsRequest { snapshotter: snapshotter.to_owned(), filters: Vec::new() };
        let listing = snapshots.list(in_namespace(NAMESPACE, request)).await;
        let mut listing = listing.expect("containerd lists snapshots").into_inner();
        let mut keys = Vec::new();
        while let Some(page) = listing.message().await.expect("containerd lists snapshots") {
            let committed = |kind| SnapshotKind::from(kind) == SnapshotKind::Committed;
            let layers = page.info.into_iter().filter(|info| committed(info.kind()));
            keys.extend(layers.map(|info| info.name));
        }
        let mut layers = BTreeMap::new();
        for key in keys {
            let request = UsageRequest { snapshotter: snapshotter.to_owned(), key: key.clone() };
            let usage = snapshots.usage(in_namespace(NAMESPACE, request)).await;
            let size = usage.expect("containerd knows its snapshots").into_inner().size;
            layers.insert(key, size.try_into().expect("a size is not negative"));
        }
        layers
    }

    /// Removes a piece of content, whatever refers to it. What only it kept is collected.
    pub(crate) async fn remove_content(&self, digest: &Digest) {
        let request = DeleteContentRequest { digest: digest.to_string() };
        let mut content = self.client().content();
        let removed = content.delete(in_namespace(NAMESPACE, request)).await;
        removed.expect("containerd removes content");
        self.collect_garbage().await;
    }
}
