//! What a node says of a deletion when that is over.

use super::attempt::{Attempts, Standing};
use super::cluster::Place;
use super::draft::Draft;
use super::error::ApiError;
use super::known::Known;
use super::membership::is_over;
use super::queue::Key;
use crate::api::deletion::ImageDeletion;

impl Attempts {
    /// The deadline of a deletion has passed, as far as is known: says so where it was reported before, and why where it could not be
    /// done. That takes neither containerd nor a turn on the node, which may be what is missing. `Held` where it is not over.
    pub(super) async fn give_up(
        &self,
        key: &Key,
        known: &Known,
        draft: &mut Draft,
        hindrance: Option<String>,
    ) -> Result<Standing, ApiError> {
        let Some(deletion) = self.look(key, known, draft).await? else { return Ok(Standing::Done) };
        draft.see(&deletion);
        if !is_over(&deletion, self.cluster.now()) {
            return Ok(Standing::Held);
        }
        draft.failure = hindrance.or(draft.failure.take());
        if self.membership.joined_after(&deletion).await?
            || self.catch_up(&key.uid, draft).await? == Standing::Done
        {
            return Ok(Standing::Done);
        }
        self.conclude(&deletion, draft).await?;
        Ok(Standing::Done)
    }

    /// Goes on from the report that may be there. `Done` where that is final.
    pub(super) async fn catch_up(&self, uid: &str, draft: &mut Draft) -> Result<Standing, ApiError> {
        if draft.may_have_report
            && let Some(report) = self.cluster.report(uid).await?
        {
            if report.spec.completion_time.is_some() {
                return Ok(Standing::Done);
            }
            draft.resume(report.spec);
        }
        draft.may_have_report = false;
        Ok(Standing::Held)
    }

    /// At its deadline a deletion that waits has come to its end here, as it was reported; one that could not be done, with the reason.
    pub(super) async fn conclude(&self, deletion: &ImageDeletion, draft: &mut Draft) -> Result<(), ApiError> {
        let is_going = deletion.metadata.deletion_timestamp.is_some();
        if is_going || !is_over(deletion, self.cluster.now()) {
            return Ok(());
        }
        let place = match (draft.has_reported(), deletion.is_finished()) {
            (true, true) => Place::Last,
            (true, false) => Place::Taken,
            (false, true) => return Ok(()),
            (false, false) if draft.failure.is_none() || !self.membership.selects(deletion).await? => {
                return Ok(());
            }
            (false, false) => Place::Free,
        };
        if let Some(cause) = draft.failure.take() {
            draft.give_up(deletion, &cause);
            draft.failure = Some(cause);
        }
        self.report_at(place, deletion, draft, Standing::Done).await.map(drop)
    }

    /// The deletion is finished, or gone, before this node has told the end of what it reported: where thousands wait for a deadline,
    /// the controller does not wait for all of them. Whether it is gone the report shows, so nobody asks.
    pub(super) async fn end(&self, draft: &mut Draft) -> Result<(), ApiError> {
        let Some(deletion) = draft.deletion.clone().filter(|_| draft.has_reported()) else { return Ok(()) };
        let uid = deletion.metadata.uid.clone().unwrap_or_default();
        if self.catch_up(&uid, draft).await? != Standing::Done {
            self.report_at(Place::Last, &deletion, draft, Standing::Done).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
