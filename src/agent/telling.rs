//! Telling the API server what came of a deletion, once and for sure.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use tokio::time::Instant;

use super::attempt::{Attempts, Standing};
use super::cluster::{Place, Written};
use super::did::Did;
use super::draft::{Draft, is_due_again};
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

/// A report that is being written.
struct Telling<'a> {
    deletion: &'a ImageDeletion,
    started: Time,
    completed: Option<Time>,
    place: Place,
}

impl Telling<'_> {
    fn report(&self, node: &str, results: Vec<ImageResult>) -> ImageDeletionReport {
        let (started, completed) = (self.started.clone(), self.completed.clone());
        ImageDeletionReport::of(self.deletion, node, results, started, completed)
    }
}

impl Attempts {
    /// Reports what came of a deletion, if there is something new to say. Says where it stands by that: another agent of this node may
    /// have ended it.
    ///
    /// # Errors
    ///
    /// Where the API server does not take it. The node's journal has it still.
    pub(super) async fn report(
        &self,
        deletion: &ImageDeletion,
        draft: &mut Draft,
        standing: Standing,
    ) -> Result<Standing, ApiError> {
        let place = if draft.has_reported() { Place::Taken } else { Place::Free };
        self.report_at(place, deletion, draft, standing).await
    }

    /// The same where it is known what is there. A report that is gone counts for nothing.
    pub(super) async fn report_at(
        &self,
        place: Place,
        deletion: &ImageDeletion,
        draft: &mut Draft,
        standing: Standing,
    ) -> Result<Standing, ApiError> {
        let mut results = draft.listed(deletion);
        if standing == Standing::Held && draft.reported == results {
            self.count(&std::mem::take(&mut draft.uncounted));
            return Ok(standing);
        }
        let mut telling = Telling {
            deletion,
            started: draft.begin(self.cluster.now()).clone(),
            completed: (standing == Standing::Done).then(|| Time(self.cluster.now())),
            place,
        };
        // It was counted then.
        let mut had_ended = draft.has_ended;
        let written = self.tell(&telling, &results).await?;
        if let Written::Gone = written {
            self.count(&std::mem::take(&mut draft.uncounted));
            return Ok(Standing::Done);
        }
        if let Written::Not(earlier) = written {
            had_ended = earlier.completion_time.is_some();
            if had_ended && draft.is_told_in(&earlier) {
                self.count(&std::mem::take(&mut draft.uncounted));
                return Ok(Standing::Done);
            }
            telling = Telling {
                started: earlier.start_time.clone(),
                completed: telling.completed.or_else(|| earlier.completion_time.clone()),
                place: Place::Taken,
                ..telling
            };
            draft.come_after(*earlier);
            results = draft.listed(deletion);
            self.tell(&telling, &results).await?;
        }
        if !deletion.spec.dry_run {
            draft.new_conflicts(&results).for_each(|conflict| self.metrics.held(conflict));
        }
        if standing == Standing::Done && !had_ended {
            if !deletion.spec.dry_run {
                self.metrics.ended(&results);
            }
            let took = self.cluster.now().duration_since(telling.started.0);
            self.metrics.took(took.try_into().unwrap_or_default());
        }
        self.count(&std::mem::take(&mut draft.uncounted));
        draft.reported = results;
        draft.has_ended |= standing == Standing::Done;
        Ok(if had_ended { Standing::Done } else { standing })
    }

    /// Writes a report, or that it was not taken.
    async fn tell(&self, telling: &Telling<'_>, results: &[ImageResult]) -> Result<Written, ApiError> {
        let told = telling.report(self.cluster.node_name(), results.to_vec());
        let written = match self.write(&told, telling.place).await {
            Err(error) if error.is_final() => {
                let told = telling.report(self.cluster.node_name(), refused(results, &error));
                self.write(&told, telling.place).await?
            }
            written => written?,
        };
        Ok(match written {
            // It was written with an answer that got lost.
            Written::Not(earlier) if earlier.says_the_same(&told.spec) => Written::Taken,
            written => written,
        })
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

    async fn report_for(&self, deletion: &ImageDeletion, mut did: Did) -> Result<(), ApiError> {
        let mut draft = Draft::new(false);
        if let Some(report) = self.cluster.report(&Owner::of(deletion).uid).await? {
            if report.spec.completion_time.is_some() {
                // An entry that was still to be done may have been concluded before it was known what was removed of it. Of the
                // others all was told.
                let told = &report.spec.results;
                did.results.retain(|did| {
                    let was_due = |told: &ImageResult| told.image == did.image && is_due_again(told);
                    !did.records.is_empty() && told.iter().any(was_due)
                });
            }
            draft.resume(report.spec);
        }
        let standing = match draft.has_ended || is_over(deletion, self.cluster.now()) {
            true => Standing::Done,
            false => Standing::Held,
        };
        draft.take_in_recovered(did);
        if standing == Standing::Held {
            draft.leave_patterns_due();
        }
        if (standing == Standing::Held || draft.has_ended) && draft.listed(deletion) == draft.reported {
            // It was reported before, and counted then.
            return Ok(());
        }
        self.report(deletion, &mut draft, standing).await.map(drop)
    }

    /// Counts what was done.
    pub(super) fn count(&self, did: &Did) {
        self.metrics.removed(&did.results);
        self.metrics.put_back(did.put_back);
    }

    async fn write(&self, report: &ImageDeletionReport, place: Place) -> Result<Written, ApiError> {
        let (mut backoff, deadline) = (Backoff::up_to(LONGEST), Instant::now() + PATIENCE);
        loop {
            match self.cluster.write(report, place).await {
                Ok(Written::Taken) => {
                    let outcome = report.spec.outcome;
                    tracing::info!(?outcome, completed = report.spec.completion_time.is_some(), "reported");
                    return Ok(Written::Taken);
                }
                Ok(other) => return Ok(other),
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
