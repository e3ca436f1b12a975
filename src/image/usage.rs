//! Who uses an image. By identity, not by name: a tag can have moved since the container was started.

use std::collections::HashMap;
use std::sync::Arc;

use super::backlog::Extent;
use super::chain::ChainId;
use super::container::{Container, Evidence, Pod, State};
use super::content::Content;
use super::digest::{Digest, ImageId};
use super::inventory::Inventory;
use super::reference::Reference;
use super::unread::Unread;

/// The containers and pods of a node, found by what is known of their images.
#[derive(Debug, Default)]
pub struct Usage {
    by_digest: HashMap<Digest, Vec<Arc<Container>>>,
    by_chain: HashMap<ChainId, Vec<Rooted>>,
    /// The containers of `by_chain` again, by the image that their image name points at.
    by_name_on_chain: HashMap<ImageId, Vec<Arc<Container>>>,
    by_image: HashMap<ImageId, Vec<Arc<Container>>>,
    pods_by_digest: HashMap<Digest, Vec<Arc<Pod>>>,
    pods_by_image: HashMap<ImageId, Vec<Arc<Pod>>>,
    /// All of them.
    containers: Vec<Arc<Container>>,
    pods: Vec<Arc<Pod>>,
}

/// A container that is known by its root file system.
#[derive(Debug)]
struct Rooted {
    container: Arc<Container>,
    named: Option<ImageId>,
}

/// What a name stands for on a node.
struct Named {
    /// The image that the record of that name points at.
    image: Option<ImageId>,
    /// The digest that the name is or has in it.
    digest: Option<Digest>,
}

impl Usage {
    /// Sorts the containers and pods; their names are looked up in the records of `inventory`.
    pub(super) fn new(inventory: &Inventory, containers: Vec<Arc<Container>>, pods: Vec<Arc<Pod>>) -> Self {
        let mut usage = Self::default();
        for container in &containers {
            for evidence in container.evidence() {
                usage.add(inventory, container, evidence);
            }
        }
        for pod in &pods {
            for name in &pod.images {
                usage.add_pod(inventory, pod, name);
            }
        }
        Self { containers, pods, ..usage }
    }

    /// The same containers, with other pods.
    pub(super) fn with_pods(&self, inventory: &Inventory, pods: Vec<Arc<Pod>>) -> Self {
        Self::new(inventory, self.containers.clone(), pods)
    }

    /// The same pods, with other containers.
    pub(super) fn with_containers(&self, inventory: &Inventory, containers: Vec<Arc<Container>>) -> Self {
        Self::new(inventory, containers, self.pods.clone())
    }

    fn add_pod(&mut self, inventory: &Inventory, pod: &Arc<Pod>, name: &str) {
        let Named { image, digest } = Named::of(inventory, name);
        push(&mut self.pods_by_image, image, pod);
        push(&mut self.pods_by_digest, digest, pod);
    }

    fn add(&mut self, inventory: &Inventory, container: &Arc<Container>, evidence: &Evidence) {
        match evidence {
            Evidence::Config(digest) => push(&mut self.by_digest, Some(digest.clone()), container),
            Evidence::Chain { chain, name } => {
                let named = Named::of(inventory, name).into_image(inventory);
                push(&mut self.by_name_on_chain, named.clone(), container);
                self.by_chain
                    .entry(chain.clone())
                    .or_default()
                    .push(Rooted { container: Arc::clone(container), named });
            }
            Evidence::Name(name) => {
                let Named { image, digest } = Named::of(inventory, name);
                push(&mut self.by_image, image, container);
                push(&mut self.by_digest, digest, container);
            }
        }
    }

    /// The containers of which no image on the node accounts for all that they were made from. Any of them may use an image
    /// that can't be read.
    fn astray(&self, inventory: &Inventory) -> Result<Vec<Arc<Container>>, Unread> {
        inventory.require(Extent::All)?;
        let mut astray = Vec::new();
        for container in &self.containers {
            for evidence in container.evidence() {
                if !leads_somewhere(inventory, evidence)? {
                    astray.push(Arc::clone(container));
                }
            }
        }
        Ok(astray)
    }

    /// The containers that use an image, or may use it as far as it can't be read: running ones first, then by ID.
    pub fn containers(&self, inventory: &Inventory, image: &ImageId) -> Result<Vec<Arc<Container>>, Unread> {
        let content = inventory.content(image)?;
        let mut found: Vec<_> = self.by_image.get(image).into_iter().flatten().cloned().collect();
        for digest in digests_of(inventory, image, content) {
            found.extend(self.by_digest.get(digest).into_iter().flatten().cloned());
        }
        for root in content.configs.iter().filter_map(|config| config.root()) {
            for rooted in self.by_chain.get(root).into_iter().flatten() {
                if means(inventory, rooted.named.as_ref(), root, image)? {
                    found.push(Arc::clone(&rooted.container));
                }
            }
        }
        if content.hides_roots() {
            found.extend(self.by_name_on_chain.get(image).into_iter().flatten().cloned());
        }
        if content.illegible.is_some() {
            found.extend(self.astray(inventory)?);
        }
        found.sort_by(|a, b| (a.state == State::Stopped, &a.id).cmp(&(b.state == State::Stopped, &b.id)));
        found.dedup_by(|a, b| a.id == b.id);
        Ok(found)
    }

    /// The unfinished pods that name the image, by namespace and name.
    pub fn pods(&self, inventory: &Inventory, image: &ImageId) -> Result<Vec<Arc<Pod>>, Unread> {
        if self.pods_by_image.is_empty() && self.pods_by_digest.is_empty() {
            return Ok(Vec::new());
        }
        let content = inventory.content(image)?;
        let mut found: Vec<_> = self.pods_by_image.get(image).into_iter().flatten().cloned().collect();
        for digest in digests_of(inventory, image, content) {
            found.extend(self.pods_by_digest.get(digest).into_iter().flatten().cloned());
        }
        found.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
        found.dedup();
        Ok(found)
    }
}

/// The digests that stand for an image: its target and its configs and, where some of it is not there to be read, what the
/// records named by a digest say.
fn digests_of<'a>(
    inventory: &'a Inventory,
    image: &'a ImageId,
    content: &'a Content,
) -> impl Iterator<Item = &'a Digest> {
    let records = content.may_have_more().then(|| inventory.records_of(image));
    let from_names = records.into_iter().flatten().filter_map(|record| record.kind.digest());
    std::iter::once(image.digest())
        .chain(content.configs.iter().map(|config| &config.digest))
        .chain(from_names)
}

/// Of several images with one root file system, the one that the container's image name points at is meant, else all.
fn means(
    inventory: &Inventory,
    named: Option<&ImageId>,
    root: &ChainId,
    image: &ImageId,
) -> Result<bool, Unread> {
    match named {
        Some(named) if named != image => Ok(!inventory.content(named)?.has_root(root)),
        _ => Ok(true),
    }
}

/// Whether the image that the evidence tells is there.
fn leads_somewhere(inventory: &Inventory, evidence: &Evidence) -> Result<bool, Unread> {
    match evidence {
        Evidence::Config(digest) => is_known(inventory, digest),
        Evidence::Chain { chain, name } => {
            if inventory.rooted(chain).next().is_some() {
                return Ok(true);
            }
            let named = Named::of(inventory, name).into_image(inventory);
            named.map_or(Ok(false), |image| Ok(inventory.content(&image)?.hides_roots()))
        }
        Evidence::Name(name) => {
            let Named { image, digest } = Named::of(inventory, name);
            Ok(image.is_some() || digest.map_or(Ok(false), |digest| is_known(inventory, &digest))?)
        }
    }
}

/// Whether the digest stands for an image that is there.
fn is_known(inventory: &Inventory, digest: &Digest) -> Result<bool, Unread> {
    if inventory.has_image(&ImageId::new(digest.clone()))
        || inventory.with_config(digest.as_str()).next().is_some()
    {
        return Ok(true);
    }
    let told = inventory.record(digest.as_str());
    told.map_or(Ok(false), |record| inventory.is_config(digest, &record.target))
}

impl Named {
    fn of(inventory: &Inventory, name: &str) -> Self {
        let image = |name: &str| inventory.record(name).map(|record| record.target.clone());
        let exact = image(name);
        if let Ok(digest) = name.parse() {
            return Self { image: exact, digest: Some(digest) };
        }
        let Ok(reference) = Reference::normalize(name).map(Reference::or_latest) else {
            return Self { image: exact, digest: None };
        };
        let image = exact.or_else(|| image(&reference.to_string()));
        Self { image, digest: reference.digest().cloned() }
    }

    /// The one image that is meant: the record decides, and the digest where there is none.
    fn into_image(self, inventory: &Inventory) -> Option<ImageId> {
        let by_digest = || self.digest.map(ImageId::new).filter(|image| inventory.has_image(image));
        self.image.or_else(by_digest)
    }
}

fn push<K: std::hash::Hash + Eq, V>(map: &mut HashMap<K, Vec<Arc<V>>>, key: Option<K>, value: &Arc<V>) {
    if let Some(key) = key {
        map.entry(key).or_default().push(Arc::clone(value));
    }
}
