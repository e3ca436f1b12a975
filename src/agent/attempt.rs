//! One attempt at one deletion: read what it needs, let the node do it, report, and let the node forget it.

use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use tokio::sync::OnceCell;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::cluster::Cluster;
use super::connection::Link;
use super::did::Did;
use super::draft::Draft;
use super::error::{ApiError, AttemptError, Failed};
use super::known::Known;
use super::membership::Membership;
use super::owner::Owner;
use super::pods::Pod;
use super::queue::Key;
use crate::api::deletion::{ImageDeletion, OnConflict};
use crate::backoff::Backoff;
use crate::conversion::Asked;
use crate::image::{self, Pattern, Request, Rules};
use crate::node::{
    Done, EntryResult, HeldImages, Needs, Operation, Progress, Sandboxes, Turn, Unknown, Watch,
};
use crate::telemetry::metrics::AgentMetrics;

/// How long the pods may take to be listed while images are away. They are put back after that. The API server lets a request of
/// a service account wait for its turn for up to 15 s, and one that has waited in vain is only one more.
const SHORT_DEADLINE: Duration = Duration::from_secs(20);

/// How long they are listed again where that is refused. An agent that is to end has to put images back within its last 20 s.
const TRIES: Duration = Duration::from_secs(10);

/// The longest pause between two of those tries.
const BETWEEN_LISTS: Duration = Duration::from_secs(2);

/// How long a turn on the node is waited for at a time.
const BETWEEN_TURNS: Duration = Duration::from_secs(60);

/// What is the same for every attempt of an agent.
pub struct Attempts {
    /// The cluster.
    pub cluster: Cluster,
    /// Which deletions this node is part of.
    pub membership: Membership,
    /// What is counted.
    pub metrics: AgentMetrics,
    /// Images that no one may delete.
    pub protect: Vec<Pattern>,
    /// The agent's own pod, by namespace and name.
    pub pod: Option<(String, String)>,
    /// What protects its images. It was read once: that does not change in the agent's life.
    pub own: OnceCell<Vec<Pattern>>,
}

/// Where a deletion stands on this node after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing is left to do here.
    Done,
    /// Something holds an image, and the deletion waits for its end.
    Held,
}

/// What was read for an attempt.
enum Prepared {
    /// Nothing is to be done on the node.
    Idle(Standing),
    /// This is.
    Due(Box<Due>),
}

/// What is to be done on the node.
struct Due {
    turn: Turn,
    deletion: ImageDeletion,
    asked: Asked,
    operation: Operation,
}

impl Attempts {
    /// Tries a deletion. What it removes is in the node's journal until it is reported.
    pub async fn attempt(
        &self,
        link: &Link,
        key: &Key,
        known: &Known,
        draft: &mut Draft,
    ) -> Result<Standing, Failed> {
        match self.prepare(link, key, known, draft).await.map_err(Failed::Before)? {
            Prepared::Idle(standing) => Ok(standing),
            Prepared::Due(due) => self.carry_out(link, *due, draft).await.map_err(Failed::Within),
        }
    }

    async fn prepare(
        &self,
        link: &Link,
        key: &Key,
        known: &Known,
        draft: &mut Draft,
    ) -> Result<Prepared, AttemptError> {
        if let Some((held, images)) = draft.held.as_ref().filter(|_| !draft.is_overdue(self.cluster.now()))
            && !images.is_any_free(&link.node.dry_run(held).await?)
        {
            let now = Instant::now();
            if draft.is_to_be_looked_at(now) {
                if self.look(key, known, draft).await?.is_none() {
                    return Ok(Prepared::Idle(Standing::Done));
                }
                draft.looked = now;
            }
            return Ok(Prepared::Idle(Standing::Held));
        }
        let turn = self.turn(link, draft.until).await?;
        let Some(deletion) = self.look(key, known, draft).await? else {
            return Ok(Prepared::Idle(Standing::Done));
        };
        draft.see(&deletion);
        let seen = Instant::now();
        if self.membership.joined_after(&deletion).await? {
            // An earlier node of this name may have left a report. Nobody waits for that any more.
            return Ok(Prepared::Idle(Standing::Done));
        }
        if self.catch_up(&key.uid, draft).await? == Standing::Done {
            return Ok(Prepared::Idle(Standing::Done));
        }
        draft.begin(self.cluster.now());
        if !self.membership.acts_on(&deletion, draft.has_reported()).await? {
            self.conclude(&deletion, draft).await?;
            return Ok(Prepared::Idle(Standing::Done));
        }
        let due = deletion.spec.images.iter().map(|image| image.as_str()).filter(|image| draft.is_due(image));
        let asked = Asked::read(due);
        let operation = self.operation(link, &deletion, &asked).await?;
        let Some(deletion) = self.still_due(key, known, seen, deletion, draft).await? else {
            return Ok(Prepared::Idle(Standing::Done));
        };
        Ok(Prepared::Due(Box::new(Due { turn, deletion, asked, operation })))
    }

    /// A turn on the node. Others are waited for until the deadline, and not too long at a time: meanwhile nothing is said of what else
    /// is to be done.
    async fn turn(&self, link: &Link, until: Option<Timestamp>) -> Result<Turn, AttemptError> {
        let never = CancellationToken::new();
        let longest = Instant::now() + BETWEEN_TURNS;
        let over = until.filter(|until| *until > self.cluster.now());
        let end = over.map_or(longest, |until| self.cluster.instant_of(until).min(longest));
        match tokio::time::timeout_at(end, link.node.turn(&never)).await {
            Ok(turn) => Ok(turn?),
            Err(_) => Err(AttemptError::Turn),
        }
    }

    async fn carry_out(&self, link: &Link, due: Due, draft: &mut Draft) -> Result<Standing, AttemptError> {
        let Due { turn, deletion, asked, operation } = due;
        if deletion.spec.dry_run {
            let results = link.node.dry_run(&operation).await?;
            draft.add(asked.results(&results).into_iter().map(|(result, _)| result));
            self.report(&deletion, draft, Standing::Done).await?;
            return Ok(Standing::Done);
        }
        let done = link.node.delete(turn, &operation, &self.unwatched()).await?;
        tell_reasons(&done.results);
        let others = self.report_recovered(&done.recovered, Some((&deletion, draft))).await?;
        let told = asked.results(&done.results).into_iter().map(|(result, _)| result).collect();
        draft.take_in(Did {
            results: told,
            put_back: done.results.iter().map(|result| result.put_back).sum(),
        });
        let standing = match deletion.spec.on_conflict {
            OnConflict::Wait if draft.has_conflict() => Standing::Held,
            OnConflict::Wait | OnConflict::Report => Standing::Done,
        };
        let standing = self.report(&deletion, draft, standing).await?;
        let held = HeldImages::of(&done.results);
        self.acknowledge(link, done, &others).await;
        draft.hold(operation, held, deletion.deadline());
        Ok(standing)
    }

    /// Ends what killed operations have begun on this node, and reports it.
    pub async fn recover(&self, link: &Link) -> Result<(), AttemptError> {
        self.membership.prepare().await?;
        if self.own.get().is_none() {
            // The own pod is among them, and later lists are without it.
            self.pods().await?;
        }
        let turn = self.turn(link, None).await?;
        let done = link.node.recover(turn, &self.protected(link), &self.unwatched()).await?;
        let others = self.report_recovered(&done.recovered, None).await?;
        self.acknowledge(link, done, &others).await;
        Ok(())
    }

    async fn operation(
        &self,
        link: &Link,
        deletion: &ImageDeletion,
        asked: &Asked,
    ) -> Result<Operation, AttemptError> {
        let sandboxes = match deletion.spec.dry_run {
            // Nothing is away in a dry run, so nobody will ask which of them are new.
            true => Sandboxes::default(),
            false => link.node.sandboxes().await?,
        };
        let pods = self.pods().await?;
        Ok(Operation {
            owner: Owner::of(deletion).to_string(),
            request: Request { entries: asked.entries(), rules: self.rules(link, deletion) },
            pods: pods.iter().filter_map(Pod::needs).collect(),
            sandboxes,
        })
    }

    /// An operation that is neither shown nor ended early: an agent that has no time left leaves it to the journal.
    fn unwatched(&self) -> Watch<'_> {
        fn ignore(_: Progress) {}
        Watch { cancel: CancellationToken::new(), progress: &ignore, needs: self }
    }

    /// The pods of this node, but for the agent's own once that was found among them.
    async fn pods(&self) -> Result<Vec<Pod>, ApiError> {
        let known = self.own.get().and(self.pod.as_ref()).map(|(_, name)| name.as_str());
        let pods = self.cluster.pods(known).await?;
        if let Some(own) = pods.iter().find(|pod| self.is_own(pod)) {
            let images = own.images().flat_map(Pattern::of).collect();
            // Whoever was first has found the same.
            let _ = self.own.set(images);
        }
        Ok(pods)
    }

    /// Lets the node forget what was reported, and counts what is in no report. What is left on the node is found by the next operation
    /// if this fails.
    async fn acknowledge(&self, link: &Link, done: Done, others: &Did) {
        match link.node.acknowledge(done).await {
            Ok(()) => self.count(others),
            Err(error) => {
                tracing::warn!(%error, "the next operation clears what this one has left");
                self.metrics.error("containerd");
            }
        }
    }

    /// The image of the pods' sandboxes and those of the agent's own pod are protected always.
    fn rules(&self, link: &Link, deletion: &ImageDeletion) -> Rules {
        Rules { force: deletion.spec.force, prune: deletion.spec.prune, protect: self.protected(link) }
    }

    fn protected(&self, link: &Link) -> Vec<Pattern> {
        if self.own.get().is_none() {
            tracing::warn!("the agent's own pod is unknown, so its image is protected by the rules only");
        }
        let own = self.own.get().into_iter().flatten().cloned();
        self.protect.iter().cloned().chain(link.sandbox.clone()).chain(own).collect()
    }

    fn is_own(&self, pod: &Pod) -> bool {
        let own = self.pod.as_ref();
        own.is_some_and(|(namespace, name)| {
            pod.metadata.namespace == *namespace && pod.metadata.name == *name
        })
    }
}

/// The node asks in the middle of an operation, while the images that it is about are away.
impl Needs for Attempts {
    fn pods(&self) -> BoxFuture<'_, Result<Vec<image::Pod>, Unknown>> {
        Box::pin(async move {
            let (mut backoff, last_try) = (Backoff::up_to(BETWEEN_LISTS), Instant::now() + TRIES);
            let end = Instant::now() + SHORT_DEADLINE;
            loop {
                let error = match tokio::time::timeout_at(end, self.pods()).await? {
                    Ok(pods) => return Ok(pods.iter().filter_map(Pod::needs).collect()),
                    Err(error) => error,
                };
                let pause = backoff.pause();
                if error.is_final() || Instant::now() + pause > last_try {
                    return Err(error.into());
                }
                tracing::warn!(%error, "the pods are listed again, or images would be put back for that");
                self.metrics.error("api");
                tokio::time::sleep(pause).await;
            }
        })
    }
}

/// Reports have no room for why it was decided so.
fn tell_reasons(results: &[EntryResult]) {
    for result in results {
        for reason in &result.reasons {
            tracing::info!(image = result.entry, %reason, "decided");
        }
    }
}
