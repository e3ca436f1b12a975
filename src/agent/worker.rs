//! The loop of an agent: hear of deletions, and try one after another.

mod conclusion;

use std::collections::{HashMap, HashSet};
use std::pin::pin;
use std::time::Duration;

use futures::future::LocalBoxFuture;
use futures::stream::LocalBoxStream;
use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::watcher;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, error_span};

use conclusion::Try;

use super::attempt::{Attempts, Standing};
use super::changed::Changed;
use super::cluster::Heard;
use super::connection::{Connection, Link};
use super::draft::Draft;
use super::error::Failed;
use super::known::Known;
use super::queue::{Key, Queue};
use crate::backoff::Backoff;
use crate::telemetry::health::Health;

/// What `readyz` calls it.
pub const API_SERVER: &str = "API server";
/// The longest time between two attempts at what fails.
const LONGEST: Duration = Duration::from_secs(10);
/// How long an agent that is to end goes on with what it has begun; the rest is left to the journal.
const GRACE: Duration = Duration::from_secs(20);

/// What an agent is doing, one at a time.
enum Job {
    /// Ending what was killed before this connection.
    Recover { link: u64 },
    /// Saying what came of a deletion whose deadline has passed.
    Conclude { key: Key, draft: Box<Draft> },
    /// Trying a deletion.
    Attempt { key: Key, draft: Box<Draft>, tried: Instant },
}

type Doing<'a> = LocalBoxFuture<'a, (Job, Result<Standing, Failed>)>;

/// An agent at work.
pub struct Worker<'a> {
    attempts: &'a Attempts,
    connection: Connection,
    health: Health,
    queue: Queue,
    /// What the watch has told of the deletions in the queue.
    known: HashMap<Key, Known>,
    /// Whether the watch has listed everything at least once.
    has_listed: bool,
    drafts: HashMap<Key, Draft>,
    failures: HashMap<Key, Backoff>,
    /// The deletions that wait for a pod.
    waiting_for_pods: HashSet<Key>,
    /// The pods that have changed since the last attempt began.
    pods_changed: Changed,
    /// The connection on which everything that was killed has been ended.
    recovered: u64,
    recover_at: Instant,
    recover_failures: Backoff,
    /// Why that could not be done.
    recover_failure: Option<String>,
}

impl<'a> Worker<'a> {
    /// An agent that knows of no deletion yet.
    pub fn new(attempts: &'a Attempts, connection: Connection, health: Health) -> Self {
        Self {
            attempts,
            connection,
            health,
            queue: Queue::default(),
            known: HashMap::new(),
            has_listed: false,
            drafts: HashMap::new(),
            failures: HashMap::new(),
            waiting_for_pods: HashSet::new(),
            pods_changed: Changed::none(),
            recovered: 0,
            recover_at: Instant::now(),
            recover_failures: Backoff::up_to(LONGEST),
            recover_failure: None,
        }
    }

    /// Works until it is cancelled, and then ends what it has begun.
    pub async fn work(mut self, cancel: CancellationToken) {
        let mut deletions = pin!(self.attempts.cluster.watch());
        let mut pods: Option<LocalBoxStream<'static, Changed>> = None;
        let mut doing: Option<Doing<'a>> = None;
        while !cancel.is_cancelled() {
            if doing.is_none() {
                doing = self.next_job();
            }
            self.watch_pods(&mut pods);
            tokio::select! {
                () = cancel.cancelled() => {}
                Some(event) = deletions.next() => self.hear(event),
                Some((job, result)) = async { Some(doing.as_mut()?.await) } => {
                    doing = None;
                    self.settle(job, result);
                }
                () = self.connection.news() => self.queue.released(Instant::now()),
                Some(changed) = async { pods.as_mut()?.next().await } => self.pods_change(changed),
                Some(()) = until(self.wakes()), if doing.is_none() => {}
            }
        }
        if let Some(doing) = doing
            && tokio::time::timeout(GRACE, doing).await.is_err()
        {
            tracing::warn!("what was begun did not end in time: the next start ends it");
        }
    }

    fn hear(&mut self, heard: Result<Heard, watcher::Error>) {
        match heard {
            Ok(Heard::Unfinished(deletions)) => {
                let listed: HashSet<Key> = deletions.iter().map(|deletion| key(&deletion.metadata)).collect();
                self.queue.keep(&listed);
                // What left the watch in between was not told.
                self.unwatch_all();
                listed.into_iter().for_each(|key| self.see(key, true));
                self.has_listed = true;
                self.health.has(API_SERVER);
                self.forget_drafts();
            }
            Ok(Heard::New(deletion)) => {
                let key = key(&deletion.metadata);
                self.see(key.clone(), false);
                if let Some(draft) = self.drafts.get_mut(&key) {
                    draft.see(&deletion);
                }
                if let Some(before) = self.known.insert(key, Known::told(*deletion)) {
                    // An attempt that waits for its turn has a copy.
                    before.unwatch();
                }
            }
            Ok(Heard::Left(metadata)) => {
                let key = key(&metadata);
                if let Some(known) = self.known.get(&key) {
                    known.unwatch();
                }
                self.queue.leave(&key);
                self.forget_drafts();
            }
            Err(error) => {
                // Nobody tells of a removal until it is resumed.
                self.unwatch_all();
                self.complain(&error);
            }
        }
    }

    fn unwatch_all(&self) {
        self.known.values().for_each(Known::unwatch);
    }

    /// A watch that breaks later on is resumed without a word, so only the first list says that the API server is there.
    fn complain(&self, error: &watcher::Error) {
        tracing::warn!(%error, "the watch of ImageDeletions is tried again");
        self.attempts.metrics.error("api");
        if !self.has_listed {
            self.health.lacks(API_SERVER, error);
        }
    }

    /// Of a deletion that is not new in the cluster there may be a report.
    fn see(&mut self, key: Key, may_have_report: bool) {
        if self.queue.see(key.clone()) {
            self.drafts.insert(key, Draft::new(may_have_report));
        }
    }

    fn forget_drafts(&mut self) {
        self.drafts.retain(|key, _| self.queue.is_open(key));
        self.failures.retain(|key, _| self.queue.is_open(key));
        self.known.retain(|key, _| self.queue.is_open(key));
        self.waiting_for_pods.retain(|key| self.queue.is_open(key));
    }

    /// What to do next, if there is a connection and something to do.
    fn next_job(&mut self) -> Option<Doing<'a>> {
        if !self.has_listed {
            return None;
        }
        // What is recovered is known before it is concluded, and what can't be recovered is concluded all the same. What can't be
        // told either has its turn when there is nothing else to do.
        let recovery = self.recovery().map(|link| recover(self.attempts, link));
        let (first, later) = match &self.recover_failure {
            None => (recovery, None),
            Some(_) => (None, recovery),
        };
        first
            .or_else(|| self.conclusion(Try::First))
            .or(later)
            .or_else(|| self.next_attempt())
            .or_else(|| self.conclusion(Try::Again))
    }

    /// The connection on which it is time to end what was killed.
    fn recovery(&self) -> Option<Link> {
        let is_due = |link: &Link| self.recovered != link.number && self.recover_at <= Instant::now();
        self.connection.link().filter(is_due)
    }

    fn next_attempt(&mut self) -> Option<Doing<'a>> {
        let link = self.connection.link().filter(|link| self.recovered == link.number)?;
        let key = self.queue.next(Instant::now())?;
        let draft = self.drafts.remove(&key).unwrap_or_else(|| Draft::new(true));
        let known = self.known.get(&key).cloned().unwrap_or_default();
        self.pods_changed = Changed::none();
        Some(attempt(self.attempts, link, key, known, draft))
    }

    /// When there may be something to do that nothing else tells of.
    fn wakes(&self) -> Option<Instant> {
        if !self.has_listed {
            return None;
        }
        let work = self.connection.link().and_then(|link| match self.recovered == link.number {
            true => self.queue.wakes(),
            false => Some(self.recover_at),
        });
        let concludes = self.concludes(&[Try::First, Try::Again]).map(|(at, _)| at);
        work.into_iter().chain(concludes).min()
    }

    fn settle(&mut self, job: Job, result: Result<Standing, Failed>) {
        if let Err(error) = &result {
            self.attempts.metrics.error(error.cause().kind());
        }
        match job {
            Job::Recover { link } => match result {
                Ok(_) => {
                    // It may have reported what came of them.
                    self.drafts.values_mut().for_each(|draft| draft.may_have_report = true);
                    self.recovered = link;
                    self.recover_failure = None;
                    self.recover_failures = Backoff::up_to(LONGEST);
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot end what was killed on this node; it is tried again");
                    self.recover_at = Instant::now() + self.recover_failures.pause();
                    self.recover_failure = Some(error.to_string());
                }
            },
            Job::Conclude { key, draft } => self.settle_conclusion(key, *draft, result),
            Job::Attempt { key, draft, tried } => self.settle_attempt(key, *draft, tried, result),
        }
    }

    fn pause_after_failure(&mut self, key: &Key) -> Duration {
        self.failures.entry(key.clone()).or_insert(Backoff::up_to(LONGEST)).pause()
    }

    fn settle_attempt(
        &mut self,
        key: Key,
        mut draft: Draft,
        tried: Instant,
        result: Result<Standing, Failed>,
    ) {
        match result {
            Ok(Standing::Done) => {
                self.queue.done(&key);
                return self.forget_drafts();
            }
            Ok(Standing::Held) => {
                self.failures.remove(&key);
                draft.failure = None;
                match draft.waits_for_pod() {
                    true => self.waiting_for_pods.insert(key.clone()),
                    false => self.waiting_for_pods.remove(&key),
                };
                let until = draft.until.map(|time| self.attempts.cluster.instant_of(time));
                self.queue.held(&key, tried, Instant::now(), until);
            }
            Err(error) => {
                let delay = self.pause_after_failure(&key);
                tracing::warn!(deletion = key.name, %error, ?delay, "the deletion is tried again");
                let now = Instant::now();
                self.queue.again(&key, now + delay);
                draft.failure = Some(error.to_string());
                if let Failed::Within(_) = error {
                    draft.reset();
                    // What it had begun is ended first, and reported: what it had decided is not decided anew. Every other deletion
                    // waits for that.
                    (self.recovered, self.recover_at) = (0, now);
                }
            }
        }
        if draft.waits_for_pod() && draft.is_held_by_any(&self.pods_changed) {
            draft.held = None;
            self.queue.released(Instant::now());
        }
        self.drafts.insert(key, draft);
        self.forget_drafts();
    }

    /// Pods are watched only while a deletion waits for one. What the watch lists when it begins is news once.
    fn watch_pods(&self, pods: &mut Option<LocalBoxStream<'static, Changed>>) {
        let is_needed = !self.waiting_for_pods.is_empty();
        if is_needed != pods.is_some() {
            let watch = || {
                self.attempts.cluster.watch_pods().filter_map(async |event| Changed::by(&event)).boxed_local()
            };
            *pods = is_needed.then(watch);
        }
    }

    /// What a deletion that waits for one of these pods knows of them is of an earlier time now.
    fn pods_change(&mut self, changed: Changed) {
        let (now, mut is_news) = (Instant::now(), false);
        for key in &self.waiting_for_pods {
            if let Some(draft) = self.drafts.get_mut(key)
                && (draft.is_held_by_any(&changed) || draft.is_to_be_refreshed(now))
            {
                draft.held = None;
                is_news = true;
            }
        }
        if is_news {
            self.queue.released(now);
        }
        self.pods_changed.add(changed);
    }
}

fn recover(attempts: &Attempts, link: Link) -> Doing<'_> {
    let span = error_span!("recovery", node = attempts.cluster.node_name());
    async move {
        let result = attempts.recover(&link).await.map(|()| Standing::Done).map_err(Failed::Within);
        (Job::Recover { link: link.number }, result)
    }
    .instrument(span)
    .boxed_local()
}

fn attempt(attempts: &Attempts, link: Link, key: Key, known: Known, mut draft: Draft) -> Doing<'_> {
    let span = error_span!("deletion", deletion = key.name, node = attempts.cluster.node_name());
    async move {
        let tried = Instant::now();
        let result = attempts.attempt(&link, &key, &known, &mut draft).await;
        (Job::Attempt { key, draft: Box::new(draft), tried }, result)
    }
    .instrument(span)
    .boxed_local()
}

fn key(deletion: &ObjectMeta) -> Key {
    Key {
        created: deletion.creation_timestamp.as_ref().map_or(Timestamp::MIN, |time| time.0),
        name: deletion.name.clone().unwrap_or_default(),
        uid: deletion.uid.clone().unwrap_or_default(),
    }
}

async fn until(time: Option<Instant>) -> Option<()> {
    tokio::time::sleep_until(time?).await;
    Some(())
}

#[cfg(test)]
mod tests;
