//! Whether a deletion is still to be done, with as few requests as that takes.

use std::time::Duration;

use tokio::time::Instant;

use super::attempt::Attempts;
use super::draft::Draft;
use super::error::ApiError;
use super::known::Known;
use super::membership::is_over;
use super::queue::Key;
use crate::api::deletion::ImageDeletion;

/// What was known so short a time ago is acted upon. The watch tells nearly every agent right then that a new deletion has left it,
/// because of its first status: it does not say whether the deletion was removed, and to ask costs thousands of agents a request each.
const SOON: Duration = Duration::from_secs(10);

impl Attempts {
    /// The deletion as it is; `None` if it has come to its end, or is gone. What the watch has told of is not read again, and
    /// of a deletion that has left the watch no more is read than whether it has changed: its status may be long. Of one that has come to
    /// its end, what this node has reported is told to its end too.
    pub(super) async fn look(
        &self,
        key: &Key,
        known: &Known,
        draft: &mut Draft,
    ) -> Result<Option<ImageDeletion>, ApiError> {
        let found = self.find(key, known).await?;
        if found.is_none() {
            self.end(draft).await?;
        }
        Ok(found)
    }

    async fn find(&self, key: &Key, known: &Known) -> Result<Option<ImageDeletion>, ApiError> {
        if let Some(deletion) = known.current() {
            return Ok(Some(deletion.clone()));
        }
        let owner = key.owner();
        let Some(last) = known.last() else {
            return self.cluster.deletion(&owner).await;
        };
        let Some(now) = self.cluster.unfinished_one(&owner).await? else {
            return Ok(None);
        };
        let has_changed = now.metadata.generation != last.metadata.generation
            || now.metadata.deletion_timestamp != last.metadata.deletion_timestamp;
        if has_changed { self.cluster.deletion(&owner).await } else { Ok(Some(last.clone())) }
    }

    /// The deletion as it is right before the node acts on it, which may be long after it was `seen`: the pods were listed in between.
    /// `None` if it is not to be done any more; then it is concluded.
    pub(super) async fn still_due(
        &self,
        key: &Key,
        known: &Known,
        seen: Instant,
        deletion: ImageDeletion,
        draft: &mut Draft,
    ) -> Result<Option<ImageDeletion>, ApiError> {
        let now = match known.current().is_none() && seen.elapsed() >= SOON {
            true => self.look(key, known, draft).await?,
            false => Some(deletion),
        };
        let Some(deletion) = now else { return Ok(None) };
        if is_over(&deletion, self.cluster.now()) {
            self.conclude(&deletion, draft).await?;
            return Ok(None);
        }
        Ok(Some(deletion))
    }
}

#[cfg(test)]
mod tests;
