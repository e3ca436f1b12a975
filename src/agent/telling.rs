//! Telling the API server what came of a deletion, once and for sure.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::time::Instant;

use super::attempt::{Attempts, Standing};
use super::did::Did;
use super::draft::Draft;
use super::error::ApiError;
use super::membership::is_over;
use super::owner::Owner;
use crate::api::deletion::ImageDeletion;
use crate::api::report::ImageDeletionReport;
use crate::api::result::{ImageResult, Outcome};
use crate::backoff::Backoff;
use crate::node::Recovered;

/// The longest time between two tries to write a report.
const LONGEST: Duration = Duration::from_secs(5);
/// After so long without an answer the report is left to the node's journal, and others have their turn.
const PATIENCE: Duration = Duration::from_secs(60);

impl Attempts {
    /// Reports what came of a deletion, if there is something new to say.
    ///
    /// # Errors
    ///
    /// Where the API server does not take it. The node's journal has it still.
    pub(super) async fn report(
        &self,
        deletion: &ImageDeletion,
        draft: &mut Draft,
        standing: Standing,
    ) -> Result<(), ApiError> {
        let results = draft.listed(deletion);
        if standing == Standing::Held && draft.reported == results {
            self.count(&std::mem::take(&mut draft.uncounted));
            return Ok(());
        }
        let started = draft.begin(self.cluster.now()).clone();
        let completed = (standing == Standing::Done).then(|| Time(self.cluster.now()));
        let told = |results: Vec<ImageResult>| {
            ImageDeletionReport::of(
                deletion,
                self.cluster.node_name(),
                results,
                started.clone(),
                completed.clone(),
            )
        };
        let is_new = !draft.has_reported();
        match self.write(&told(results.clone()), is_new).await {
            Err(error) if error.is_final() => {
                self.write(&told(refused(&results, &error)), is_new).await?;
            }
            written => written?,
        }
        if !deletion.spec.dry_run {
            draft.new_conflicts(&results).for_each(|conflict| self.metrics.held(conflict));
        }
        if standing == Standing::Done {
            if !deletion.spec.dry_run {
                self.metrics.ended(&results);
            }
            let took = self.cluster.now().duration_since(started.0);
            self.metrics.took(took.try_into().unwrap_or_default());
        }
        self.count(&std::mem::take(&mut draft.uncounted));
        draft.reported = results;
        Ok(())
    }

    /// Reports what came of operations that were killed. What came of those for `own` is added to its draft; the report of any
    /// other deletion is continued, and completed where no node acts on it any more. Returns what is in no report: of command lines, and
    /// of deletions that are gone. It is counted once the rest was reported, for until then all of it may be found again.
    pub(super) async fn report_recovered(
        &self,
        recovered: &[Recovered],
        mut own: Option<(&ImageDeletion, &mut Draft)>,
    ) -> Result<Did, ApiError> {
        let mut others = Did::default();
        for recovered in recovered {
            log(recovered);
            let did = Did::of(&recovered.results);
            match (&mut own, Owner::parse(&recovered.owner)) {
                (Some((deletion, draft)), Some(owner)) if Owner::of(deletion) == owner => {
                    draft.take_in_recovered(did);
                }
                (_, Some(owner)) => match self.cluster.deletion(&owner).await? {
                    Some(deletion) => self.report_for(&deletion, did).await?,
                    None => others.add(did),
                },
                (_, None) => others.add(did),
            }
        }
        Ok(others)
    }

    async fn report_for(&self, deletion: &ImageDeletion, did: Did) -> Result<(), ApiError> {
        let mut draft = Draft::new(false);
        if let Some(report) = self.cluster.report(&Owner::of(deletion).uid).await? {
            if report.spec.completion_time.is_some() {
                return Ok(());
            }
            draft.resume(report.spec);
        }
        let standing = match is_over(deletion, self.cluster.now()) {
            true => Standing::Done,
            false => Standing::Held,
        };
        draft.take_in_recovered(did);
        if standing == Standing::Held {
            draft.leave_patterns_due();
            if draft.listed(deletion) == draft.reported {
                // It was reported before, and counted then.
                return Ok(());
            }
        }
        self.report(deletion, &mut draft, standing).await
    }

    /// Counts what was done.
    pub(super) fn count(&self, did: &Did) {
        self.metrics.removed(&did.results);
        self.metrics.put_back(did.put_back);
    }

    async fn write(&self, report: &ImageDeletionReport, is_new: bool) -> Result<(), ApiError> {
        let (mut backoff, deadline) = (Backoff::up_to(LONGEST), Instant::now() + PATIENCE);
        loop {
            match self.cluster.write(report, is_new).await {
                Ok(()) => {
                    let outcome = report.spec.outcome;
                    tracing::info!(?outcome, completed = report.spec.completion_time.is_some(), "reported");
                    return Ok(());
                }
                Err(error) => {
                    self.metrics.error("api");
                    if error.is_final() || Instant::now() > deadline {
                        tracing::error!(%error, "the report was not taken");
                        return Err(error);
                    }
                    tracing::warn!(%error, "the report is tried again");
                }
            }
            tokio::time::sleep(backoff.pause()).await;
        }
    }
}

/// What is reported where the API server refuses to take what happened.
fn refused(results: &[ImageResult], error: &ApiError) -> Vec<ImageResult> {
    let message = format!("this was done, and what came of it could not be reported: {error}");
    let told = |result: &ImageResult| ImageResult {
        image: result.image.clone(),
        outcome: Outcome::Failed,
        records: Vec::new(),
        conflicts: Vec::new(),
        reclaimed_bytes: result.reclaimed_bytes,
        message: Some(message.clone()),
    };
    results.iter().map(told).collect()
}

fn log(recovered: &Recovered) {
    for result in &recovered.results {
        tracing::warn!(
            deletion = recovered.owner,
            image = result.entry,
            outcome = ?result.outcome,
            records = result.removals.len(),
            "ended an operation that was killed"
        );
    }
}

#[cfg(test)]
mod tests;
