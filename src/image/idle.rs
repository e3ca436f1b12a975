//! Images that nothing uses: what pruning a node selects.

use super::backlog::Extent;
use super::batch::{Entry, Selector};
use super::digest::ImageId;
use super::inventory::Inventory;
use super::planner::{NoPlan, plan};
use super::query::Query;
use super::record::{Kind, Record};
use super::reference::Reference;
use super::rules::Rules;
use super::unread::Unread;

/// Which images are candidates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scope {
    /// Those without any name.
    #[default]
    Dangling,
    /// All of them.
    Unused,
}

/// An image that nothing uses, and what to ask for so that it goes.
#[derive(Debug, Clone)]
pub struct Idle {
    /// The image.
    pub image: ImageId,
    /// One entry for each of its references, or one for the image itself where it has none. Deleted one by one, each
    /// finds out anew whether the image is used. They hold for this image only, so a name that is moved meanwhile is safe.
    pub entries: Vec<Entry>,
}

/// The images within `scope` that no container uses and nothing holds, in the order of their IDs. `may_go` says of a
/// record whether it lets its image go, as far as the caller knows more than the core: the core has no clock.
///
/// An image is selected only if every record that people would call its record may go and is neither pinned nor
/// protected, and if its deletion would leave nothing of it. Forcing makes no difference.
pub fn idle(
    inventory: &Inventory,
    scope: Scope,
    rules: &Rules,
    may_go: impl Fn(&Record) -> bool,
) -> Result<Vec<Idle>, Unread> {
    let rules = Rules { force: false, prune: false, protect: rules.protect.clone() };
    inventory.require(match scope {
        Scope::Dangling => Extent::Nameless,
        Scope::Unused => Extent::All,
    })?;
    let mut left = inventory.clone();
    let mut found = Vec::new();
    for image in inventory.images() {
        let is_candidate = scope == Scope::Unused || inventory.is_dangling(image)?;
        if is_candidate && all_may_go(inventory, image, &rules, &may_go)? {
            found.extend(select(&mut left, image, &rules)?);
        }
    }
    Ok(found)
}

fn all_may_go(
    inventory: &Inventory,
    image: &ImageId,
    rules: &Rules,
    may_go: impl Fn(&Record) -> bool,
) -> Result<bool, Unread> {
    if !inventory.usage().containers(inventory, image)?.is_empty() {
        return Ok(false);
    }
    let is_guarded = |record: &Record| {
        record.pinned || record.reference().is_some_and(|reference| rules.protection(reference).is_some())
    };
    let parts = inventory.parts(image)?;
    // The CRI plugin makes an identity record anew when it likes, so its age says nothing while there is another.
    let telling = if parts.named.is_empty() { &parts.identity } else { &parts.named };
    Ok(telling.iter().all(|record| may_go(record))
        && !inventory.records_of(image).any(|record| is_guarded(record)))
}

/// What to ask for so that the image goes; none if something of it would stay. `left` is what earlier selections leave.
fn select(left: &mut Inventory, image: &ImageId, rules: &Rules) -> Result<Option<Idle>, Unread> {
    let before: Vec<_> = left.records_of(image).cloned().collect();
    let entries = take(left, image, rules)?;
    if entries.is_none() {
        // An image that stays is still a child of its parent.
        let now: Vec<_> = left.records_of(image).cloned().collect();
        if now != before {
            now.iter().for_each(|record| left.remove(&record.name));
            before.into_iter().for_each(|record| left.insert(record));
        }
    }
    Ok(entries.map(|entries| Idle { image: image.clone(), entries }))
}

/// Takes an image out of what is left, entry by entry; none if one of them can't go.
fn take(left: &mut Inventory, image: &ImageId, rules: &Rules) -> Result<Option<Vec<Entry>>, Unread> {
    let mut entries = Vec::new();
    while let Some(entry) = next_entry(left, image) {
        let Selector::One(query) = &entry.selector else {
            return Ok(None);
        };
        match plan(left, query, rules) {
            Ok(plan) if plan.removed().next().is_some() => left.apply(&plan),
            Ok(_) | Err(NoPlan::Refused(_)) => return Ok(None),
            Err(NoPlan::Unread(unread)) => return Err(unread),
        }
        entries.push(entry);
    }
    Ok(Some(entries))
}

/// The entry for the first reference that the image still has, or for the image itself.
fn next_entry(left: &Inventory, image: &ImageId) -> Option<Entry> {
    if !left.has_image(image) {
        return None;
    }
    Some(match left.records_of(image).find_map(|record| record.reference()) {
        Some(reference) => Entry {
            text: reference.familiar().to_string(),
            selector: Selector::One(Query::Name(of_image(reference, image))),
        },
        None => Entry { text: image.to_string(), selector: Selector::One(query_of(left, image)) },
    })
}

/// The reference as long as it names this image.
fn of_image(reference: &Reference, image: &ImageId) -> Reference {
    match reference.digest() {
        Some(_) => reference.clone(),
        None => reference.clone().at(image.digest().clone()),
    }
}

fn query_of(left: &Inventory, image: &ImageId) -> Query {
    match left.records_of(image).any(|record| record.kind == Kind::Dangling) {
        true => Query::Dangling(image.clone()),
        false => Query::Digest(image.digest().clone()),
    }
}
