//! Telling the API server what came of a deletion, once and for sure.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::attempt::{Attempts, Standing};
use super::backoff::Backoff;
use super::draft::Draft;
use super::error::ApiError;
use super::membership::is_over;
use super::owner::Owner;
use super::queue::Key;
use crate::api::deletion::ImageDeletion;
use crate::api::report::ImageDeletionReport;
use crate::api::result::ImageResult;
use crate::conversion::image_result;
use crate::node::Recovered;

/// The longest time between two attempts to write a report.
const LONGEST: Duration = Duration::from_secs(5);

impl Attempts {
    /// Reports what came of a deletion, if there is something new to say; tries until the API server has taken it or has
    /// refused it for good.
    pub(super) async fn report(&self, deletion: &ImageDeletion, draft: &mut Draft, standing: Standing) {
        let results = draft.listed(deletion);
        if standing == Standing::Held && draft.reported == results {
            return;
        }
        let completed = (standing == Standing::Done).then(|| Time(Timestamp::now()));
        let report = ImageDeletionReport::of(
            deletion,
            self.cluster.node_name(),
            results.clone(),
            draft.started.clone(),
            completed,
        );
        self.write(&report).await;
        draft.new_conflicts(&results).for_each(|conflict| self.metrics.held(conflict));
        if standing == Standing::Done {
            self.metrics.ended(&results);
            let took = Timestamp::now().duration_since(draft.started.0);
            self.metrics.took(took.try_into().unwrap_or_default());
        }
        draft.reported = results;
    }

    /// Reports what came of operations that were killed. What came of those for `own` is added to its draft; the report of any
    /// other deletion is continued, and completed where no node acts on it any more.
    pub(super) async fn report_recovered(
        &self,
        recovered: &[Recovered],
        mut own: Option<(&ImageDeletion, &mut Draft)>,
    ) -> Result<(), ApiError> {
        for recovered in recovered {
            let results: Vec<_> = recovered.results.iter().map(image_result).collect();
            log(&recovered.owner, &results);
            self.metrics.removed(&results);
            self.metrics.put_back(recovered.results.iter().map(|result| result.put_back).sum());
            let Some(owner) = Owner::parse(&recovered.owner) else {
                continue;
            };
            match &mut own {
                Some((deletion, draft)) if Owner::of(deletion) == owner => draft.add(results),
                _ => self.report_for(owner, results).await?,
            }
        }
        Ok(())
    }

    async fn report_for(&self, owner: Owner, results: Vec<ImageResult>) -> Result<(), ApiError> {
        let key = Key { created: Timestamp::MIN, name: owner.name, uid: owner.uid };
        let Some(deletion) = self.cluster.deletion(&key).await? else {
            return Ok(());
        };
        let mut draft = Draft::new(false);
        if let Some(report) = self.cluster.report(&key.uid).await? {
            if report.spec.completion_time.is_some() {
                return Ok(());
            }
            draft.resume(report.spec);
        }
        draft.add(results);
        let standing = match is_over(&deletion, Timestamp::now()) {
            true => Standing::Done,
            false => Standing::Held,
        };
        self.report(&deletion, &mut draft, standing).await;
        Ok(())
    }

    async fn write(&self, report: &ImageDeletionReport) {
        let mut backoff = Backoff::up_to(LONGEST);
        loop {
            match self.cluster.apply(report).await {
                Ok(()) => {
                    let outcome = report.spec.outcome;
                    return tracing::info!(
                        ?outcome,
                        completed = report.spec.completion_time.is_some(),
                        "reported"
                    );
                }
                Err(error) => {
                    self.metrics.error("api");
                    if error.is_final() {
                        return tracing::error!(%error, "the report was refused and is not tried again");
                    }
                    tracing::warn!(%error, "the report is tried again");
                }
            }
            tokio::time::sleep(backoff.next()).await;
        }
    }
}

fn log(owner: &str, results: &[ImageResult]) {
    for result in results {
        tracing::warn!(
            owner,
            image = result.image,
            outcome = ?result.outcome,
            records = result.records.len(),
            "ended an operation that was killed"
        );
    }
}
