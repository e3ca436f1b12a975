//! How a snapshot changes: by what is read, and by what plans do to it.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::Inventory;
use crate::image::container::{Container, Pod};
use crate::image::content::Content;
use crate::image::digest::ImageId;
use crate::image::reach::Reach;
use crate::image::record::Record;
use crate::image::usage::Usage;

impl Inventory {
    /// Replaces what is known of containers and pods. Names are looked up in the records of this moment.
    pub fn observe(&mut self, containers: Vec<Container>, pods: Vec<Pod>) {
        let containers = containers.into_iter().map(Arc::new).collect();
        let pods = pods.into_iter().map(Arc::new).collect();
        self.usage = Arc::new(Usage::new(self, containers, pods));
    }

    /// Replaces what is known of pods alone.
    pub fn observe_pods(&mut self, pods: Vec<Pod>) {
        let pods = pods.into_iter().map(Arc::new).collect();
        self.usage = Arc::new(self.usage.with_pods(self, pods));
    }

    /// Replaces what is known of containers alone.
    pub fn observe_containers(&mut self, containers: Vec<Container>) {
        let containers = containers.into_iter().map(Arc::new).collect();
        self.usage = Arc::new(self.usage.with_containers(self, containers));
    }

    /// Adds what was found within `reach`: those records, and no others. A record within it that was known and was not found has
    /// gone or moved since; unless its name was asked for, it is unread again.
    pub fn learn_records(&mut self, reach: Reach, found: impl IntoIterator<Item = Record>) {
        let found: Vec<_> = found.into_iter().map(Arc::new).collect();
        self.forget_others(&reach, &found);
        let known = Arc::make_mut(&mut self.reach);
        known.extend(reach);
        if *known != Reach::All {
            known.extend(Reach::names(found.iter().map(|record| Arc::clone(&record.name))));
        }
        let images: HashSet<ImageId> = found.iter().map(|record| record.target.clone()).collect();
        found.into_iter().for_each(|record| self.add(record));
        images.iter().for_each(|image| self.note(image));
        if !self.usage.unread().is_empty() {
            self.usage = Arc::new(self.usage.renewed(self));
        }
    }

    fn forget_others(&mut self, reach: &Reach, found: &[Arc<Record>]) {
        if self.images.is_empty() {
            return;
        }
        let found: HashSet<&str> = found.iter().map(|record| &*record.name).collect();
        let is_within = |record: &Record| {
            let has_parent = record.parent.as_ref().is_some_and(|parent| reach.has_image(parent));
            reach.has_name(&record.name) || reach.has_image(&record.target) || has_parent
        };
        let known = self.images.values().flat_map(|records| &**records);
        let gone = known.filter(|record| is_within(record) && !found.contains(&*record.name));
        for record in gone.cloned().collect::<Vec<_>>() {
            self.remove(&record.name);
            Arc::make_mut(&mut self.reach).forget_name(&record.name);
        }
    }

    /// Adds the content of an image that was read.
    pub fn learn(&mut self, image: ImageId, content: Arc<Content>) {
        self.backlog.remove(&image);
        Arc::make_mut(&mut self.known).learn(image, content);
    }

    /// The snapshot after a record was made, in place of any other of that name.
    pub(crate) fn insert(&mut self, record: Arc<Record>) {
        let image = record.target.clone();
        if *self.reach != Reach::All {
            Arc::make_mut(&mut self.reach).extend(Reach::names([Arc::clone(&record.name)]));
        }
        self.add(record);
        self.note(&image);
    }

    fn add(&mut self, record: Arc<Record>) {
        self.remove(&record.name);
        Arc::make_mut(&mut self.names).insert(Arc::clone(&record.name), Arc::clone(&record));
        if let Some(parent) = &record.parent {
            let children = self.children.entry(parent.clone()).or_default();
            children.insert(Arc::clone(&record.name));
        }
        if let Some(digest) = record.kind.digest() {
            add(&mut self.told, digest);
        }
        add(&mut self.ids, &record.target);
        let records = Arc::make_mut(self.images.entry(record.target.clone()).or_default());
        let place = records.partition_point(|other| other.name < record.name);
        records.insert(place, record);
    }

    /// The snapshot after the record of that name was removed.
    pub(in crate::image) fn remove(&mut self, name: &str) {
        let Some(record) = self.present(name).cloned() else {
            return;
        };
        if let Some(siblings) = record.parent.as_ref().and_then(|parent| self.children.get_mut(parent)) {
            siblings.remove(name);
        }
        if let Some(records) = self.images.get_mut(&record.target) {
            match records.len() {
                1 => drop(self.images.remove(&record.target)),
                _ => Arc::make_mut(records).retain(|other| *other.name != *name),
            }
        }
        self.note(&record.target);
    }

    /// Keeps the backlog right after the records of an image have changed.
    fn note(&mut self, image: &ImageId) {
        match self.images.get(image) {
            Some(records) if self.known.content(image).is_none() => self.backlog.add(image, records),
            Some(_) => {}
            None => self.backlog.remove(image),
        }
    }
}

fn add<T: Ord + Clone>(set: &mut Arc<BTreeSet<T>>, item: &T) {
    if !set.contains(item) {
        Arc::make_mut(set).insert(item.clone());
    }
}
