//! containerd's content store.

use std::collections::{BTreeSet, HashMap, HashSet};

use containerd_client::services::v1::content_client::ContentClient;
use containerd_client::services::v1::{
    Info, InfoRequest, ListContentRequest, ReadContentRequest, UpdateRequest, WriteAction,
    WriteContentRequest,
};
use prost_types::FieldMask;
use tonic::Status;

use super::client::{Containerd, DEADLINE, LONG_DEADLINE, MESSAGE_MAX, Service, call, within};
use super::error::{CallError, found};
use crate::image::{Digest, ImageId};

/// By this label, with whatever after it, one blob keeps another.
const CONTENT_REFERENCE: &str = "containerd.io/gc.ref.content";
/// By this label, with a snapshotter's name after it, a config keeps the root file system that it describes.
const SNAPSHOT_REFERENCE: &str = "containerd.io/gc.ref.snapshot.";

/// How many bytes of a blob are written in one message. containerd takes 16 MiB at most.
const PART: usize = 4 << 20;
/// How many times what keeps a blob is itself looked for: a config is kept by a manifest and that by an index, so an index may
/// be in an index a dozen times over.
const LEVELS_MAX: usize = 16;

/// What the store knows of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// Its size in bytes.
    pub size: u64,
    /// The snapshotters in which it keeps a root file system; only a config does.
    pub snapshotters: BTreeSet<String>,
    /// Whether it keeps other blobs.
    pub keeps_blobs: bool,
}

/// What was read of a blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blob {
    /// All of it.
    Whole(Vec<u8>),
    /// Nothing, for it is larger than was asked for.
    Larger,
}

impl Stored {
    fn read(info: &Info) -> Self {
        Self {
            size: info.size.try_into().unwrap_or_default(),
            snapshotters: snapshot_labels(info).map(snapshotter).map(str::to_owned).collect(),
            keeps_blobs: info.labels.keys().any(|key| key.starts_with(CONTENT_REFERENCE)),
        }
    }
}

impl Containerd {
    fn content(&self) -> ContentClient<Service> {
        ContentClient::new(self.service()).max_decoding_message_size(MESSAGE_MAX)
    }

    /// A blob, if it has at most `limit` bytes; none if it is not there.
    pub async fn read_blob(&self, digest: &Digest, limit: usize) -> Result<Option<Blob>, CallError> {
        let one_more = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
        let request = ReadContentRequest { digest: digest.to_string(), offset: 0, size: one_more };
        let reading = within(DEADLINE, "content.Read", digest.as_str(), async {
            let mut blob = Vec::new();
            let mut answers = self.content().read(request).await?.into_inner();
            while let Some(answer) = answers.message().await? {
                if blob.len() + answer.data.len() > limit {
                    return Ok(Blob::Larger);
                }
                blob.extend(answer.data);
            }
            Ok(Blob::Whole(blob))
        });
        found(reading.await)
    }

    /// What the store knows of a blob; none if it is not there.
    async fn blob_info(&self, digest: &Digest) -> Result<Option<Info>, CallError> {
        let request = InfoRequest { digest: digest.to_string() };
        let answer = found(call("content.Info", digest.as_str(), self.content().info(request)).await)?;
        Ok(answer.and_then(|answer| answer.info))
    }

    /// What is known of one blob; none if it is not there.
    pub async fn blob(&self, digest: &Digest) -> Result<Option<Stored>, CallError> {
        Ok(self.blob_info(digest).await?.as_ref().map(Stored::read))
    }

    /// Calls `visit` with every blob of the namespace.
    async fn each_blob(&self, mut visit: impl FnMut(Info)) -> Result<(), CallError> {
        let request = ListContentRequest { filters: Vec::new() };
        within(LONG_DEADLINE, "content.List", "", async {
            let mut answers = self.content().list(request).await?.into_inner();
            while let Some(answer) = answers.message().await? {
                answer.info.into_iter().for_each(&mut visit);
            }
            Ok(())
        })
        .await
    }

    /// What is known of those of these blobs that are there.
    pub async fn blobs(&self, wanted: &HashSet<Digest>) -> Result<HashMap<Digest, Stored>, CallError> {
        let mut stored = HashMap::new();
        self.each_blob(|info| {
            if let Some(digest) = wanted.get(info.digest.as_str()) {
                stored.insert(digest.clone(), Stored::read(&info));
            }
        })
        .await?;
        Ok(stored)
    }

    /// Whether a config keeps this snapshot as its root file system.
    pub async fn is_root_of_config(&self, snapshot: &str) -> Result<bool, CallError> {
        let mut is_kept = false;
        self.each_blob(|info| is_kept |= snapshot_labels(&info).any(|label| info.labels[label] == snapshot))
            .await?;
        Ok(is_kept)
    }

    /// Everything that keeps each of these blobs, itself included, up to the indexes: by the labels of the blobs, without reading any.
    /// One pass over the store; none of a blob where there are more levels than are followed.
    pub async fn holders_of(&self, blobs: &[&Digest]) -> Result<Vec<Option<HashSet<Digest>>>, CallError> {
        let mut above: HashMap<String, Vec<Digest>> = HashMap::new();
        self.each_blob(|info| {
            let references = info.labels.iter().filter(|(key, _)| key.starts_with(CONTENT_REFERENCE));
            if let Ok(holder) = info.digest.parse::<Digest>() {
                for (_, kept) in references {
                    above.entry(kept.clone()).or_default().push(holder.clone());
                }
            }
        })
        .await?;
        Ok(blobs.iter().map(|blob| climb(blob, &above)).collect())
    }

    /// Lets a config keep no root file system any longer. Says whether it did.
    pub async fn release_snapshots(&self, config: &Digest) -> Result<bool, CallError> {
        let Some(info) = self.blob_info(config).await? else {
            return Ok(false);
        };
        let labels: Vec<String> = snapshot_labels(&info).map(str::to_owned).collect();
        if labels.is_empty() {
            return Ok(false);
        }
        let paths = labels.iter().map(|label| format!("labels.{label}")).collect();
        let emptied = labels.into_iter().map(|label| (label, String::new())).collect();
        self.update_labels(config, emptied, paths).await?;
        Ok(true)
    }

    /// Lets a blob keep nothing any longer.
    pub async fn clear_labels(&self, digest: &Digest) -> Result<(), CallError> {
        self.update_labels(digest, HashMap::new(), vec!["labels".to_owned()]).await
    }

    async fn update_labels(
        &self,
        digest: &Digest,
        labels: HashMap<String, String>,
        paths: Vec<String>,
    ) -> Result<(), CallError> {
        let info = Info { digest: digest.to_string(), labels, ..Info::default() };
        let request = UpdateRequest { info: Some(info), update_mask: Some(FieldMask { paths }) };
        found(call("content.Update", digest.as_str(), self.content().update(request)).await).map(|_| ())
    }

    /// Writes a blob that keeps these others.
    pub async fn write_blob<'a>(
        &self,
        digest: &Digest,
        data: &[u8],
        keeps: impl Iterator<Item = &'a ImageId>,
    ) -> Result<(), CallError> {
        let labels = keeps
            .enumerate()
            .map(|(index, image)| (format!("{CONTENT_REFERENCE}.secateur.{index}"), image.to_string()))
            .collect();
        let message = |offset: usize, data: Vec<u8>| WriteContentRequest {
            action: WriteAction::Write.into(),
            r#ref: format!("secateur-{}", digest.encoded()),
            offset: offset.try_into().unwrap_or_default(),
            data,
            ..WriteContentRequest::default()
        };
        let parts = data.chunks(PART).enumerate();
        let mut messages: Vec<_> = parts.map(|(index, part)| message(index * PART, part.to_vec())).collect();
        let last = messages.pop().unwrap_or_else(|| message(0, Vec::new()));
        messages.push(WriteContentRequest {
            action: WriteAction::Commit.into(),
            total: data.len().try_into().unwrap_or_default(),
            expected: digest.to_string(),
            labels,
            ..last
        });
        let writing = within(DEADLINE, "content.Write", digest.as_str(), async {
            let mut written = None;
            let mut answers = self.content().write(futures::stream::iter(messages)).await?.into_inner();
            while let Some(answer) = answers.message().await? {
                written = usize::try_from(answer.offset).ok();
            }
            match written == Some(data.len()) {
                true => Ok(()),
                false => Err(Status::internal("the daemon ended the write before everything was written")),
            }
        });
        writing.await
    }
}

/// A blob and all that is `above` it, level by level.
fn climb(blob: &Digest, above: &HashMap<String, Vec<Digest>>) -> Option<HashSet<Digest>> {
    let mut holders = HashSet::from([blob.clone()]);
    let mut level = vec![blob.clone()];
    for _ in 0..LEVELS_MAX {
        let next = level.iter().filter_map(|kept| above.get(kept.as_str())).flatten();
        let next: Vec<Digest> = next.filter(|holder| holders.insert((*holder).clone())).cloned().collect();
        if next.is_empty() {
            return Some(holders);
        }
        level = next;
    }
    None
}

/// The labels by which a blob keeps root file systems.
fn snapshot_labels(info: &Info) -> impl Iterator<Item = &str> {
    info.labels.keys().map(String::as_str).filter(|key| key.starts_with(SNAPSHOT_REFERENCE))
}

/// The snapshotter that such a label names. What is behind a slash only tells labels apart, as containerd's collector has it.
fn snapshotter(label: &str) -> &str {
    let name = label.strip_prefix(SNAPSHOT_REFERENCE).unwrap_or(label);
    name.split_once('/').map_or(name, |(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_keeps_a_blob_is_followed_up_to_a_bound() {
        let digest = |number: usize| format!("sha256:{number:064x}").parse::<Digest>().unwrap();
        let above = |levels: usize| -> HashMap<String, Vec<Digest>> {
            // Two keep each, one of them what is next, and the last one what was first.
            let other = digest(99);
            let keep = |level| (digest(level).to_string(), vec![digest((level + 1) % levels), other.clone()]);
            (0..levels).map(keep).collect()
        };
        let holders = climb(&digest(0), &above(LEVELS_MAX)).unwrap();
        assert_eq!(holders.len(), LEVELS_MAX + 1);
        assert_eq!(climb(&digest(0), &above(LEVELS_MAX + 2)), None);
        assert_eq!(climb(&digest(98), &above(3)), Some([digest(98)].into()));
    }

    #[test]
    fn a_snapshotter_is_named_once_whatever_tells_its_labels_apart() {
        let labels =
            ["snapshot.overlayfs", "snapshot.overlayfs/1", "snapshot.native/a/b", "content.0", "root"];
        let labels = labels.map(|label| (format!("containerd.io/gc.ref.{label}"), String::new()));
        let stored = Stored::read(&Info { size: 7, labels: labels.into(), ..Info::default() });
        let expected =
            Stored { size: 7, snapshotters: ["native".into(), "overlayfs".into()].into(), keeps_blobs: true };
        assert_eq!(stored, expected);
    }
}
