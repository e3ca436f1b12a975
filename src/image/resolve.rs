//! From what a person wrote to one image (the algorithm's "Resolve").

use std::collections::BTreeSet;
use std::sync::Arc;

use super::content::Unread;
use super::digest::{Digest, ImageId};
use super::inventory::Inventory;
use super::query::Query;
use super::record::{Kind, Record};
use super::reference::Reference;

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
            if inventory.records_of(&target).next().is_some() {
                return Ok(Resolved {
                    image: target,
                    by: By::Id,
                });
            }
            one(by_config(inventory, |config| config == digest)?)
        }
        Query::Prefix { hex, name } => by_prefix(inventory, hex, name.as_ref()),
        Query::Dangling(image) => match inventory
            .records_of(image)
            .any(|record| record.kind == Kind::Dangling)
        {
            true => Ok(Resolved {
                image: image.clone(),
                by: By::Id,
            }),
            false => Err(Unresolved::NoSuchImage),
        },
        Query::Name(reference) => by_name(inventory, reference),
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
    match target.filter(|target| inventory.records_of(target).next().is_some()) {
        Some(image) => Ok(Resolved {
            image,
            by: By::Digest(reference.clone()),
        }),
        None => Err(Unresolved::NoSuchImage),
    }
}

/// An ID prefix may be a name as well; matches with different targets are ambiguous.
fn by_prefix(inventory: &Inventory, hex: &str, name: Option<&Reference>) -> Result<Resolved, Unresolved> {
    let matches =
        |digest: &Digest| digest.as_str().starts_with("sha256:") && digest.encoded().starts_with(hex);
    let named = name.and_then(|name| Some((inventory.record(&name.to_string())?, name)));
    let mut found = by_config(inventory, matches)?;
    found.extend(
        inventory
            .images()
            .filter(|image| matches(image.digest()))
            .cloned(),
    );
    match named {
        None => one(found),
        Some((record, name)) if found.is_empty() => Ok(Resolved {
            image: record.target.clone(),
            by: By::Record(Arc::clone(record), name.clone()),
        }),
        Some((record, _)) => {
            found.insert(record.target.clone());
            one(found)
        }
    }
}

/// The images that have a matching config. An identity record tells the config of its target without reading anything,
/// so only images without one are read; all of them only where that finds nothing, for an index can hold the configs of
/// several platforms and its identity record tells one.
fn by_config(
    inventory: &Inventory,
    matches: impl Fn(&Digest) -> bool,
) -> Result<BTreeSet<ImageId>, Unresolved> {
    let told = |record: &Arc<Record>| matches!(record.kind, Kind::Digest(_));
    let untold = inventory
        .images()
        .filter(|image| !inventory.records_of(image).any(told));
    let mut found = configs_in(inventory, untold, &matches)?;
    let candidates: BTreeSet<&ImageId> = inventory
        .records()
        .filter(|record| matches!(&record.kind, Kind::Digest(digest) if matches(digest)))
        .map(|record| &record.target)
        .collect();
    inventory.require(candidates.iter().copied())?;
    for record in inventory.records() {
        if let Kind::Digest(digest) = &record.kind
            && matches(digest)
            && inventory.is_config(digest, &record.target)?
        {
            found.insert(record.target.clone());
        }
    }
    match found.is_empty() {
        true => configs_in(inventory, inventory.images(), &matches),
        false => Ok(found),
    }
}

fn configs_in<'a>(
    inventory: &'a Inventory,
    images: impl Iterator<Item = &'a ImageId>,
    matches: impl Fn(&Digest) -> bool,
) -> Result<BTreeSet<ImageId>, Unresolved> {
    let images: Vec<_> = images.collect();
    inventory.require(images.iter().copied())?;
    let mut found = BTreeSet::new();
    for image in images {
        if inventory
            .content(image)?
            .configs
            .iter()
            .any(|config| matches(&config.digest))
        {
            found.insert(image.clone());
        }
    }
    Ok(found)
}

fn one(found: BTreeSet<ImageId>) -> Result<Resolved, Unresolved> {
    let mut images: Vec<_> = found.into_iter().collect();
    match images.len() {
        0 => Err(Unresolved::NoSuchImage),
        1 => Ok(Resolved {
            image: images.remove(0),
            by: By::Id,
        }),
        _ => Err(Unresolved::Ambiguous(images)),
    }
}
