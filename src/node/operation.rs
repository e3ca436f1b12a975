//! One operation on a node, from a request to its results.

use std::path::Path;

use tokio_util::sync::CancellationToken;

use super::carried::Carried;
use super::client::Containerd;
use super::containers::KnownContainers;
use super::error::{CallError, ConnectError, Error};
use super::execution::Execution;
use super::lock::Lock;
use super::needs::Needs;
use super::open_journal::OpenJournal;
use super::result::{EntryResult, results};
use super::sandboxes::Sandboxes;
use super::stop::stop_at;
use super::survey::{LeftAlone, Survey};
use super::trees::Trees;
use crate::image::{Decision, Fate, Pattern, Pod, Request};

/// A node: the daemon, and what was read of it that does not change.
#[derive(Debug)]
pub struct Node {
    pub(super) containerd: Containerd,
    pub(super) trees: Trees,
    pub(super) known: KnownContainers,
}

/// What is asked of a node.
#[derive(Debug, Clone, Default)]
pub struct Operation {
    /// Whose operation it is; empty for a command line.
    pub owner: String,
    /// What to delete.
    pub request: Request,
    /// The unfinished pods of the node, which need their images.
    pub pods: Vec<Pod>,
    /// The sandboxes that there were before the pods were listed.
    pub sandboxes: Sandboxes,
}

impl Operation {
    /// Whether it ends what that one has begun. What an ImageDeletion has begun is left to an agent: a command line does not know
    /// which pods need images, and what it prints does not come back in the status.
    fn ends(&self, killed: &OpenJournal) -> bool {
        self.is_of_agent() || killed.journal.owner.is_empty()
    }

    fn is_of_agent(&self) -> bool {
        !self.owner.is_empty()
    }
}

/// How an operation is watched and ended early.
pub struct Watch<'a> {
    /// What was begun is finished, the rest is left.
    pub cancel: CancellationToken,
    /// Is told how far it is.
    pub progress: &'a (dyn Fn(Progress) + Sync),
    /// Is asked for the pods once more when the records are gone, unless none can have begun.
    pub needs: &'a dyn Needs,
}

/// How far an operation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Looking at the node.
    Reading,
    /// Removing records.
    Removing {
        /// Images that are done.
        done: usize,
        /// All images.
        total: usize,
    },
    /// Waiting until everything has left the disk.
    Collecting,
}

/// What an operation did. What it leaves on the node ends when it is [acknowledged](Node::acknowledge).
#[derive(Debug, Default)]
#[must_use = "a result is reported and then acknowledged"]
pub struct Done {
    /// What killed operations had begun, and what became of it.
    pub recovered: Vec<Recovered>,
    /// Whose killed operations were left to their agent, which reports them.
    pub left_alone: Vec<String>,
    /// A result for each entry, in order.
    pub results: Vec<EntryResult>,
    pub(super) journals: Vec<OpenJournal>,
    /// Held until the results are acknowledged, so that nobody takes the journals for abandoned.
    lock: Option<Lock>,
}

/// The right to work on a node, until it is dropped.
#[derive(Debug)]
#[must_use = "nobody else works on the node meanwhile"]
pub struct Turn(Lock);

impl Done {
    fn begin(Turn(lock): Turn) -> Self {
        Self { lock: Some(lock), ..Self::default() }
    }
}

/// A killed operation that was finished or put back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// Whose operation it was; empty for a command line.
    pub owner: String,
    /// What became of its entries.
    pub results: Vec<EntryResult>,
}

impl Node {
    /// Connects to the containerd that listens at `address`.
    pub async fn connect(address: &Path, namespace: &str) -> Result<Self, ConnectError> {
        let containerd = Containerd::connect(address, namespace).await?;
        Ok(Self { containerd, trees: Trees::default(), known: KnownContainers::default() })
    }

    /// Says what an operation would do.
    pub async fn dry_run(&self, operation: &Operation) -> Result<Vec<EntryResult>, Error> {
        let survey = self.survey(operation.pods.clone());
        let (left_alone, mut survey) = tokio::try_join!(self.left_alone(operation), survey)?;
        let mut decisions = self.decide(&mut survey, &operation.request).await?;
        left_alone.spare_parents(&mut decisions);
        let held = self.held_in_the_making(&mut survey, &decisions, &operation.request.rules).await?;
        Ok(results(&operation.request, &decisions, |plan| match left_alone.owner_of(plan) {
            Some(owner) => EntryResult::left_to(owner),
            None => match held.get(&plan.image).filter(|_| plan.fate == Fate::Deleted) {
                Some(conflicts) => EntryResult::held(conflicts.clone()),
                None => EntryResult::planned(plan),
            },
        }))
    }

    /// What an operation would leave to others. While somebody is at work, nobody can say what was killed.
    async fn left_alone(&self, operation: &Operation) -> Result<LeftAlone, CallError> {
        let lock = || Lock::share(&self.containerd);
        let Some(lock) = (!operation.is_of_agent()).then(lock).flatten() else {
            return Ok(LeftAlone::default());
        };
        let mut killed = OpenJournal::seen(&self.containerd, &lock).await?;
        killed.retain(|open| !operation.ends(open));
        Ok(LeftAlone::of(&killed))
    }

    /// Waits until no one else works on this node. What an operation should know of the cluster is read after that, because it may
    /// take long.
    pub async fn turn(&self, cancel: &CancellationToken) -> Result<Turn, Error> {
        tokio::select! {
            lock = Lock::acquire(&self.containerd) => Ok(Turn(lock?)),
            () = cancel.cancelled() => Err(Error::Interrupted),
        }
    }

    /// Deletes what is asked for, after finishing or putting back what killed operations had begun.
    ///
    /// # Errors
    ///
    /// Where containerd fails in between. What was removed until then is in a journal, which the next operation finishes or puts
    /// back, and reports.
    pub async fn delete(&self, turn: Turn, operation: &Operation, watch: &Watch<'_>) -> Result<Done, Error> {
        (watch.progress)(Progress::Reading);
        let look = || self.survey(operation.pods.clone());
        let killed = OpenJournal::abandoned(&self.containerd, &turn.0);
        let (killed, mut survey) = tokio::try_join!(killed, look())?;
        let mut done = Done::begin(turn);
        let (killed, of_others): (Vec<_>, Vec<_>) = killed.into_iter().partition(|open| operation.ends(open));
        done.left_alone = of_others.iter().map(|open| open.journal.owner.clone()).collect();
        if !killed.is_empty() {
            let protect = &operation.request.rules.protect;
            Box::pin(self.end_killed(killed, protect, watch, &mut done)).await.map_err(Error::unfinished)?;
            survey = look().await?;
        }
        let left_alone = LeftAlone::of(&of_others);
        let mut decisions = self.decide(&mut survey, &operation.request).await?;
        left_alone.spare_parents(&mut decisions);
        let carried_out = self.carry_out(operation, survey, &decisions, &left_alone, watch);
        let (results, journal) = Box::pin(carried_out).await?;
        done.results = results;
        done.journals.extend(journal);
        Ok(done)
    }

    /// Carries out what was decided on the entries of an operation.
    async fn carry_out(
        &self,
        operation: &Operation,
        survey: Survey,
        decisions: &[Decision],
        left_alone: &LeftAlone,
        watch: &Watch<'_>,
    ) -> Result<(Vec<EntryResult>, Option<OpenJournal>), Error> {
        let plans = decisions.iter().filter_map(|decision| {
            let entry = &operation.request.entries[decision.entry];
            let plan = decision.verdict.as_ref().ok().filter(|plan| left_alone.owner_of(plan).is_none());
            Some((entry.text.clone(), plan?.clone()))
        });
        let carried = plans.enumerate().map(|(place, (entry, plan))| Carried::new(place, entry, plan));
        let execution = Execution::new(self, survey, carried.collect(), operation);
        let (done, journal) = execution.run(watch).await?;
        let mut done = done.into_iter();
        let results = results(&operation.request, decisions, |plan| match left_alone.owner_of(plan) {
            Some(owner) => EntryResult::left_to(owner),
            None => done.next().unwrap_or_default(),
        });
        Ok((results, journal))
    }

    /// Finishes or puts back what killed operations had begun, and does nothing else. What these patterns protect is put back as far
    /// as it can be.
    ///
    /// # Errors
    ///
    /// As [`delete`](Self::delete).
    pub async fn recover(&self, turn: Turn, protect: &[Pattern], watch: &Watch<'_>) -> Result<Done, Error> {
        let killed = OpenJournal::abandoned(&self.containerd, &turn.0).await?;
        let mut done = Done::begin(turn);
        self.end_killed(killed, protect, watch, &mut done).await.map_err(Error::unfinished)?;
        Ok(done)
    }

    /// Ends what an operation left on the node, after its results were reported. Results that are not acknowledged are reported
    /// again by the next operation.
    pub async fn acknowledge(&self, done: Done) -> Result<(), Error> {
        stop_at("reported");
        let Done { journals, lock, .. } = done;
        for journal in journals {
            journal.close(&self.containerd).await?;
        }
        drop(lock);
        Ok(())
    }
}
