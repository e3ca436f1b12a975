//! From a target to everything that it leads to, as far as it is on the node.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use quick_cache::sync::Cache;
use quick_cache::{Weighter, sync::DefaultLifecycle};
use tokio::sync::Semaphore;

use super::blobs::Blob;
use super::client::Containerd;
use super::document::{DOCUMENT_MAX, Document, PARTS_MAX, Role};
use super::error::CallError;
use crate::image::{ChainId, Config, Content, Digest, Flaw, Illegible, ImageId};

/// The most bytes of documents that are kept.
const CACHE_BYTES: u64 = 8 << 20;
/// Many documents of at most this size are read at once, in bytes; of larger ones only one.
const SMALL: usize = 128 << 10;
/// The most manifests, indexes and configs that are asked for of one image, at whatever depth and whether they are there or not.
/// Official images have about forty.
const DOCUMENTS_MAX: usize = 1_000;
/// The most bytes that are read of one image.
const BYTES_MAX: usize = 4 * DOCUMENT_MAX;

/// What was read of the content store. Documents are named by the digest of what they say, so they never change; whether
/// one is there does, so absence is not kept.
#[derive(Debug)]
pub struct Trees {
    documents: Cache<(Digest, Role), Arc<Read>, ByWeight>,
    /// The right to read a large document.
    large: Semaphore,
}

/// A document that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Read {
    /// What it says, or why that can't be told.
    document: Result<Document, Flaw>,
    /// How many bytes had to be read.
    bytes: usize,
}

#[derive(Debug, Clone)]
struct ByWeight;

impl Weighter<(Digest, Role), Arc<Read>> for ByWeight {
    fn weight(&self, _: &(Digest, Role), read: &Arc<Read>) -> u64 {
        const DIGEST: usize = 100;
        let parts = read.document.as_ref().map_or(0, Document::parts);
        (DIGEST * (1 + parts)) as u64
    }
}

/// Everything that a target leads to.
#[derive(Debug, Clone, Default)]
pub struct Tree {
    /// Its configs and their root file systems.
    pub content: Content,
    /// The manifests, indexes and configs that are there, the target among them, and the layers that those name. A layer may not be
    /// there.
    pub blobs: Vec<Digest>,
}

impl Default for Trees {
    fn default() -> Self {
        let items = (CACHE_BYTES / 512) as usize;
        let (hasher, lifecycle) = (Default::default(), DefaultLifecycle::default());
        let documents = Cache::with(items, CACHE_BYTES, ByWeight, hasher, lifecycle);
        Self { documents, large: Semaphore::const_new(1) }
    }
}

impl Trees {
    /// Walks from a target to its configs, and names every blob on the way. Where it leads to more than an image can sensibly
    /// have, or to what can't be read, the content says so.
    pub async fn walk(&self, containerd: &Containerd, image: &ImageId) -> Result<Tree, CallError> {
        let mut walk = Walk::default();
        let mut due = VecDeque::from(walk.go_to(image.digest(), std::slice::from_ref(image.digest())));
        while let Some(digest) = due.pop_front() {
            let Some(read) = self.read(containerd, &mut walk, &digest, Role::Manifest).await? else {
                continue;
            };
            match &read.document {
                Ok(Document::Index(manifests)) => due.extend(walk.go_to(&digest, manifests)),
                Ok(Document::Manifest { config, layers }) => {
                    let layers = walk.go_to(&digest, layers);
                    walk.tree.blobs.extend(layers);
                    for config in walk.go_to(&digest, std::slice::from_ref(config)) {
                        self.walk_to_config(containerd, &mut walk, config).await?;
                    }
                }
                Ok(Document::Config(_) | Document::Other) | Err(_) => {}
            }
        }
        Ok(walk.tree)
    }

    async fn walk_to_config(
        &self,
        containerd: &Containerd,
        walk: &mut Walk,
        digest: Digest,
    ) -> Result<(), CallError> {
        let read = self.read(containerd, walk, &digest, Role::Config).await?;
        let chains = match read.as_deref() {
            Some(Read { document: Ok(Document::Config(chains)), .. }) => walk.unpack(&digest, chains),
            _ => Vec::new(),
        };
        walk.tree.content.configs.push(Config { digest, chains });
        Ok(())
    }

    /// Reads a document on the way, if it is there and the way was not too long.
    async fn read(
        &self,
        containerd: &Containerd,
        walk: &mut Walk,
        digest: &Digest,
        role: Role,
    ) -> Result<Option<Arc<Read>>, CallError> {
        if let Some(flaw) = walk.exhaustion() {
            walk.doubt(digest, flaw);
            return Ok(None);
        }
        let read = self.document(containerd, digest, role).await?;
        walk.documents += 1;
        match &read {
            Some(read) => walk.take_note(digest, read),
            None => walk.tree.content.partial |= role == Role::Manifest,
        }
        Ok(read)
    }

    async fn document(
        &self,
        containerd: &Containerd,
        digest: &Digest,
        role: Role,
    ) -> Result<Option<Arc<Read>>, CallError> {
        let key = (digest.clone(), role);
        if let Some(read) = self.documents.get(&key) {
            return Ok(Some(read));
        }
        let mut blob = containerd.read_blob(digest, SMALL).await?;
        let turn = match blob {
            Some(Blob::Larger) => self.large.acquire().await.ok(),
            _ => None,
        };
        if turn.is_some() {
            blob = containerd.read_blob(digest, DOCUMENT_MAX).await?;
        }
        let Some(read) = blob.map(|blob| Arc::new(Read::of(digest, blob, role))) else {
            return Ok(None);
        };
        // Content that is not what its digest says can be put right.
        if read.document != Err(Flaw::Mismatch) {
            self.documents.insert(key, Arc::clone(&read));
        }
        Ok(Some(read))
    }
}

impl Read {
    fn of(digest: &Digest, blob: Blob, role: Role) -> Self {
        match blob {
            Blob::Larger => Self { document: Err(Flaw::TooLarge(DOCUMENT_MAX)), bytes: DOCUMENT_MAX },
            Blob::Whole(content) if !digest.is_of(&content) => {
                Self { document: Err(Flaw::Mismatch), bytes: content.len() }
            }
            Blob::Whole(content) => Self { document: Document::parse(&content, role), bytes: content.len() },
        }
    }
}

/// A walk from one target, and how far it has gone.
#[derive(Debug, Default)]
struct Walk {
    tree: Tree,
    seen: HashSet<Digest>,
    documents: usize,
    bytes: usize,
    parts: usize,
}

impl Walk {
    /// What a document leads to and was not seen before, each blob once.
    fn go_to(&mut self, document: &Digest, digests: &[Digest]) -> Vec<Digest> {
        let mut fresh = Vec::new();
        for digest in digests.iter().filter(|digest| self.seen.insert((*digest).clone())) {
            if self.parts == PARTS_MAX {
                self.doubt(document, Flaw::TooMany(PARTS_MAX));
                break;
            }
            self.parts += 1;
            fresh.push(digest.clone());
        }
        fresh
    }

    /// The layers of a config as they are unpacked.
    fn unpack(&mut self, config: &Digest, chains: &[ChainId]) -> Vec<ChainId> {
        if self.parts + chains.len() > PARTS_MAX {
            self.doubt(config, Flaw::TooMany(PARTS_MAX));
            return Vec::new();
        }
        self.parts += chains.len();
        chains.to_vec()
    }

    fn take_note(&mut self, digest: &Digest, read: &Read) {
        self.tree.blobs.push(digest.clone());
        self.bytes += read.bytes;
        if let Err(flaw) = read.document {
            self.doubt(digest, flaw);
        }
    }

    /// Why the walk must not go on, if it must not.
    const fn exhaustion(&self) -> Option<Flaw> {
        if self.documents >= DOCUMENTS_MAX {
            return Some(Flaw::TooFar(DOCUMENTS_MAX));
        }
        if self.bytes >= BYTES_MAX {
            return Some(Flaw::TooMuch(BYTES_MAX));
        }
        None
    }

    fn doubt(&mut self, document: &Digest, flaw: Flaw) {
        let illegible = || Illegible { document: document.clone(), flaw };
        self.tree.content.illegible.get_or_insert_with(illegible);
    }
}
