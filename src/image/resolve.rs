//! From what a person wrote to one image (the algorithm's "Resolve").

use std::collections::BTreeSet;
use std::sync::Arc;

use super::backlog::Extent;
use super::digest::ImageId;
use super::inventory::Inventory;
use super::query::{Names, Query};
use super::record::{Kind, Record};
use super::reference::Reference;
use super::unread::Unread;

/// The image that is meant, and how it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The image.
    pub image: ImageId,
    /// What led to it.
    pub by: By,
}

/// How an image was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// By an ID, the start of one, or a dangling record's name: the image itself is meant.
    Id,
    /// By the exact name of a record, which is this reference.
    Record(Arc<Record>, Reference),
    /// By a digest in a reference of which there is no record.
    Digest(Reference),
    /// By what was found before: the image is meant with these names, and no others.
    Names(Names),
}

/// Why there is no one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unresolved {
    /// No record matches.
    NoSuchImage,
    /// Several images match; at least two, in order.
    Ambiguous(Vec<ImageId>),
    /// Content must be read first.
    Unread(Unread),
}

impl From<Unread> for Unresolved {
    fn from(unread: Unread) -> Self {
        Self::Unread(unread)
    }
}

/// Finds the image that `query` means.
pub fn resolve(inventory: &Inventory, query: &Query) -> Result<Resolved, Unresolved> {
    match query {
        Query::Digest(digest) => {
            let target = ImageId::new(digest.clone());
            if inventory.has_image(&target) {
                return Ok(Resolved { image: target, by: By::Id });
            }
            let found = by_config(inventory, digest.as_str())?;
            one(or_by_any_config(inventory, digest.as_str(), found)?)
        }
        Query::Prefix { hex, name } => by_prefix(inventory, hex, name.as_ref()),
        Query::Dangling(image) => {
            match inventory.records_of(image).any(|record| record.kind == Kind::Dangling) {
                true => Ok(Resolved { image: image.clone(), by: By::Id }),
                false => Err(Unresolved::NoSuchImage),
            }
        }
        Query::Name(reference) => by_name(inventory, reference),
        Query::Whole { image, names } => match inventory.has_image(image) {
            true => Ok(Resolved { image: image.clone(), by: By::Names(names.clone()) }),
            false => Err(Unresolved::NoSuchImage),
        },
    }
}

fn by_name(inventory: &Inventory, reference: &Reference) -> Result<Resolved, Unresolved> {
    if let Some(record) = inventory.record(&reference.to_string()) {
        return Ok(Resolved {
            image: record.target.clone(),
            by: By::Record(Arc::clone(record), reference.clone()),
        });
    }
    let target = reference.digest().map(|digest| ImageId::new(digest.clone()));
    match target {
        Some(image) if inventory.has_image(&image) => {
            Ok(Resolved { image, by: By::Digest(reference.clone()) })
        }
        _ => Err(Unresolved::NoSuchImage),
    }
}

/// An ID prefix may be a name as well; matches with different targets are ambiguous.
fn by_prefix(inventory: &Inventory, hex: &str, name: Option<&Reference>) -> Result<Resolved, Unresolved> {
    let start = format!("sha256:{hex}");
    let record = name.and_then(|name| inventory.record(&name.to_string()));
    let named = record.zip(name);
    let mut found = by_config(inventory, &start)?;
    found.extend(inventory.images_from(&start).cloned());
    match named {
        None => one(or_by_any_config(inventory, &start, found)?),
        Some((record, name)) if found.is_empty() => {
            Ok(Resolved { image: record.target.clone(), by: By::Record(Arc::clone(record), name.clone()) })
        }
        Some((record, _)) => {
            found.insert(record.target.clone());
            one(found)
        }
    }
}

/// The images that have a config whose digest starts so, going by the identity record of those that have one. It tells the
/// config of its target without reading anything, so only the others are read.
fn by_config(inventory: &Inventory, start: &str) -> Result<BTreeSet<ImageId>, Unread> {
    inventory.require(Extent::Untold)?;
    let mut found = BTreeSet::new();
    for image in inventory.with_config(start) {
        if !inventory.records_of(image).any(|record| record.kind.digest().is_some()) {
            found.insert(image.clone());
        }
    }
    for (digest, record) in inventory.told_from(start) {
        if inventory.is_config(digest, &record.target)? {
            found.insert(record.target.clone());
        }
    }
    Ok(found)
}

/// What was found or, if that is nothing, the images that have a config whose digest starts so, whatever their records tell:
/// an index can hold the configs of several platforms, and its identity record tells one.
fn or_by_any_config(
    inventory: &Inventory,
    start: &str,
    found: BTreeSet<ImageId>,
) -> Result<BTreeSet<ImageId>, Unread> {
    if !found.is_empty() {
        return Ok(found);
    }
    inventory.require(Extent::All)?;
    Ok(inventory.with_config(start).cloned().collect())
}

fn one(found: BTreeSet<ImageId>) -> Result<Resolved, Unresolved> {
    let mut images: Vec<_> = found.into_iter().collect();
    match images.len() {
        0 => Err(Unresolved::NoSuchImage),
        1 => Ok(Resolved { image: images.remove(0), by: By::Id }),
        _ => Err(Unresolved::Ambiguous(images)),
    }
}
