//! What is in containerd's store, read from containerd itself.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};

use containerd_client::services::v1::snapshots::{ListSnapshotsRequest, PrepareSnapshotRequest};
use containerd_client::services::v1::{
    AddResourceRequest, CreateImageRequest, CreateRequest, DeleteImageRequest, DeleteRequest,
    GetImageRequest, Image as ImageMessage, ListContentRequest, ListImagesRequest, ListRequest, Resource,
    UpdateImageRequest,
};
use containerd_client::types::Descriptor;
use prost_types::FieldMask;

use super::containerd::{Containerd, MAX_MESSAGE, NAMESPACE, in_namespace, target_of};
use super::{Digest, eventually};

/// The snapshotter of every node of the bed.
pub(super) const SNAPSHOTTER: &str = "overlayfs";

/// An image record; its name is the key of the map that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    /// What it points at.
    pub target: Digest,
    /// Its labels.
    pub labels: HashMap<String, String>,
}

/// A piece of content; its digest is the key of the map that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Blob {
    /// In bytes.
    pub size: u64,
    /// Its labels, those of the garbage collector among them.
    pub labels: HashMap<String, String>,
}

/// A snapshot; its key is the key of the map that it is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// The key of the snapshot below, if there is one.
    pub parent: Option<String>,
    /// Whether it is a layer or a container's.
    pub kind: SnapshotKind,
}

/// What a snapshot is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SnapshotKind {
    /// Read-only access to a layer.
    View,
    /// The root file system of a container, or a layer that is being unpacked.
    Active,
    /// A layer.
    Committed,
}

impl Containerd {
    /// All image records by name.
    pub(crate) async fn records(&self) -> BTreeMap<String, Record> {
        let request = in_namespace(NAMESPACE, ListImagesRequest::default());
        let mut images = self.client().images().max_decoding_message_size(MAX_MESSAGE);
        let images = images.list(request).await.expect("containerd lists images").into_inner().images;
        images
            .into_iter()
            .map(|image| {
                let target = target_of(&image);
                (image.name, Record { target, labels: image.labels })
            })
            .collect()
    }

    /// One image record.
    pub(crate) async fn record(&self, name: &str) -> Option<Record> {
        self.records().await.remove(name)
    }

    /// Gives an image one more name and waits until the CRI knows it, as for a second tag that was pulled.
    ///
    /// The name must be a canonical reference. For `<repository>@<digest>` it is what a pull adds to a tag.
    pub(crate) async fn tag(&self, from: &str, to: &str) {
        self.put_record(to, from).await;
        eventually("the CRI to know the new name", async || {
            let image = self.cri_image(to).await?;
            image.repo_tags.iter().chain(&image.repo_digests).any(|name| name == to).then_some(())
        })
        .await;
    }

    /// Makes a record of any name, also one that is no reference, with the target of another record.
    pub(crate) async fn put_record(&self, name: &str, like: &str) {
        self.try_to_put_record(name, like).await.expect("containerd makes the record");
    }

    /// The same where the CRI plugin may make it too, as it does when an image gets its first name.
    pub(crate) async fn ensure_record(&self, name: &str, like: &str) {
        match self.try_to_put_record(name, like).await {
            Err(status) if status.code() == tonic::Code::AlreadyExists => {}
            made => made.expect("containerd makes the record"),
        }
    }

    async fn try_to_put_record(&self, name: &str, like: &str) -> Result<(), tonic::Status> {
        let target = self.descriptor(like).await;
        let image = ImageMessage { name: name.to_owned(), target: Some(target), ..ImageMessage::default() };
        let request = CreateImageRequest { image: Some(image), source_date_epoch: None };
        self.client().images().create(in_namespace(NAMESPACE, request)).await.map(drop)
    }

    /// Makes a record point at the target of another record, as a pull of a tag that moved does.
    pub(crate) async fn move_record(&self, name: &str, like: &str) {
        let target = Some(self.descriptor(like).await);
        let image = ImageMessage { name: name.to_owned(), target, ..ImageMessage::default() };
        self.update_record(image, "target").await;
    }

    /// Sets a label of a record.
    pub(crate) async fn label(&self, name: &str, key: &str, value: &str) {
        // containerd 2.3 ends with a nil dereference on an update without a target, also where only labels change.
        let target = Some(self.descriptor(name).await);
        let labels = HashMap::from([(key.to_owned(), value.to_owned())]);
        let image = ImageMessage { name: name.to_owned(), target, labels, ..ImageMessage::default() };
        self.update_record(image, &format!("labels.{key}")).await;
    }

    /// Removes a record and, before it returns, collects the garbage.
    pub(crate) async fn delete_record(&self, name: &str) {
        let request =
            DeleteImageRequest { name: name.to_owned(), sync: true, ..DeleteImageRequest::default() };
        self.client()
            .images()
            .delete(in_namespace(NAMESPACE, request))
            .await
            .expect("containerd removes the record");
    }

    /// All content by digest.
    pub(crate) async fn content(&self) -> BTreeMap<Digest, Blob> {
        let request = in_namespace(NAMESPACE, ListContentRequest::default());
        let mut stream =
            self.client().content().list(request).await.expect("containerd lists content").into_inner();
        let mut content = BTreeMap::new();
        while let Some(page) = stream.message().await.expect("containerd lists content") {
            content.extend(page.info.into_iter().map(|info| {
                let size = info.size.try_into().expect("a size is not negative");
                (Digest::from(info.digest), Blob { size, labels: info.labels })
            }));
        }
        content
    }

    /// All snapshots by key. The key of a layer is its chain ID.
    pub(crate) async fn snapshots(&self) -> BTreeMap<String, Snapshot> {
        let request = ListSnapshotsRequest { snapshotter: SNAPSHOTTER.to_owned(), filters: Vec::new() };
        let mut snapshots = self.client().snapshots();
        let answer =
            snapshots.list(in_namespace(NAMESPACE, request)).await.expect("containerd lists snapshots");
        let mut stream = answer.into_inner();
        let mut snapshots = BTreeMap::new();
        while let Some(page) = stream.message().await.expect("containerd lists snapshots") {
            snapshots.extend(page.info.into_iter().map(|info| {
                let kind = SnapshotKind::from(info.kind());
                let parent = Some(info.parent).filter(|parent| !parent.is_empty());
                (info.name, Snapshot { parent, kind })
            }));
        }
        snapshots
    }

    /// Makes a snapshot to be written to, as for a container that is being made: held by a lease, and by nothing else yet.
    pub(crate) async fn prepare_snapshot(&self, key: &str, parent: &str) {
        let lease = making(key);
        self.make_lease(&lease).await;
        let prepare = PrepareSnapshotRequest {
            snapshotter: SNAPSHOTTER.to_owned(),
            key: key.to_owned(),
            parent: parent.to_string(),
            ..PrepareSnapshotRequest::default()
        };
        let mut request = in_namespace(NAMESPACE, prepare);
        request.metadata_mut().insert("containerd-lease", lease.parse().expect("a header"));
        self.client().snapshots().prepare(request).await.expect("containerd prepares a snapshot");
    }

    /// Removes a snapshot, and the lease that holds it where [one does](Self::prepare_snapshot).
    pub(crate) async fn remove_snapshot(&self, key: &str) {
        self.ctr(["snapshots", "remove", key]).await;
        if self.leases().await.contains_key(&making(key)) {
            self.ctr(["leases", "delete", &making(key)]).await;
        }
    }

    /// All leases: ID and labels.
    pub(crate) async fn leases(&self) -> BTreeMap<String, HashMap<String, String>> {
        let request = in_namespace(NAMESPACE, ListRequest::default());
        let leases =
            self.client().leases().list(request).await.expect("containerd lists leases").into_inner().leases;
        leases.into_iter().map(|lease| (lease.id, lease.labels)).collect()
    }

    /// Holds a piece of content and what it refers to by a lease of that ID.
    pub(crate) async fn hold(&self, lease: &str, digest: &Digest) {
        self.make_lease(lease).await;
        let resource = Resource { id: digest.to_string(), r#type: "content".to_owned() };
        let add = AddResourceRequest { id: lease.to_owned(), resource: Some(resource) };
        let added = self.client().leases().add_resource(in_namespace(NAMESPACE, add)).await;
        added.expect("containerd adds to a lease");
    }

    async fn make_lease(&self, id: &str) {
        let create = CreateRequest { id: id.to_owned(), ..CreateRequest::default() };
        let made = self.client().leases().create(in_namespace(NAMESPACE, create)).await;
        made.expect("containerd makes a lease");
    }

    /// Runs containerd's garbage collection and waits for its end. Several may do so at a time.
    pub(crate) async fn collect_garbage(&self) {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let id = format!("bed-collect-garbage-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        self.make_lease(&id).await;
        let delete = DeleteRequest { id, sync: true };
        self.client()
            .leases()
            .delete(in_namespace(NAMESPACE, delete))
            .await
            .expect("containerd removes a lease");
    }

    async fn descriptor(&self, name: &str) -> Descriptor {
        let request = GetImageRequest { name: name.to_owned() };
        let image = self.client().images().get(in_namespace(NAMESPACE, request)).await;
        image
            .expect("containerd has the record")
            .into_inner()
            .image
            .and_then(|image| image.target)
            .expect("a target")
    }

    async fn update_record(&self, image: ImageMessage, field: &str) {
        let request = UpdateImageRequest {
            image: Some(image),
            update_mask: Some(FieldMask { paths: vec![field.to_owned()] }),
            source_date_epoch: None,
        };
        self.client()
            .images()
            .update(in_namespace(NAMESPACE, request))
            .await
            .expect("containerd changes the record");
    }
}

impl From<containerd_client::services::v1::snapshots::Kind> for SnapshotKind {
    fn from(kind: containerd_client::services::v1::snapshots::Kind) -> Self {
        use containerd_client::services::v1::snapshots::Kind;
        match kind {
            Kind::View => Self::View,
            Kind::Active => Self::Active,
            Kind::Committed => Self::Committed,
            Kind::Unknown => panic!("containerd knows the kind of its snapshots"),
        }
    }
}

/// The lease under which a snapshot is prepared. IDs of leases have no colons.
fn making(key: &str) -> String {
    format!("making-{}", key.replace(':', "-"))
}
