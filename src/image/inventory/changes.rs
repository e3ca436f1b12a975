//! How a snapshot changes: by what is read, and by what plans do to it.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Inventory;
use crate::image::container::{Container, Pod};
use crate::image::content::Content;
use crate::image::digest::ImageId;
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

    /// Adds the content of an image that was read.
    pub fn learn(&mut self, image: ImageId, content: Arc<Content>) {
        self.backlog.remove(&image);
        Arc::make_mut(&mut self.known).learn(image, content);
    }

    /// The snapshot after a record was made, in place of any other of that name.
    pub(crate) fn insert(&mut self, record: Arc<Record>) {
        let image = record.target.clone();
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
        let Some(record) = self.record(name).cloned() else {
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
