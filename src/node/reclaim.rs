//! What left the disk, measured.
//!
//! Before the collection every blob and every snapshot of the images that are to go is looked up, with its size; after it,
//! which of *those* are still there, for this namespace or another. The difference is what was reclaimed. What others removed
//! meanwhile is not among them, so it is never counted; and what several images share is counted once, for the first of them.

use std::collections::{BTreeSet, HashMap, HashSet};

use futures::{StreamExt, TryStreamExt, stream};

use super::blobs::Stored;
use super::client::Containerd;
use super::error::CallError;
use super::survey::Survey;
use super::trees::Tree;
use crate::image::{ChainId, Digest, ImageId};

/// How many calls about single things are under way at once.
const CONCURRENCY: usize = 32;
/// Past this many things, one listing of everything costs less than a call for each.
const FEW: usize = 64;

/// What the images that are to go have on the disk, in bytes.
#[derive(Debug, Default)]
pub(super) struct Holdings {
    blobs: HashMap<Digest, Stored>,
    snapshots: HashMap<Snapshot, u64>,
}

/// A snapshot and the snapshotter that has it.
pub(super) type Snapshot = (String, ChainId);

/// One thing on the disk, which several images may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Part<'a> {
    /// A blob of the content store.
    Blob(&'a Digest),
    /// An unpacked layer.
    Snapshot(&'a Snapshot),
}

/// What of the holdings is still there.
#[derive(Debug)]
pub(super) struct Remainder {
    /// The blobs.
    pub(super) blobs: HashMap<Digest, Stored>,
    /// Blobs that are on the disk for another namespace.
    elsewhere: HashSet<Digest>,
    snapshots: HashSet<Snapshot>,
}

/// What is gone of the holdings, and not yet counted.
#[derive(Debug, Default)]
pub(super) struct Reclaimed {
    blobs: HashMap<Digest, u64>,
    snapshots: HashMap<ChainId, u64>,
}

impl Holdings {
    /// Looks up everything that these images lead to.
    pub(super) async fn of(
        containerd: &Containerd,
        survey: &Survey,
        images: &BTreeSet<&ImageId>,
    ) -> Result<Self, CallError> {
        let trees = || images.iter().filter_map(|image| survey.trees.get(*image));
        let wanted: HashSet<Digest> = trees().flat_map(|tree| tree.blobs.iter().cloned()).collect();
        let blobs = stored(containerd, wanted).await?;
        let mut snapshots = HashSet::new();
        for config in trees().flat_map(|tree| &tree.content.configs) {
            for snapshotter in blobs.get(&config.digest).into_iter().flat_map(|blob| &blob.snapshotters) {
                snapshots.extend(config.chains.iter().map(|chain| (snapshotter.clone(), chain.clone())));
            }
        }
        let size = |snapshot: Snapshot| async move {
            let size = containerd.snapshot_size(&snapshot.0, &snapshot.1).await?;
            Ok::<_, CallError>(size.map(|size| (snapshot, size)))
        };
        let sizes: Vec<_> =
            stream::iter(snapshots).map(size).buffer_unordered(CONCURRENCY).try_collect().await?;
        Ok(Self { blobs, snapshots: sizes.into_iter().flatten().collect() })
    }

    /// The snapshotters in which the images are unpacked by what their configs keep.
    pub(super) fn snapshotters(&self) -> BTreeSet<&str> {
        snapshotters(&self.blobs)
    }

    /// The sizes of what each of the images has, in bytes.
    pub(super) fn parts<'a>(
        &'a self,
        survey: &'a Survey,
        images: &BTreeSet<&ImageId>,
    ) -> HashMap<ImageId, HashMap<Part<'a>, u64>> {
        let by_chain: HashMap<&ChainId, Vec<(&Snapshot, u64)>> =
            self.snapshots.iter().fold(HashMap::new(), |mut by_chain, (snapshot, size)| {
                by_chain.entry(&snapshot.1).or_insert_with(Vec::new).push((snapshot, *size));
                by_chain
            });
        let parts = |tree: &'a Tree| {
            let blobs = tree
                .blobs
                .iter()
                .filter_map(|digest| Some((Part::Blob(digest), self.blobs.get(digest)?.size)));
            let snapshots = tree
                .content
                .configs
                .iter()
                .flat_map(|config| &config.chains)
                .filter_map(|chain| by_chain.get(chain))
                .flatten()
                .map(|(snapshot, size)| (Part::Snapshot(snapshot), *size));
            blobs.chain(snapshots).collect()
        };
        images.iter().filter_map(|image| Some(((*image).clone(), parts(survey.trees.get(*image)?)))).collect()
    }

    /// Looks what is still there.
    pub(super) async fn remainder(&self, containerd: &Containerd) -> Result<Remainder, CallError> {
        let blobs = stored(containerd, self.blobs.keys().cloned().collect());
        let (blobs, snapshots, others) = tokio::try_join!(
            blobs,
            snapshots_among(containerd, &self.snapshots),
            containerd.other_namespaces()
        )?;
        let gone: HashSet<Digest> =
            self.blobs.keys().filter(|digest| !blobs.contains_key(*digest)).cloned().collect();
        let mut elsewhere = HashSet::new();
        for other in others.iter().filter(|_| !gone.is_empty()) {
            elsewhere.extend(stored(other, gone.clone()).await?.into_keys());
        }
        Ok(Remainder { blobs, elsewhere, snapshots })
    }

    /// Whether the collector has taken an image away, so that no record kept it.
    pub(super) fn has_lost(&self, image: &ImageId, remainder: &Remainder) -> bool {
        self.blobs.contains_key(image.digest()) && !remainder.blobs.contains_key(image.digest())
    }

    /// Says what is gone.
    pub(super) fn gone(self, remainder: &Remainder) -> Reclaimed {
        let mut reclaimed = Reclaimed::default();
        let is_gone =
            |digest: &Digest| !remainder.blobs.contains_key(digest) && !remainder.elsewhere.contains(digest);
        let blobs = self.blobs.into_iter().filter(|(digest, _)| is_gone(digest));
        reclaimed.blobs.extend(blobs.map(|(digest, stored)| (digest, stored.size)));
        for ((_, chain), size) in
            self.snapshots.into_iter().filter(|(key, _)| !remainder.snapshots.contains(key))
        {
            *reclaimed.snapshots.entry(chain).or_default() += size;
        }
        reclaimed
    }
}

impl Reclaimed {
    /// Counts what was reclaimed of an image and of nothing counted before, in bytes.
    pub(super) fn take(&mut self, survey: &Survey, image: &ImageId) -> u64 {
        let Some(tree) = survey.trees.get(image) else {
            return 0;
        };
        let blobs: u64 = tree.blobs.iter().filter_map(|blob| self.blobs.remove(blob)).sum();
        let chains = tree.content.configs.iter().flat_map(|config| &config.chains);
        let snapshots: u64 = chains.filter_map(|chain| self.snapshots.remove(chain)).sum();
        blobs + snapshots
    }
}

/// The snapshotters in which images are unpacked by what these of their configs keep.
pub(super) fn snapshotters(blobs: &HashMap<Digest, Stored>) -> BTreeSet<&str> {
    blobs.values().flat_map(|stored| &stored.snapshotters).map(String::as_str).collect()
}

/// Which of these blobs are there, and what is known of each.
pub(super) async fn stored(
    containerd: &Containerd,
    wanted: HashSet<Digest>,
) -> Result<HashMap<Digest, Stored>, CallError> {
    if wanted.len() > FEW {
        return containerd.blobs(&wanted).await;
    }
    let look = |digest: Digest| async move {
        Ok::<_, CallError>(containerd.blob(&digest).await?.map(|stored| (digest, stored)))
    };
    let found: Vec<_> = stream::iter(wanted).map(look).buffer_unordered(CONCURRENCY).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

async fn snapshots_among(
    containerd: &Containerd,
    before: &HashMap<Snapshot, u64>,
) -> Result<HashSet<Snapshot>, CallError> {
    if before.len() <= FEW {
        let look = |snapshot: Snapshot| async move {
            let there = containerd.has_snapshot(&snapshot.0, &snapshot.1).await?;
            Ok::<_, CallError>(there.then_some(snapshot))
        };
        let snapshots = stream::iter(before.keys().cloned());
        let found: Vec<_> = snapshots.map(look).buffer_unordered(CONCURRENCY).try_collect().await?;
        return Ok(found.into_iter().flatten().collect());
    }
    let mut by_snapshotter: HashMap<&str, HashSet<ChainId>> = HashMap::new();
    for (snapshotter, chain) in before.keys() {
        by_snapshotter.entry(snapshotter).or_default().insert(chain.clone());
    }
    let mut present = HashSet::new();
    for (snapshotter, chains) in by_snapshotter {
        let found = containerd.snapshots_present(snapshotter, &chains).await?;
        present.extend(found.into_iter().map(|chain| (snapshotter.to_owned(), chain)));
    }
    Ok(present)
}
