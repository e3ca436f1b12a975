//! What a node says of a deletion when that is over.

use super::attempt::{Attempts, Standing};
use super::cluster::Place;
use super::draft::Draft;
use super::error::ApiError;
use crate::api::deletion::ImageDeletion;

impl Attempts {
    /// At its deadline a deletion that waits has come to its end here, as it was reported.
    pub(super) async fn conclude(&self, deletion: &ImageDeletion, draft: &mut Draft) -> Result<(), ApiError> {
        if deletion.metadata.deletion_timestamp.is_some() || !draft.has_reported() {
            return Ok(());
        }
        let place = if deletion.is_finished() { Place::Last } else { Place::Taken };
        self.report_at(place, deletion, draft, Standing::Done).await.map(drop)
    }

    /// The deletion is finished, or gone, before this node has told the end of what it reported: where thousands wait for a deadline,
    /// the controller does not wait for all of them. Whether it is gone the report shows, so nobody asks.
    pub(super) async fn end(&self, draft: &mut Draft) -> Result<(), ApiError> {
        let deletion = draft.deletion.clone();
        if let Some(deletion) = deletion.filter(|_| draft.has_reported()) {
            self.report_at(Place::Last, &deletion, draft, Standing::Done).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
