//! What one scripted node has now, and what containerd would do to it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use containerd_client::services::v1::{
    CreateImageRequest, DeleteImageRequest, Image, Info, ListImagesRequest, Resource, UpdateRequest,
    WriteContentRequest,
};
use containerd_client::types::Descriptor;
use tokio::sync::broadcast;
use tonic::Status;

use super::content::{Blob, Content, Described};
use crate::bed::Digest;

/// By labels that start so, one blob keeps another.
const KEEPS_BLOB: &str = "containerd.io/gc.ref.content";
/// By labels that start so, a blob keeps a snapshot.
const KEEPS_SNAPSHOT: &str = "containerd.io/gc.ref.snapshot.";

/// A scripted node.
pub(super) struct Node {
    state: Mutex<State>,
    /// The topics of events.
    pub(super) events: broadcast::Sender<String>,
}

/// Everything that it has.
pub(super) struct State {
    pub(super) content: Content,
    pub(super) leases: BTreeMap<String, Lease>,
}

/// What holds blobs from the collector.
pub(super) struct Lease {
    pub(super) labels: HashMap<String, String>,
    blobs: Vec<Arc<str>>,
}

impl Node {
    /// A node that has this content.
    pub(super) fn new(content: &Content) -> Self {
        let state = State { content: content.clone(), leases: BTreeMap::new() };
        Self { state: Mutex::new(state), events: broadcast::channel(4).0 }
    }

    /// What it has, for one call.
    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The record of a name.
    pub(super) fn image(&self, name: &str) -> Result<Image, Status> {
        let target = self.content.records.get(name).ok_or_else(|| missing("image", name))?;
        Ok(record(name, target))
    }

    /// The records that one of the filters selects, or all where there is none.
    pub(super) fn images(&self, request: &ListImagesRequest) -> Result<Vec<Image>, Status> {
        let selected: Option<BTreeSet<&str>> = match request.filters.len() {
            0 => None,
            _ => Some(request.filters.iter().map(|filter| target(filter)).collect::<Result<_, _>>()?),
        };
        let is_selected =
            |target: &Described| selected.as_ref().is_none_or(|all| all.contains(&*target.digest));
        let records = self.content.records.iter().filter(|(_, target)| is_selected(target));
        Ok(records.map(|(name, target)| record(name, target)).collect())
    }

    /// Makes a record.
    pub(super) fn create_image(&mut self, request: CreateImageRequest) -> Result<Image, Status> {
        let image = request.image.ok_or_else(|| Status::invalid_argument("no image"))?;
        if self.content.records.contains_key(image.name.as_str()) {
            return Err(Status::already_exists(image.name));
        }
        let target = image.target.clone().ok_or_else(|| Status::invalid_argument("no target"))?;
        let target = Described {
            media_type: target.media_type,
            digest: Digest::from(target.digest),
            size: target.size.try_into().unwrap_or_default(),
        };
        self.content.records.insert(image.name.as_str().into(), Arc::new(target));
        Ok(image)
    }

    /// Removes a record that still has the target which is expected.
    pub(super) fn delete_image(&mut self, request: &DeleteImageRequest) -> Result<(), Status> {
        let target =
            self.content.records.get(request.name.as_str()).ok_or_else(|| missing("image", &request.name))?;
        if request.target.as_ref().is_some_and(|expected| expected.digest != *target.digest) {
            return Err(missing("image with that target", &request.name));
        }
        self.content.records.remove(request.name.as_str());
        if request.sync {
            self.collect();
        }
        Ok(())
    }

    /// A blob.
    pub(super) fn blob(&self, digest: &str) -> Result<&Blob, Status> {
        self.content.blobs.get(digest).map(|blob| &**blob).ok_or_else(|| missing("content", digest))
    }

    /// What is known of a blob.
    pub(super) fn info(&self, digest: &str) -> Result<Info, Status> {
        let blob = self.blob(digest)?;
        let size = blob.size.try_into().unwrap_or(i64::MAX);
        Ok(Info { digest: digest.to_owned(), size, labels: blob.labels.clone(), ..Info::default() })
    }

    /// Changes labels of a blob: all, or those that the mask names.
    pub(super) fn update(&mut self, request: UpdateRequest) -> Result<Info, Status> {
        let info = request.info.ok_or_else(|| Status::invalid_argument("no info"))?;
        let mut blob = self.blob(&info.digest)?.clone();
        for path in request.update_mask.map(|mask| mask.paths).unwrap_or_default() {
            match path.strip_prefix("labels.") {
                None if path == "labels" => blob.labels.clone_from(&info.labels),
                None => return Err(Status::invalid_argument(path)),
                Some(key) => match info.labels.get(key).filter(|value| !value.is_empty()) {
                    Some(value) => drop(blob.labels.insert(key.to_owned(), value.clone())),
                    None => drop(blob.labels.remove(key)),
                },
            }
        }
        self.content.blobs.insert(info.digest.as_str().into(), Arc::new(blob));
        self.info(&info.digest)
    }

    /// Writes a blob in one go. The lease of the call holds it.
    pub(super) fn write(&mut self, request: WriteContentRequest, lease: Option<&str>) -> Result<(), Status> {
        let digest = Digest::of(&request.data);
        if *digest != request.expected {
            return Err(Status::failed_precondition("the content is not what its digest says"));
        }
        let digest: Arc<str> = Arc::from(&*digest);
        if let Some(lease) = lease {
            let lease = self.leases.get_mut(lease).ok_or_else(|| missing("lease", lease))?;
            lease.blobs.push(Arc::clone(&digest));
        }
        self.content.blobs.insert(digest, Arc::new(Blob::of(request.data, request.labels)));
        Ok(())
    }

    /// Makes a lease.
    pub(super) fn create_lease(&mut self, id: String, labels: HashMap<String, String>) -> Result<(), Status> {
        if self.leases.contains_key(&id) {
            return Err(Status::already_exists(id));
        }
        self.leases.insert(id, Lease { labels, blobs: Vec::new() });
        Ok(())
    }

    /// Lets a lease hold a piece of content, and what that leads to.
    pub(super) fn hold(&mut self, lease: &str, resource: &Resource) -> Result<(), Status> {
        if resource.r#type != "content" {
            return Err(Status::unimplemented(format!("a lease on a {}", resource.r#type)));
        }
        let lease = self.leases.get_mut(lease).ok_or_else(|| missing("lease", lease))?;
        lease.blobs.push(Arc::from(&*resource.id));
        Ok(())
    }

    /// Ends a lease, and collects if that is waited for.
    pub(super) fn delete_lease(&mut self, id: &str, collect: bool) -> Result<(), Status> {
        self.leases.remove(id).ok_or_else(|| missing("lease", id))?;
        if collect {
            self.collect();
        }
        Ok(())
    }

    /// Takes away whatever no record and no lease leads to.
    fn collect(&mut self) {
        let Content { records, blobs, snapshots } = &mut self.content;
        let mut due: Vec<Arc<str>> = records.values().map(|target| Arc::from(&*target.digest)).collect();
        due.extend(self.leases.values().flat_map(|lease| lease.blobs.iter().cloned()));
        let (mut kept, mut kept_snapshots) = (BTreeSet::new(), BTreeSet::new());
        while let Some(digest) = due.pop() {
            let Some(blob) = blobs.get(&digest).filter(|_| kept.insert(Arc::clone(&digest))) else {
                continue;
            };
            for (key, value) in &blob.labels {
                if key.starts_with(KEEPS_BLOB) {
                    due.push(Arc::from(value.as_str()));
                } else if key.starts_with(KEEPS_SNAPSHOT) {
                    kept_snapshots.insert(value.clone());
                }
            }
        }
        blobs.retain(|digest, _| kept.contains(digest));
        snapshots.retain(|chain, _| kept_snapshots.contains(&**chain));
    }
}

fn record(name: &str, target: &Described) -> Image {
    let target = Descriptor {
        media_type: target.media_type.clone(),
        digest: target.digest.to_string(),
        size: target.size.try_into().unwrap_or(i64::MAX),
        ..Descriptor::default()
    };
    Image { name: name.to_owned(), target: Some(target), ..Image::default() }
}

/// The target that a filter selects; none for a filter of a label, which no record here has.
fn target(filter: &str) -> Result<&str, Status> {
    match filter.strip_prefix("target.digest==") {
        Some(target) => Ok(target),
        None if filter.starts_with("labels.") => Ok(""),
        None => Err(Status::unimplemented(format!("the filter {filter}"))),
    }
}

pub(super) fn missing(what: &str, name: &str) -> Status {
    Status::not_found(format!("{what} {name}: not found"))
}
