//! What was read of the images' content, and the ways back from it to the images.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::chain::ChainId;
use super::content::Content;
use super::digest::{Digest, ImageId, from};

/// The content of images, whether they still have records or not.
#[derive(Debug, Clone, Default)]
pub(super) struct Known {
    contents: BTreeMap<ImageId, Arc<Content>>,
    roots: BTreeMap<ChainId, BTreeSet<ImageId>>,
    configs: BTreeMap<Digest, BTreeSet<ImageId>>,
}

impl Known {
    /// Adds the content of an image.
    pub fn learn(&mut self, image: ImageId, content: Arc<Content>) {
        for config in &content.configs {
            let images = self.configs.entry(config.digest.clone()).or_default();
            images.insert(image.clone());
            if let Some(root) = config.root() {
                self.roots.entry(root.clone()).or_default().insert(image.clone());
            }
        }
        self.contents.insert(image, content);
    }

    /// The content of an image.
    pub fn content(&self, image: &ImageId) -> Option<&Arc<Content>> {
        self.contents.get(image)
    }

    /// The images of which a whole root file system is that chain.
    pub fn rooted(&self, chain: &ChainId) -> impl Iterator<Item = &ImageId> {
        self.roots.get(chain).into_iter().flatten()
    }

    /// The images of which a config's digest starts so.
    pub fn with_config(&self, start: &str) -> impl Iterator<Item = &ImageId> {
        from(&self.configs, start).flat_map(|(_, images)| images)
    }
}
