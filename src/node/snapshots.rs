//! containerd's snapshotters, each by its name.

use std::collections::HashSet;

use containerd_client::services::v1::snapshots::snapshots_client::SnapshotsClient;
use containerd_client::services::v1::snapshots::{
    Info, ListSnapshotsRequest, StatSnapshotRequest, UsageRequest,
};

use super::client::{Containerd, LONG_DEADLINE, MESSAGE_MAX, Service, call, within};
use super::error::{CallError, had};
use crate::image::ChainId;

/// What the snapshot of an unpacked layer has, but not where an older client has unpacked it.
const UNPACKED_LABEL: &str = "containerd.io/snapshot.ref";

/// What keeps a snapshot that nothing refers to.
const ROOT_LABEL: &str = "containerd.io/gc.root";

fn chain(name: &str) -> Option<ChainId> {
    name.parse().ok().map(ChainId::new)
}

impl Containerd {
    fn snapshots(&self) -> SnapshotsClient<Service> {
        SnapshotsClient::new(self.service()).max_decoding_message_size(MESSAGE_MAX)
    }

    /// What a snapshot lies on; none if it is not there or lies on nothing that is unpacked from an image.
    pub async fn snapshot_parent(&self, snapshotter: &str, key: &str) -> Result<Option<ChainId>, CallError> {
        Ok(self.snapshot_info(snapshotter, key).await?.and_then(|info| chain(&info.parent)))
    }

    /// The same for a container with a user namespace. Between its snapshot and what is unpacked from an image there may be a copy
    /// with other owners of the files (`WithUserNSRemappedSnapshot` of containerd's client), which is named like a layer since
    /// containerd 2.
    pub async fn snapshot_parent_beneath_copy(
        &self,
        snapshotter: &str,
        key: &str,
    ) -> Result<Option<ChainId>, CallError> {
        let Some(own) = self.snapshot_info(snapshotter, key).await? else { return Ok(None) };
        let Some(parent) = self.snapshot_info(snapshotter, &own.parent).await? else { return Ok(None) };
        let is_unpacked =
            parent.labels.contains_key(UNPACKED_LABEL) || self.is_root_of_config(&own.parent).await?;
        Ok(chain(if is_unpacked { &own.parent } else { &parent.parent }))
    }

    async fn snapshot_info(&self, snapshotter: &str, key: &str) -> Result<Option<Info>, CallError> {
        let request = StatSnapshotRequest { snapshotter: snapshotter.to_owned(), key: key.to_owned() };
        let answer = had(call("snapshots.Stat", key, self.snapshots().stat(request)).await)?;
        Ok(answer.and_then(|answer| answer.info))
    }

    /// The snapshots that are written to, by their keys, and what each lies on that is unpacked from an image. Not those that are kept
    /// for their own sake (`ctr snapshots prepare`): no client keeps what it makes for a container so.
    pub(super) async fn active_snapshots(
        &self,
        snapshotter: &str,
    ) -> Result<Vec<(String, ChainId)>, CallError> {
        let filters = vec!["kind==active".to_owned()];
        let request = ListSnapshotsRequest { snapshotter: snapshotter.to_owned(), filters };
        let listing = within(LONG_DEADLINE, "snapshots.List", snapshotter, async {
            let mut active = Vec::new();
            let mut answers = self.snapshots().list(request).await?.into_inner();
            while let Some(answer) = answers.message().await? {
                let on_image = |info: Info| {
                    let is_somebodys = info.labels.contains_key(ROOT_LABEL);
                    Some((info.name, chain(&info.parent)?)).filter(|_| !is_somebodys)
                };
                active.extend(answer.info.into_iter().filter_map(on_image));
            }
            Ok(active)
        });
        Ok(had(listing.await)?.unwrap_or_default())
    }

    /// The bytes that a snapshot takes by itself, without what it lies on; none if it is not there.
    pub async fn snapshot_size(&self, snapshotter: &str, key: &ChainId) -> Result<Option<u64>, CallError> {
        let request = UsageRequest { snapshotter: snapshotter.to_owned(), key: key.to_string() };
        let answer = call("snapshots.Usage", key.as_str(), self.snapshots().usage(request)).await;
        Ok(had(answer)?.map(|usage| usage.size.try_into().unwrap_or_default()))
    }

    /// Whether a snapshot is there.
    pub async fn has_snapshot(&self, snapshotter: &str, key: &ChainId) -> Result<bool, CallError> {
        let request = StatSnapshotRequest { snapshotter: snapshotter.to_owned(), key: key.to_string() };
        Ok(had(call("snapshots.Stat", key.as_str(), self.snapshots().stat(request)).await)?.is_some())
    }

    /// Which of these snapshots are there.
    pub async fn snapshots_present(
        &self,
        snapshotter: &str,
        keys: &HashSet<ChainId>,
    ) -> Result<HashSet<ChainId>, CallError> {
        let request = ListSnapshotsRequest { snapshotter: snapshotter.to_owned(), filters: Vec::new() };
        let listing = within(LONG_DEADLINE, "snapshots.List", snapshotter, async {
            let mut present = HashSet::new();
            let mut answers = self.snapshots().list(request).await?.into_inner();
            while let Some(answer) = answers.message().await? {
                let names =
                    answer.info.into_iter().filter_map(|info| info.name.parse().ok().map(ChainId::new));
                present.extend(names.filter(|name| keys.contains(name)));
            }
            Ok(present)
        });
        Ok(had(listing.await)?.unwrap_or_default())
    }
}
