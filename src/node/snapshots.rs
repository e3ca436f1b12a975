//! containerd's snapshotters, each by its name.

use std::collections::HashSet;

use containerd_client::services::v1::snapshots::snapshots_client::SnapshotsClient;
use containerd_client::services::v1::snapshots::{
    Info, ListSnapshotsRequest, StatSnapshotRequest, StatSnapshotResponse, UsageRequest,
};

use super::client::{Containerd, LONG_DEADLINE, MESSAGE_MAX, Service, call, within};
use super::error::{CallError, had};
use crate::image::ChainId;

/// What the snapshot of an unpacked layer has, but not where an older client has unpacked it.
const UNPACKED_LABEL: &str = "containerd.io/snapshot.ref";
/// What keeps a snapshot that nothing refers to.
const ROOT_LABEL: &str = "containerd.io/gc.root";

/// What came of a question to a snapshotter.
enum Reached<T> {
    /// The answer.
    Found(T),
    /// There is no such snapshot, or no such snapshotter.
    Absent,
    /// It is not there to be asked, or cannot say.
    Silent,
}

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
        Ok(had(self.stat_snapshot(snapshotter, key).await)?.and_then(|answer| answer.info))
    }

    async fn stat_snapshot(&self, snapshotter: &str, key: &str) -> Result<StatSnapshotResponse, CallError> {
        let request = StatSnapshotRequest { snapshotter: snapshotter.to_owned(), key: key.to_owned() };
        call("snapshots.Stat", key, self.snapshots().stat(request)).await
    }

    /// The snapshots that are written to, by their keys, and the snapshot that each lies on. Not those that are kept for their own
    /// sake (`ctr snapshots prepare`): no client keeps what it makes for a container so.
    pub(super) async fn active_snapshots(
        &self,
        snapshotter: &str,
    ) -> Result<Vec<(String, String)>, CallError> {
        let active = self.reach(snapshotter, CallError::is_absence, async || {
            self.snapshots_that(snapshotter, "kind==active", |info| {
                let is_somebodys = info.labels.contains_key(ROOT_LABEL);
                Some((info.name, info.parent)).filter(|_| !is_somebodys)
            })
            .await
        });
        Ok(active.await?.found().unwrap_or_default())
    }

    /// The bytes that a snapshot takes by itself, without what it lies on; none if it is not there, or nobody can say.
    pub async fn snapshot_size(&self, snapshotter: &str, key: &ChainId) -> Result<Option<u64>, CallError> {
        let usage = self.reach(snapshotter, CallError::has_code, async || {
            let request = UsageRequest { snapshotter: snapshotter.to_owned(), key: key.to_string() };
            call("snapshots.Usage", key.as_str(), self.snapshots().usage(request)).await
        });
        Ok(usage.await?.found().map(|usage| usage.size.try_into().unwrap_or_default()))
    }

    /// Whether a snapshot is there, as far as anybody can say.
    pub async fn has_snapshot(&self, snapshotter: &str, key: &ChainId) -> Result<bool, CallError> {
        let stat = self.reach(snapshotter, CallError::has_code, async || {
            self.stat_snapshot(snapshotter, key.as_str()).await
        });
        Ok(!matches!(stat.await?, Reached::Absent))
    }

    /// Which of these snapshots are there, as far as anybody can say.
    pub async fn snapshots_present(
        &self,
        snapshotter: &str,
        keys: &HashSet<ChainId>,
    ) -> Result<HashSet<ChainId>, CallError> {
        let present = self.reach(snapshotter, CallError::has_code, async || {
            self.snapshots_that(snapshotter, "", |info| chain(&info.name).filter(|key| keys.contains(key)))
                .await
        });
        Ok(match present.await? {
            Reached::Found(present) => present.into_iter().collect(),
            Reached::Absent => HashSet::new(),
            Reached::Silent => keys.clone(),
        })
    }

    async fn snapshots_that<T>(
        &self,
        snapshotter: &str,
        filter: &str,
        mut take: impl FnMut(Info) -> Option<T>,
    ) -> Result<Vec<T>, CallError> {
        let filters = Some(filter.to_owned()).filter(|filter| !filter.is_empty()).into_iter().collect();
        let request = ListSnapshotsRequest { snapshotter: snapshotter.to_owned(), filters };
        within(LONG_DEADLINE, "snapshots.List", snapshotter, async {
            let mut taken = Vec::new();
            let mut answers = self.snapshots().list(request).await?.into_inner();
            while let Some(answer) = answers.message().await? {
                taken.extend(answer.info.into_iter().filter_map(&mut take));
            }
            Ok(taken)
        })
        .await
    }

    /// Asks a snapshotter, and once more where an error of it `is_final`: then what it has is neither looked at nor
    /// counted. One that is a process of its own may be away while containerd is there, and one that cannot tell a size keeps no
    /// image from its end.
    async fn reach<T>(
        &self,
        snapshotter: &str,
        is_final: impl Fn(&CallError) -> bool,
        ask: impl AsyncFn() -> Result<T, CallError>,
    ) -> Result<Reached<T>, CallError> {
        for asked_before in [false, true] {
            match had(ask().await) {
                Ok(Some(answer)) => return Ok(Reached::Found(answer)),
                Ok(None) => return Ok(Reached::Absent),
                Err(error) if !is_final(&error) => return Err(error),
                Err(error) if asked_before => tracing::warn!(%error, snapshotter, "it cannot say"),
                // Whether it is the snapshotter that is away, or the daemon.
                Err(_) => drop(self.version().await?),
            }
        }
        Ok(Reached::Silent)
    }
}

impl<T> Reached<T> {
    fn found(self) -> Option<T> {
        match self {
            Self::Found(answer) => Some(answer),
            Self::Absent | Self::Silent => None,
        }
    }
}
