//! From a target to everything that it leads to, as far as it is on the node.

use std::collections::HashSet;
use std::sync::Arc;

use quick_cache::sync::Cache;
use quick_cache::{Weighter, sync::DefaultLifecycle};

use super::client::Containerd;
use super::document::{DOCUMENT_MAX, Document};
use super::error::CallError;
use crate::image::{Config, Content, Digest, ImageId};

/// The most bytes of documents that are kept.
const CACHE_BYTES: u64 = 8 << 20;
/// How deep indexes may be nested in indexes.
const DEPTH_MAX: usize = 8;
/// The most manifests that the indexes of one level may name.
const MANIFESTS_MAX: usize = 1_000;

/// What was read of the content store. Documents are named by the digest of what they say, so they never change; whether
/// one is there does, so absence is not kept.
#[derive(Debug)]
pub struct Trees {
    documents: Cache<Digest, Arc<Document>, ByWeight>,
}

#[derive(Debug, Clone)]
struct ByWeight;

impl Weighter<Digest, Arc<Document>> for ByWeight {
    fn weight(&self, _: &Digest, document: &Arc<Document>) -> u64 {
        document.weight() as u64
    }
}

/// Everything that a target leads to.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// Its configs and their root file systems.
    pub content: Content,
    /// Every blob that is named, the target among them. A blob may not be there.
    pub blobs: Vec<Digest>,
}

impl Default for Trees {
    fn default() -> Self {
        let items = (CACHE_BYTES / 512) as usize;
        let (hasher, lifecycle) = (Default::default(), DefaultLifecycle::default());
        Self { documents: Cache::with(items, CACHE_BYTES, ByWeight, hasher, lifecycle) }
    }
}

impl Trees {
    /// Walks from a target to its configs, and names every blob on the way. Of a target that leads to more than an image
    /// can sensibly have, no config is told: then names alone decide who uses it.
    pub async fn walk(&self, containerd: &Containerd, image: &ImageId) -> Result<Tree, CallError> {
        let mut tree = Tree::default();
        let mut seen = HashSet::from([image.digest().clone()]);
        let mut level = vec![image.digest().clone()];
        for _ in 0..DEPTH_MAX {
            let mut below = Vec::new();
            for digest in level {
                match self.read(containerd, &digest).await?.as_deref() {
                    Some(Document::Index(manifests)) => below.extend(fresh(&mut seen, manifests)),
                    Some(Document::Manifest { config, layers }) => {
                        tree.blobs.extend(fresh(&mut seen, layers));
                        for config in fresh(&mut seen, std::slice::from_ref(config)) {
                            tree.content.configs.push(self.config(containerd, &config).await?);
                            tree.blobs.push(config);
                        }
                    }
                    None => tree.content.partial = true,
                    Some(Document::Config(_) | Document::Other) => {}
                }
                tree.blobs.push(digest);
            }
            if below.is_empty() {
                return Ok(tree);
            }
            if below.len() > MANIFESTS_MAX {
                break;
            }
            level = below;
        }
        Ok(Tree { content: Content::default(), ..tree })
    }

    async fn config(&self, containerd: &Containerd, digest: &Digest) -> Result<Config, CallError> {
        let chains = match self.read(containerd, digest).await?.as_deref() {
            Some(Document::Config(chains)) => chains.clone(),
            _ => Vec::new(),
        };
        Ok(Config { digest: digest.clone(), chains })
    }

    async fn read(
        &self,
        containerd: &Containerd,
        digest: &Digest,
    ) -> Result<Option<Arc<Document>>, CallError> {
        if let Some(document) = self.documents.get(digest) {
            return Ok(Some(document));
        }
        let Some(bytes) = containerd.read_blob(digest, DOCUMENT_MAX).await? else {
            return Ok(None);
        };
        let document = Arc::new(Document::parse(&bytes));
        self.documents.insert(digest.clone(), Arc::clone(&document));
        Ok(Some(document))
    }
}

fn fresh(seen: &mut HashSet<Digest>, digests: &[Digest]) -> Vec<Digest> {
    digests.iter().filter(|digest| seen.insert((*digest).clone())).cloned().collect()
}
