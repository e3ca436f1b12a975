//! What is on a node: every image with its names, its size and who uses it. And what of it nothing uses.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;

use jiff::Timestamp;

use super::error::{CallError, Error};
use super::images::Row;
use super::operation::Node;
use super::reclaim::Holdings;
use super::survey::Survey;
use crate::image::resolve::{Unresolved, resolve};
use crate::image::{
    Container, Entry, Idle, ImageId, Inventory, Kind, Record, Refusal, Rules, Scope, Selector, Unread, idle,
};

/// An image as it is on a node.
#[derive(Debug, Clone)]
pub struct Listed {
    /// The image.
    pub image: ImageId,
    /// Its configs, by the first of which the CRI calls it.
    pub configs: Vec<String>,
    /// Its names as people type them, without those that the CRI plugin and we made for ourselves.
    pub names: Vec<String>,
    /// When one of its names was made, moved or pulled again last, in whole seconds.
    pub created: Timestamp,
    /// What it has on the disk.
    pub size: Size,
    /// Whether containerd keeps it whatever happens.
    pub pinned: bool,
    /// Whether it has no name.
    pub dangling: bool,
    /// The containers that use it, running ones first.
    pub containers: Vec<Arc<Container>>,
}

/// What an image has on the disk, in bytes: content and snapshots.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// What no other image has.
    pub unique: u64,
    /// What other images have too.
    pub shared: u64,
}

/// The images that were asked for, and the entries that there are none of.
#[derive(Debug, Default)]
pub struct Catalog {
    /// In the order of their names, those without any last.
    pub images: Vec<Listed>,
    /// Why there is nothing for an entry.
    pub refused: Vec<Refusal>,
}

impl Node {
    /// The images that one of the entries means; all of them without an entry. An ID prefix means every image that it fits.
    pub async fn catalog(&self, entries: &[Entry]) -> Result<Catalog, Error> {
        let mut survey = self.survey(Vec::new()).await?;
        let all: BTreeSet<ImageId> = survey.inventory.images().cloned().collect();
        self.read(&mut survey, all.clone()).await?;
        let all: BTreeSet<&ImageId> = all.iter().collect();
        let holdings = Holdings::of(&self.containerd, &survey, &all).await?;
        let sizes = sizes(&holdings.parts(&survey, &all));
        let (asked, refused) = self.ask(&mut survey, |inventory| asked(inventory, entries)).await?;
        let mut images = Vec::new();
        for image in asked {
            let size = sizes.get(&image).copied().unwrap_or_default();
            images.push(self.listed(&mut survey, image, size).await?);
        }
        images.sort_by(|a, b| {
            (a.names.is_empty(), &a.names, &a.image).cmp(&(b.names.is_empty(), &b.names, &b.image))
        });
        Ok(Catalog { images, refused })
    }

    /// The images that nothing uses, as far as their records were made, moved or pulled again before `changed_before`.
    pub async fn idle(
        &self,
        scope: Scope,
        rules: &Rules,
        changed_before: Option<Timestamp>,
    ) -> Result<Vec<Idle>, Error> {
        let mut survey = self.survey(Vec::new()).await?;
        let changed: HashMap<String, i64> =
            survey.rows.values().map(|row| (row.name.clone(), row.changed)).collect();
        let is_old = |name: &str| {
            changed_before
                .is_none_or(|limit| changed.get(name).is_some_and(|changed| *changed < limit.as_second()))
        };
        let question = |inventory: &_| idle(inventory, scope, rules, |record| is_old(&record.name));
        Ok(self.ask(&mut survey, question).await?)
    }

    async fn listed(&self, survey: &mut Survey, image: ImageId, size: Size) -> Result<Listed, CallError> {
        let records: Vec<_> = survey.inventory.records_of(&image).map(Arc::clone).collect();
        let created = newest(&survey.rows, &records);
        self.ask(survey, |inventory| {
            let content = inventory.content(&image)?;
            let named = inventory.parts(&image)?.named;
            Ok(Listed {
                configs: content.configs.iter().map(|config| config.digest.to_string()).collect(),
                names: named
                    .iter()
                    .filter(|record| record.kind != Kind::Dangling)
                    .map(|record| record.familiar())
                    .collect(),
                created,
                size,
                pinned: records.iter().any(|record| record.pinned),
                dangling: inventory.is_dangling(&image)?,
                containers: inventory.usage().containers(inventory, &image)?,
                image: image.clone(),
            })
        })
        .await
    }
}

/// The CRI plugin makes an identity record anew when it likes, so its time counts only where there is no other.
fn newest(rows: &HashMap<String, Row>, records: &[Arc<Record>]) -> Timestamp {
    let times = |identity: bool| {
        records
            .iter()
            .filter(|record| matches!(record.kind, Kind::Digest(_)) == identity)
            .filter_map(|record| rows.get(&*record.name))
            .map(|row| row.changed)
            .max()
    };
    let seconds = times(false).or_else(|| times(true)).unwrap_or_default();
    Timestamp::from_second(seconds).unwrap_or_default()
}

fn asked(inventory: &Inventory, entries: &[Entry]) -> Result<(BTreeSet<ImageId>, Vec<Refusal>), Unread> {
    if entries.is_empty() {
        return Ok((inventory.images().cloned().collect(), Vec::new()));
    }
    let (mut images, mut refused) = (BTreeSet::new(), Vec::new());
    for entry in entries {
        let found = meant(inventory, entry)?;
        if found.is_empty() {
            refused.push(Refusal::NoSuchImage(entry.text.clone()));
        }
        images.extend(found);
    }
    Ok((images, refused))
}

fn meant(inventory: &Inventory, entry: &Entry) -> Result<Vec<ImageId>, Unread> {
    match &entry.selector {
        Selector::One(query) => match resolve(inventory, query) {
            Ok(resolved) => Ok(vec![resolved.image]),
            Err(Unresolved::Ambiguous(images)) => Ok(images),
            Err(Unresolved::NoSuchImage) => Ok(Vec::new()),
            Err(Unresolved::Unread(unread)) => Err(unread),
        },
        Selector::Pattern(pattern) => {
            Ok(inventory.matching(pattern).map(|(record, _)| record.target.clone()).collect())
        }
    }
}

/// What each image has alone and what it shares, from the sizes of its parts: what has one key is one thing on the disk.
fn sizes<Key: Eq + Hash>(parts: &HashMap<ImageId, HashMap<Key, u64>>) -> HashMap<ImageId, Size> {
    let mut owners: HashMap<&Key, usize> = HashMap::new();
    for key in parts.values().flat_map(HashMap::keys) {
        *owners.entry(key).or_default() += 1;
    }
    let size = |parts: &HashMap<Key, u64>| {
        parts.iter().fold(Size::default(), |mut size, (key, bytes)| {
            match owners.get(key) {
                Some(1) => size.unique += bytes,
                _ => size.shared += bytes,
            }
            size
        })
    };
    parts.iter().map(|(image, parts)| (image.clone(), size(parts))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_images_have_is_shared_by_both() {
        let image = |digit: &str| -> ImageId { format!("sha256:{}", digit.repeat(64)).parse().unwrap() };
        let parts = HashMap::from([
            (image("a"), HashMap::from([("base", 100), ("own", 7)])),
            (image("b"), HashMap::from([("base", 100)])),
            (image("c"), HashMap::new()),
        ]);
        let size = |unique, shared| Size { unique, shared };
        let expected =
            HashMap::from([(image("a"), size(7, 100)), (image("b"), size(0, 100)), (image("c"), size(0, 0))]);
        assert_eq!(sizes(&parts), expected);
    }
}
