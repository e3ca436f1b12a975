//! Operations that were killed: what they had begun is finished, or put back where something uses it now, and reported.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::carried::Carried;
use super::error::Error;
use super::execution::Execution;
use super::images::Row;
use super::journal::Journal;
use super::open_journal::{OpenJournal, Stage};
use super::operation::{Done, Node, Operation, Recovered, Watch};
use super::result::{EntryResult, Outcome};
use super::survey::Survey;
use super::traces::Traces;
use crate::image::{Pattern, Plan, Record, Request, Rules};

impl Node {
    /// Ends every operation that was killed, by the journal that it has left. Call it with the lock held: then no journal
    /// belongs to anyone.
    pub(super) async fn end_killed(
        &self,
        killed: Vec<OpenJournal>,
        protect: &[Pattern],
        watch: &Watch<'_>,
        done: &mut Done,
    ) -> Result<(), Error> {
        let cancel = &watch.cancel;
        // What is begun here is finished: it was interrupted once already.
        let watch = Watch { cancel: CancellationToken::new(), ..*watch };
        for open in killed {
            if cancel.is_cancelled() {
                // The next operation ends it.
                break;
            }
            let OpenJournal { journal, stage, .. } = open.clone();
            let mut execution = self.resume(&journal, &stage, protect).await?;
            let begun: HashSet<usize> = execution.carried.iter().map(|carried| carried.place).collect();
            let entries = execution.carried.iter().map(|carried| carried.entry.clone()).collect();
            let holdings = execution.measure().await?;
            let (results, open) = match stage {
                Stage::Settled { kept } => {
                    execution.look_back(&kept, &holdings, &watch).await?;
                    let collection = open.collection(&self.containerd).await?;
                    let mut results = execution.let_go(holdings, collection, &watch).await?;
                    results.iter_mut().for_each(doubt_size);
                    (results, open)
                }
                Stage::Begun => {
                    execution.keep_guarded_names().await?;
                    execution.look_again(&holdings, &watch).await?;
                    execution.remove_all(&watch).await?;
                    execution.finish(open, Ok(holdings), &watch).await?
                }
            };
            done.journals.push(open);
            let mut results = by_entry(entries, results);
            let planned = journal.plans.iter().enumerate();
            for (_, unbegun) in planned.filter(|(place, _)| !begun.contains(place)) {
                results.iter_mut().filter(|result| result.entry == unbegun.entry).for_each(is_partial);
            }
            if !results.is_empty() {
                done.recovered.push(Recovered { owner: journal.owner, results });
            }
        }
        Ok(())
    }

    /// The operation as it was when it was killed: the records that it had removed count as removed by it. A plan of which nothing
    /// is gone was not begun, and is not begun now: nobody may want it any more.
    async fn resume(
        &self,
        journal: &Journal,
        stage: &Stage,
        protect: &[Pattern],
    ) -> Result<Execution<'_>, Error> {
        let mut survey = self.survey(Vec::new()).await?;
        let records: HashMap<&str, Arc<Record>> = journal
            .rows
            .iter()
            .filter_map(|row| Some((row.name.as_str(), Arc::new(row.record()?))))
            .collect();
        let planned = journal.plans.iter().enumerate();
        let planned: Vec<Carried> = planned
            .filter_map(|(place, planned)| {
                Some(Carried::new(place, planned.entry.clone(), planned.read(&records)?))
            })
            .collect();
        let plans: Vec<Plan> = planned.iter().map(|carried| carried.plan.clone()).collect();
        let traces = Traces::of(plans.iter(), &survey.rows);
        let begun = |carried: Carried| match stage {
            Stage::Settled { kept } => {
                (!kept.unbegun.contains(&carried.place)).then(|| carried.settled(kept))
            }
            Stage::Begun => {
                let is_there = |name: &str| !traces.is_gone(name);
                let has_begun = traces.has_begun(&carried.plan);
                has_begun.then(|| carried.resumed(is_there, |record| traces.elsewhere(record)))
            }
        };
        let carried: Vec<Carried> = planned.into_iter().filter_map(begun).collect();
        self.restore(&mut survey, &journal.rows, &records).await?;
        let operation = Operation {
            owner: journal.owner.clone(),
            request: Request {
                // What is protected now is put back, as far as it can be, whatever was so when this was begun.
                rules: Rules { force: journal.force, protect: protect.to_vec(), ..Rules::default() },
                ..Request::default()
            },
            ..Operation::default()
        };
        tracing::warn!(
            owner = journal.owner,
            begun = carried.len(),
            planned = journal.plans.len(),
            "ending an operation that was killed"
        );
        Ok(Execution::new(self, survey, carried, &operation))
    }

    /// Puts the removed records back into the survey, and reads the content of their images.
    async fn restore(
        &self,
        survey: &mut Survey,
        rows: &[Row],
        records: &HashMap<&str, Arc<Record>>,
    ) -> Result<(), Error> {
        let gone = records.values().filter(|record| !survey.rows.contains_key(&*record.name));
        gone.for_each(|record| survey.inventory.insert(Arc::clone(record)));
        survey.rows.extend(rows.iter().map(|row| (row.name.clone(), row.clone())));
        let images = records.values().map(|record| record.target.clone());
        Ok(self.read(survey, images.collect()).await?)
    }
}

/// Of a pattern some images were not begun with, and are not now.
fn is_partial(result: &mut EntryResult) {
    const MESSAGE: &str = "it was interrupted before every image was begun with: delete it again";
    result.outcome = Outcome::Failed;
    if result.messages.last().is_none_or(|last| last != MESSAGE) {
        result.messages.push(MESSAGE.to_owned());
    }
}

/// What was collected before it was killed could only have been measured then.
fn doubt_size(result: &mut EntryResult) {
    if result.has_deleted() && result.reclaimed_bytes == 0 {
        let message = "it was interrupted before it was reported, so how many bytes that freed is not known";
        result.messages.push(message.to_owned());
    }
}

/// One result for each entry that plans were for, in their order.
fn by_entry(entries: Vec<String>, results: Vec<EntryResult>) -> Vec<EntryResult> {
    let mut merged: Vec<EntryResult> = Vec::new();
    for (entry, result) in entries.iter().zip(results) {
        if merged.last().is_none_or(|last| last.entry != *entry) {
            merged.push(EntryResult::of(entry));
        }
        if let Some(last) = merged.last_mut() {
            last.add(result);
        }
    }
    merged
}
