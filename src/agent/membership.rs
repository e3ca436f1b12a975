//! Which deletions this node is part of.

use jiff::Timestamp;
use kube::ResourceExt;
use tokio::sync::OnceCell;

use super::cluster::Cluster;
use super::error::ApiError;
use crate::api::deletion::ImageDeletion;
use crate::api::selector::NodeSelector;

/// This node, as far as that matters.
pub struct Membership {
    cluster: Cluster,
    /// When the node joined the cluster; it does not change, so it is asked for once.
    joined: OnceCell<Timestamp>,
}

impl Membership {
    /// The membership of the cluster's node.
    pub fn new(cluster: Cluster) -> Self {
        Self { cluster, joined: OnceCell::new() }
    }

    /// Reads what does not change, so that it need not be read when a deletion comes.
    pub async fn prepare(&self) -> Result<(), ApiError> {
        self.joined().await.map(|_| ())
    }

    /// Whether the node acts on the deletion now: it is under way, was created when the node was there already, and selects
    /// the node by its labels, which do not matter any more once the node has reported.
    pub async fn acts_on(&self, deletion: &ImageDeletion, has_reported: bool) -> Result<bool, ApiError> {
        if is_over(deletion, self.cluster.now()) || self.joined_after(deletion).await? {
            return Ok(false);
        }
        if has_reported || deletion.spec.node_selector.is_none() {
            return Ok(true);
        }
        Ok(NodeSelector::of(&deletion.spec).selects(self.cluster.node().await?.labels()))
    }

    async fn joined_after(&self, deletion: &ImageDeletion) -> Result<bool, ApiError> {
        let Some(created) = &deletion.metadata.creation_timestamp else {
            return Ok(false);
        };
        Ok(created.0 < self.joined().await?)
    }

    async fn joined(&self) -> Result<Timestamp, ApiError> {
        let joined = self.joined.get_or_try_init(async || {
            let node = self.cluster.node().await?;
            Ok::<_, ApiError>(node.creation_timestamp().map_or(Timestamp::MIN, |time| time.0))
        });
        joined.await.copied()
    }
}

/// Whether no node acts on the deletion any more.
pub fn is_over(deletion: &ImageDeletion, now: Timestamp) -> bool {
    let is_going = deletion.metadata.deletion_timestamp.is_some();
    is_going || deletion.is_finished() || deletion.deadline().is_some_and(|deadline| deadline <= now)
}
