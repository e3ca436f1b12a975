//! Images that nothing uses: what pruning a node selects.

use std::sync::Arc;

use super::backlog::Extent;
use super::batch::{Entry, Selector};
use super::digest::ImageId;
use super::inventory::Inventory;
use super::planner::{NoPlan, plan};
use super::query::{Names, Query};
use super::record::Record;
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
    /// What people call it: its first reference, or its ID where it has none.
    pub text: String,
    /// The names of its records, but for identity records: the CRI plugin makes those anew when it likes.
    pub names: Names,
}

impl Idle {
    /// What to ask for. All of its names go or none does: it may have come into use meanwhile, and then it keeps what it is called by.
    /// It holds for this image and these names only, so one that is moved or made meanwhile is safe.
    pub fn entry(&self) -> Entry {
        Entry { text: self.text.clone(), selector: Selector::One(self.query()) }
    }

    fn query(&self) -> Query {
        Query::Whole { image: self.image.clone(), names: self.names.clone() }
    }

    fn of(inventory: &Inventory, image: &ImageId) -> Result<Self, Unread> {
        let reference = inventory.records_of(image).find_map(|record| record.reference());
        let named = inventory.parts(image)?.named;
        Ok(Self {
            image: image.clone(),
            text: reference.map_or_else(|| image.to_string(), |reference| reference.familiar().to_string()),
            names: named.iter().map(|record| Arc::clone(&record.name)).collect(),
        })
    }
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

/// The image, where its deletion leaves nothing of it. `left` is what earlier selections leave.
fn select(left: &mut Inventory, image: &ImageId, rules: &Rules) -> Result<Option<Idle>, Unread> {
    let idle = Idle::of(left, image)?;
    match plan(left, &idle.query(), rules) {
        Ok(plan) => left.apply(&plan),
        Err(NoPlan::Refused(_)) => return Ok(None),
        Err(NoPlan::Unread(unread)) => return Err(unread),
    }
    Ok(Some(idle))
}
