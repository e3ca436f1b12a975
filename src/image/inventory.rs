//! The snapshot of a node that decisions are made on.

mod changes;

use std::borrow::Borrow;
use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use super::backlog::{Backlog, Extent};
use super::chain::ChainId;
use super::container::{Container, Pod};
use super::content::Content;
use super::digest::{Digest, ImageId};
use super::known::Known;
use super::pattern::Pattern;
use super::record::{Kind, Record, dangling_name};
use super::reference::Reference;
use super::unread::Unread;
use super::usage::Usage;

/// What is on a node: image records, the content that they lead to as far as it was read, and who uses what.
///
/// Records are in the byte order of their names, whatever order the store lists them in: *first* means least in that
/// order. What is looked up far more often than listed is hashed, and sorted where it is listed.
///
/// A request is decided on a copy that changes entry by entry, so copies share what they can: `images` says what is there,
/// the sets before it may hold what was there once.
#[derive(Debug, Clone, Default)]
pub struct Inventory {
    /// Every record by its name.
    names: Arc<HashMap<Arc<str>, Arc<Record>>>,
    /// Every image, for lists and prefixes.
    ids: Arc<BTreeSet<ImageId>>,
    /// Every digest that is the name of a record: of a CRI identity record, or of one that looks so.
    told: Arc<BTreeSet<Digest>>,
    /// The records of each image, by name; never none.
    images: HashMap<ImageId, Arc<Vec<Arc<Record>>>>,
    children: HashMap<ImageId, BTreeSet<Arc<str>>>,
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
        records.into_iter().for_each(|record| inventory.insert(Arc::new(record)));
        inventory.observe(containers, pods);
        inventory
    }

    /// Every record, by name.
    pub fn records(&self) -> impl Iterator<Item = &Arc<Record>> {
        let mut records: Vec<_> = self.images.values().flat_map(|records| &**records).collect();
        records.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        records.into_iter()
    }

    /// The records whose reference a pattern matches, by name.
    pub fn matching(&self, pattern: &Pattern) -> impl Iterator<Item = (&Arc<Record>, &Reference)> {
        let records = self.images.values().flat_map(|records| &**records);
        let references = records.filter_map(|record| Some((record, record.reference()?)));
        let mut found: Vec<_> = references.filter(|(_, reference)| pattern.matches(reference)).collect();
        found.sort_unstable_by(|(a, _), (b, _)| a.name.cmp(&b.name));
        found.into_iter()
    }

    /// The record of that very name.
    pub fn record(&self, name: &str) -> Option<&Arc<Record>> {
        let record = self.names.get(name)?;
        self.records_of(&record.target).find(|present| Arc::ptr_eq(present, record))
    }

    /// Every image that has a record, by ID.
    pub fn images(&self) -> impl Iterator<Item = &ImageId> {
        self.ids.iter().filter(|image| self.has_image(image))
    }

    /// Whether the image has a record.
    pub fn has_image(&self, image: &ImageId) -> bool {
        self.images.contains_key(image)
    }

    /// The records of an image, by name.
    pub fn records_of(&self, image: &ImageId) -> impl Iterator<Item = &Arc<Record>> {
        self.images.get(image).into_iter().flat_map(|records| &**records)
    }

    /// The content of an image, if it was read.
    pub fn content(&self, image: &ImageId) -> Result<&Arc<Content>, Unread> {
        self.known.content(image).ok_or_else(|| Unread::content(image))
    }

    /// Says which of these images are still to be read, all at once.
    pub(super) fn require(&self, extent: Extent) -> Result<(), Unread> {
        self.backlog.require(extent)
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
            let part = if identity { &mut parts.identity } else { &mut parts.named };
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
        self.known.with_config(start).filter(|image| self.has_image(image))
    }

    /// The images whose ID starts so.
    pub(super) fn images_from(&self, start: &str) -> impl Iterator<Item = &ImageId> {
        from(&self.ids, start).filter(|image| self.has_image(image))
    }

    /// The records named by a digest that starts so.
    pub(super) fn told_from(&self, start: &str) -> impl Iterator<Item = (&Digest, &Arc<Record>)> {
        from(&self.told, start).filter_map(|digest| Some((digest, self.record(digest.as_str())?)))
    }

    /// The records that name the image as their parent.
    pub(super) fn children(&self, image: &ImageId) -> impl Iterator<Item = &Arc<Record>> {
        self.children.get(image).into_iter().flatten().filter_map(|name| self.record(name))
    }

    /// Who uses what.
    pub fn usage(&self) -> &Usage {
        &self.usage
    }

    /// The dangling record that would keep an image, made of one of its records.
    pub(super) fn dangling_record(from: &Record) -> Record {
        Record { name: dangling_name(&from.target).into(), kind: Kind::Dangling, ..from.clone() }
    }
}

/// The members of a set that start so.
fn from<'a, T: Borrow<str> + Ord>(set: &'a BTreeSet<T>, start: &str) -> impl Iterator<Item = &'a T> {
    set.range::<str, _>((Bound::Included(start), Bound::Unbounded))
        .take_while(move |item| (*item).borrow().starts_with(start))
}

/// The records of one image, each part by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parts {
    /// References, dangling and unparsable records: `all` of the algorithm.
    pub named: Vec<Arc<Record>>,
    /// CRI identity records.
    pub identity: Vec<Arc<Record>>,
}
