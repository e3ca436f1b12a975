//! Pruning after a deletion by name. Which parents an image has takes a look at every record, and its own deletion does not: so
//! that look is made while the image goes. Parents that are there to be pruned then go in one more step, with a journal and a
//! collection of its own.

use std::sync::Arc;

use super::carried::Carried;
use super::error::{CallError, Error};
use super::execution::{Execution, Role};
use super::images::Row;
use super::open_journal::OpenJournal;
use super::operation::{Node, Operation, Watch};
use super::result::{EntryResult, Outcome};
use super::survey::{LeftAlone, Survey};
use super::trees::Tree;
use crate::image::{Content, Decision, Fate, ImageId, Plan, Reach, Reason};

/// An image as it was before it was deleted.
pub(super) struct Gone {
    image: ImageId,
    rows: Vec<Row>,
    tree: Option<Arc<Tree>>,
    left_alone: LeftAlone,
}

/// What pruning does, and why.
struct Pruning<'a> {
    reasons: Vec<Reason>,
    /// None if no parent goes.
    execution: Option<Execution<'a>>,
}

impl Operation {
    /// The same without pruning, where that takes a look at less and there is one image whose parents can follow.
    pub(super) fn image_alone(&self) -> Option<Self> {
        let mut alone = self.clone();
        alone.request.rules.prune = false;
        let is_quicker = self.request.reach() == Reach::All && alone.request.reach() != Reach::All;
        (is_quicker && alone.request.entries.len() == 1).then_some(alone)
    }
}

impl Node {
    /// Carries out what was decided on an [image alone](Operation::image_alone), and prunes its parents as `operation` says.
    pub(super) async fn delete_then_prune(
        &self,
        operation: &Operation,
        survey: Survey,
        decisions: Vec<Decision>,
        watch: &Watch<'_>,
        journals: &mut Vec<OpenJournal>,
    ) -> Result<Vec<EntryResult>, Error> {
        let plans = || decisions.iter().filter_map(|decision| decision.verdict.as_ref().ok());
        let Some(gone) = plans().find_map(|plan| Gone::of(plan, &survey)) else {
            return Box::pin(self.carry_out(operation, survey, decisions, Role::Image, watch, journals))
                .await;
        };
        let deleting = Box::pin(self.carry_out(operation, survey, decisions, Role::Image, watch, journals));
        let (results, pruning) = tokio::join!(deleting, self.pruning(operation, &gone));
        let mut results = results?;
        let deleted = results.iter_mut().find(|result| result.outcome == Outcome::Deleted);
        if let Some(result) = deleted.filter(|_| !watch.cancel.is_cancelled()) {
            prune(pruning, result, watch, journals).await?;
        }
        Ok(results)
    }

    /// Prunes the parents of an image that a killed operation has deleted, as that operation would have.
    pub(super) async fn prune_after(
        &self,
        operation: &Operation,
        gone: &Gone,
        result: &mut EntryResult,
        watch: &Watch<'_>,
        journals: &mut Vec<OpenJournal>,
    ) -> Result<(), Error> {
        prune(self.pruning(operation, gone).await, result, watch, journals).await
    }

    /// Decides which parents go after an image that goes: those that the whole operation would have pruned with it. Forcing does not
    /// reach them. What uses them is looked at only where there are any.
    async fn pruning(&self, operation: &Operation, gone: &Gone) -> Result<Option<Pruning<'_>>, CallError> {
        let mut survey = self.look_at_records(Reach::All).await?;
        gone.put_into(&mut survey);
        let mut plan = self.plan_of(&mut survey, operation, gone).await?;
        if plan.as_ref().is_some_and(|plan| plan.parents().is_some()) {
            let containers = self.containerd.containers(&self.known, Vec::new()).await?;
            survey.inventory.observe(containers, operation.pods.clone());
            plan = self.plan_of(&mut survey, operation, gone).await?;
        }
        let Some(plan) = plan else { return Ok(None) };
        let is_free = |parents: &Plan| gone.left_alone.owner_of(parents).is_none();
        let execution = plan.parents().filter(is_free).map(|parents| {
            let mut unforced = operation.clone();
            unforced.request.rules.force = false;
            let entries = unforced.request.entries.iter().map(|entry| entry.text.clone());
            let carried = entries.zip([parents]).map(|(entry, plan)| Carried::new(0, entry, plan)).collect();
            Execution::new(self, survey, carried, &unforced)
        });
        Ok(Some(Pruning { reasons: plan.reasons, execution }))
    }

    /// What the operation would do about that image, if it still means it.
    async fn plan_of(
        &self,
        survey: &mut Survey,
        operation: &Operation,
        gone: &Gone,
    ) -> Result<Option<Plan>, CallError> {
        let decisions = self.decide(survey, &operation.request).await?;
        let plan = decisions.into_iter().find_map(|decision| decision.verdict.ok());
        Ok(plan.filter(|plan| plan.image == gone.image))
    }
}

/// Prunes what was found. The image is gone, so that which parents it has can't be said keeps nothing from its end; only where
/// containerd does not answer, all is left to the journal.
async fn prune(
    looked: Result<Option<Pruning<'_>>, CallError>,
    result: &mut EntryResult,
    watch: &Watch<'_>,
    journals: &mut Vec<OpenJournal>,
) -> Result<(), Error> {
    match looked {
        Ok(Some(pruning)) => pruning.carry_out(result, watch, journals).await.map_err(Error::unfinished),
        Ok(None) => Ok(()),
        Err(error) if !error.is_answer() => Err(Error::Unfinished(error)),
        Err(error) => {
            result.messages.push(format!("its parents were not looked for, so none was pruned: {error}"));
            Ok(())
        }
    }
}

impl Pruning<'_> {
    /// Prunes, and adds what came of it to the image's result.
    async fn carry_out(
        self,
        result: &mut EntryResult,
        watch: &Watch<'_>,
        journals: &mut Vec<OpenJournal>,
    ) -> Result<(), Error> {
        result.reasons = self.reasons;
        if let Some(execution) = self.execution {
            let role = journals.last().map_or(Role::Whole, |open| Role::ParentsOf(open.journal.id.clone()));
            let pruned = Box::pin(execution.with_role(role).run(watch, journals)).await?;
            pruned.into_iter().for_each(|pruned| result.add_parents(pruned));
        }
        Ok(())
    }
}

impl Gone {
    /// The image that a plan deletes.
    pub(super) fn of(plan: &Plan, survey: &Survey) -> Option<Self> {
        (plan.fate == Fate::Deleted).then(|| Self {
            image: plan.image.clone(),
            rows: plan.removed().filter_map(|record| survey.rows.get(&*record.name).cloned()).collect(),
            tree: survey.trees.get(&plan.image).cloned(),
            left_alone: survey.left_alone.clone(),
        })
    }

    /// The image that a killed operation has deleted, with the content that it had by its journal.
    pub(super) fn by_journal(plan: &Plan, survey: &Survey, content: Content) -> Option<Self> {
        let tree = Tree { content, blobs: Vec::new() };
        Some(Self { tree: Some(Arc::new(tree)), ..Self::of(plan, survey)? })
    }

    /// Lets a survey find the image as if it were there still, but for names that others have given away meanwhile.
    fn put_into(&self, survey: &mut Survey) {
        for row in &self.rows {
            if survey.rows.contains_key(&row.name) {
                continue;
            }
            if let Some(record) = row.record() {
                survey.inventory.insert(Arc::new(record));
            }
            survey.rows.insert(row.name.clone(), row.clone());
        }
        if let Some(tree) = &self.tree {
            survey.learn(self.image.clone(), Arc::clone(tree));
        }
    }
}
