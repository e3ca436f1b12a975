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

    /// Whether the node acts on the deletion now: it is under way, and selects the node by its labels, which do not matter any more
    /// once the node has reported.
    pub async fn acts_on(&self, deletion: &ImageDeletion, has_reported: bool) -> Result<bool, ApiError> {
        if is_over(deletion, self.cluster.now()) {
            return Ok(false);
        }
        Ok(has_reported || self.selects(deletion).await?)
    }

    /// Whether the deletion selects the node by its labels.
    pub async fn selects(&self, deletion: &ImageDeletion) -> Result<bool, ApiError> {
        if deletion.spec.node_selector.is_none() {
            return Ok(true);
        }
        Ok(NodeSelector::of(&deletion.spec).selects(self.cluster.node().await?.labels()))
    }

    /// Whether the node was not there yet when the deletion was created, so that it is no part of it.
    pub async fn joined_after(&self, deletion: &ImageDeletion) -> Result<bool, ApiError> {
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::ready;

    use axum::body::Body;
    use axum::http::{Request, Response};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use kube::Client;
    use serde_json::json;
    use tower::service_fn;

    use super::*;
    use crate::agent::fixture;

    /// One of that name may have been there before, and have left a report.
    #[tokio::test]
    async fn a_node_is_no_part_of_what_was_created_before_it_joined() {
        let answer = |_: Request<_>| {
            let node = json!({"metadata": {"name": "node-a", "creationTimestamp": "2026-01-01T00:00:10Z"}});
            ready(Ok::<_, Infallible>(Response::new(Body::from(node.to_string()))))
        };
        let client = Client::new(service_fn(answer), "default");
        let membership = Membership::new(Cluster::new(client, "node-a"));
        let rows = [
            ("2026-01-01T00:00:09Z", true),
            ("2026-01-01T00:00:10Z", false),
            ("2026-01-02T00:00:00Z", false),
        ];
        for (created, expected) in rows {
            let mut deletion = fixture::deletion("drop", "5f2c");
            deletion.metadata.creation_timestamp = Some(Time(created.parse().unwrap()));
            assert_eq!(membership.joined_after(&deletion).await.unwrap(), expected, "{created}");
        }
    }
}
