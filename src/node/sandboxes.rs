//! The sandboxes of pods, by which a node can tell that no pod has begun on it since some time.
//!
//! The kubelet makes a pod's sandbox first, and looks for the pod's images only when it has one. So a pod that was bound after
//! the pods were listed, and that counts on an image which it has found, has a sandbox that was not there before they were
//! listed. Where there is none, the list still tells of every pod that can lose something, and nobody is asked for another
//! while images are away. But for a pod that was there and is given another image or an ephemeral container in that short time: it
//! pulls, as if that had come a moment later.

use std::collections::HashSet;

use super::client::Containerd;
use super::error::{CallError, Error};
use super::operation::Node;

/// The sandboxes that there were, by ID. By default nobody knows, so that any may be new.
#[derive(Debug, Clone, Default)]
pub struct Sandboxes(Option<HashSet<String>>);

impl Node {
    /// The sandboxes that there are.
    pub async fn sandboxes(&self) -> Result<Sandboxes, Error> {
        Ok(Sandboxes(self.containerd.cri_sandboxes().await?))
    }
}

impl Sandboxes {
    /// Whether there may be one now that was not there then.
    pub(super) async fn may_have_grown(&self, containerd: &Containerd) -> Result<bool, CallError> {
        let Some(then) = &self.0 else { return Ok(true) };
        let now = containerd.cri_sandboxes().await?;
        Ok(now.is_none_or(|now| !now.is_subset(then)))
    }
}
