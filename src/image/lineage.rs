//! Parents and children of an image (the algorithm's "Delete the image").

use std::collections::BTreeSet;

use super::backlog::Extent;
use super::digest::ImageId;
use super::inventory::Inventory;
use super::plan::{Plan, Step};
use super::unread::Unread;

/// Whether a record says that this image is its parent. A root file system in common makes no child: containerd's own
/// collector counts layers.
pub fn has_children(inventory: &Inventory, image: &ImageId) -> bool {
    inventory.children(image).any(|record| record.target != *image)
}

/// The image's parents, nearest first: the chain of parents that the classic builder wrote down, then every image whose
/// layers are the lower part of the image's.
///
/// Only dangling images are pruned, so where none of them is a parent there is none to return, and nothing else is read.
pub fn parents(inventory: &Inventory, image: &ImageId) -> Result<Vec<ImageId>, Unread> {
    inventory.require(Extent::Nameless)?;
    let written = written_parents(inventory, image);
    let known = parents_known(inventory, image, &written)?;
    if !known.iter().any(|parent| inventory.may_dangle(parent)) {
        return Ok(Vec::new());
    }
    inventory.require(Extent::All)?;
    parents_known(inventory, image, &written)
}

/// The parents among the images whose content was read.
fn parents_known(
    inventory: &Inventory,
    image: &ImageId,
    written: &[ImageId],
) -> Result<Vec<ImageId>, Unread> {
    let content = inventory.content(image)?;
    let mut parents = written.to_vec();
    let mut seen: BTreeSet<&ImageId> = written.iter().chain([image]).collect();
    let depth = content.configs.iter().map(|config| config.chains.len()).max().unwrap_or_default();
    for length in (1..depth).rev() {
        let below = content.configs.iter().filter(|config| config.chains.len() > length);
        for parent in below.flat_map(|config| inventory.rooted(&config.chains[length - 1])) {
            if seen.insert(parent) {
                parents.push(parent.clone());
            }
        }
    }
    Ok(parents)
}

/// The chain of the parent label as far as its images are on the node, without the image itself, also where the labels go
/// in a circle.
fn written_parents(inventory: &Inventory, image: &ImageId) -> Vec<ImageId> {
    let written = |child: &ImageId| {
        let parent = inventory.records_of(child).find_map(|record| record.parent.clone());
        parent.filter(|parent| inventory.has_image(parent))
    };
    let mut chain: Vec<ImageId> = Vec::new();
    let mut next = written(image);
    while let Some(parent) = next.filter(|parent| parent != image && !chain.contains(parent)) {
        next = written(&parent);
        chain.push(parent);
    }
    chain
}

impl Plan {
    /// Leaves the parents out that would have been pruned.
    pub fn spare_parents(&mut self) {
        let own = Step::Deleted(self.image.clone());
        if let Some(end) = self.steps.iter().position(|step| *step == own) {
            self.steps.truncate(end + 1);
        }
    }
}
