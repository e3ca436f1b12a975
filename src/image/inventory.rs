//! The snapshot of a node that decisions are made on.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::backlog::{Backlog, Scope};
use super::chain::ChainId;
use super::container::{Container, Pod};
use super::content::{Content, Unread};
use super::digest::{Digest, ImageId, from};
use super::known::Known;
use super::record::{Kind, Record, dangling_name};
use super::usage::Usage;

/// What is on a node: image records, the content that they lead to as far as it was read, and who uses what.
///
/// Records are in the byte order of their names, whatever order the store lists them in: *first* means least in that
/// order.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    records: BTreeMap<Arc<str>, Arc<Record>>,
    images: BTreeMap<ImageId, BTreeMap<Arc<str>, Arc<Record>>>,
    children: BTreeMap<ImageId, BTreeSet<Arc<str>>>,
    known: Arc<Known>,
    backlog: Backlog,
    usage: Arc<Usage>,
}

impl Inventory {
    /// The snapshot of these records, containers and pods, of which no content was read yet.
    pub fn new(
        records: impl IntoIterator<Item = Record>,
        containers: Vec<Container>,
        pods: Vec<Pod>,
    ) -> Self {
        let mut inventory = Self::default();
        for record in records {
            inventory.insert(Arc::new(record));
        }
        inventory.observe(containers, pods);
        inventory
    }

    /// Replaces what is known of containers and pods. Names are looked up in the records of this moment.
    pub fn observe(&mut self, containers: Vec<Container>, pods: Vec<Pod>) {
        self.usage = Arc::new(Usage::new(self, containers, pods));
    }

    /// Adds the content of an image that was read.
    pub fn learn(&mut self, image: ImageId, content: Arc<Content>) {
        self.backlog.remove(&image);
        Arc::make_mut(&mut self.known).learn(image, content);
    }

    /// Every record, by name.
    pub fn records(&self) -> impl Iterator<Item = &Arc<Record>> {
        self.records.values()
    }

    /// The record of that very name.
    pub fn record(&self, name: &str) -> Option<&Arc<Record>> {
        self.records.get(name)
    }

    /// Every image that has a record.
    pub fn images(&self) -> impl Iterator<Item = &ImageId> {
        self.images.keys()
    }

    /// Whether the image has a record.
    pub fn has_image(&self, image: &ImageId) -> bool {
        self.images.contains_key(image)
    }

    /// The records of an image, by name.
    pub fn records_of(&self, image: &ImageId) -> impl Iterator<Item = &Arc<Record>> {
        self.images.get(image).into_iter().flat_map(BTreeMap::values)
    }

    /// The content of an image, if it was read.
    pub fn content(&self, image: &ImageId) -> Result<&Arc<Content>, Unread> {
        self.known.content(image).ok_or_else(|| image.into())
    }

    /// Says which of these images are still to be read, all at once.
    pub(super) fn require(&self, scope: Scope) -> Result<(), Unread> {
        self.backlog.require(scope)
    }

    /// The records of an image in two parts: those that people would call its records, and its CRI identity records,
    /// which never count as another reference and go exactly when the image goes.
    pub fn parts(&self, image: &ImageId) -> Result<Parts, Unread> {
        let mut parts = Parts::default();
        for record in self.records_of(image) {
            let identity = match &record.kind {
                Kind::Digest(digest) => self.is_config(digest, image)?,
                Kind::Reference(_) | Kind::Dangling | Kind::Unparsable => false,
            };
            let part = if identity {
                &mut parts.identity
            } else {
                &mut parts.named
            };
            part.push(Arc::clone(record));
        }
        Ok(parts)
    }

    /// Where some of an image is not there to be read, a record named by a digest is taken at its word.
    pub(super) fn is_config(&self, digest: &Digest, image: &ImageId) -> Result<bool, Unread> {
        let content = self.content(image)?;
        Ok(content.may_have_more() || content.has_config(digest))
    }

    /// Whether no reference and no unparsable name points at the image: only dangling or only identity records do.
    pub fn is_dangling(&self, image: &ImageId) -> Result<bool, Unread> {
        if !self.may_dangle(image) {
            return Ok(false);
        }
        let named = self.parts(image)?.named;
        Ok(named.iter().all(|record| record.kind == Kind::Dangling))
    }

    /// Whether the image may be dangling, going by names alone.
    pub(super) fn may_dangle(&self, image: &ImageId) -> bool {
        self.has_image(image) && !self.records_of(image).any(|record| record.kind.names())
    }

    /// The images whose root file system is that chain, as far as their content was read.
    pub(super) fn rooted(&self, chain: &ChainId) -> impl Iterator<Item = &ImageId> {
        self.known.rooted(chain).filter(|image| self.has_image(image))
    }

    /// The images of which a config's digest starts so, as far as their content was read.
    pub(super) fn with_config(&self, start: &str) -> impl Iterator<Item = &ImageId> {
        self.known
            .with_config(start)
            .filter(|image| self.has_image(image))
    }

    /// The images whose ID starts so.
    pub(super) fn images_from(&self, start: &str) -> impl Iterator<Item = &ImageId> {
        from(&self.images, start).map(|(image, _)| image)
    }

    /// The records whose name starts so.
    pub(super) fn records_from(&self, start: &str) -> impl Iterator<Item = &Arc<Record>> {
        from(&self.records, start).map(|(_, record)| record)
    }

    /// The records that name the image as their parent.
    pub(super) fn children(&self, image: &ImageId) -> impl Iterator<Item = &Arc<Record>> {
        self.children
            .get(image)
            .into_iter()
            .flatten()
            .filter_map(|name| self.records.get(name))
    }

    /// Who uses what.
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// The snapshot after a record was made, in place of any other of that name.
    pub(crate) fn insert(&mut self, record: Arc<Record>) {
        self.remove(&record.name);
        self.records.insert(Arc::clone(&record.name), Arc::clone(&record));
        if let Some(parent) = &record.parent {
            self.children
                .entry(parent.clone())
                .or_default()
                .insert(Arc::clone(&record.name));
        }
        let target = record.target.clone();
        self.images
            .entry(target.clone())
            .or_default()
            .insert(Arc::clone(&record.name), record);
        self.note(&target);
    }

    /// The snapshot after the record of that name was removed.
    pub(super) fn remove(&mut self, name: &str) {
        let Some(record) = self.records.remove(name) else {
            return;
        };
        if let Some(siblings) = record
            .parent
            .as_ref()
            .and_then(|parent| self.children.get_mut(parent))
        {
            siblings.remove(name);
        }
        if let Some(records) = self.images.get_mut(&record.target) {
            records.remove(name);
            if records.is_empty() {
                self.images.remove(&record.target);
            }
        }
        self.note(&record.target);
    }

    fn note(&mut self, image: &ImageId) {
        match self.images.get(image) {
            Some(records) if self.known.content(image).is_none() => {
                self.backlog
                    .add(image, records.values().map(|record| &record.kind));
            }
            _ => self.backlog.remove(image),
        }
    }

    /// The dangling record that would keep an image, made of one of its records.
    pub(super) fn dangling_record(from: &Record) -> Record {
        Record {
            name: dangling_name(&from.target).into(),
            kind: Kind::Dangling,
            ..from.clone()
        }
    }
}

/// The records of one image, each part by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    /// References, dangling and unparsable records: `all` of the algorithm.
    pub named: Vec<Arc<Record>>,
    /// CRI identity records.
    pub identity: Vec<Arc<Record>>,
}
