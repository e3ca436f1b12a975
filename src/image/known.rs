//! What was read of the images' content, and the ways back from it to the images.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use super::chain::ChainId;
use super::content::Content;
use super::digest::{Digest, ImageId};

/// The content of images, whether they still have records or not.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    contents: HashMap<ImageId, Arc<Content>>,
    roots: HashMap<ChainId, Vec<ImageId>>,
    configs: BTreeMap<Digest, Vec<ImageId>>,
}

impl Known {
    /// Adds the content of an image.
    pub fn learn(&mut self, image: ImageId, content: Arc<Content>) {
        for config in &content.configs {
            add(self.configs.entry(config.digest.clone()).or_default(), &image);
            if let Some(root) = config.root() {
                add(self.roots.entry(root.clone()).or_default(), &image);
            }
        }
        self.contents.insert(image, content);
    }

    /// The content of an image.
    pub fn content(&self, image: &ImageId) -> Option<&Arc<Content>> {
        self.contents.get(image)
    }

    /// The images of which a whole root file system is that chain, by ID.
    pub fn rooted(&self, chain: &ChainId) -> impl Iterator<Item = &ImageId> {
        self.roots.get(chain).into_iter().flatten()
    }

    /// The images of which a config's digest starts so.
    pub fn with_config(&self, start: &str) -> impl Iterator<Item = &ImageId> {
        self.configs
            .range::<str, _>((Bound::Included(start), Bound::Unbounded))
            .take_while(move |(config, _)| config.as_str().starts_with(start))
            .flat_map(|(_, images)| images)
    }
}

/// Adds to a sorted set, which is small most of the time.
fn add(set: &mut Vec<ImageId>, image: &ImageId) {
    if let Err(place) = set.binary_search(image) {
        set.insert(place, image.clone());
    }
}
