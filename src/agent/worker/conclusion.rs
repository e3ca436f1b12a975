//! What is said of deletions whose deadline passes while something is in their way.

use futures::FutureExt;
use tokio::time::Instant;
use tracing::{Instrument, error_span};

use super::{Doing, Job, Worker};
use crate::agent::attempt::{Attempts, Standing};
use crate::agent::connection::CONTAINERD;
use crate::agent::draft::Draft;
use crate::agent::error::Failed;
use crate::agent::known::Known;
use crate::agent::queue::Key;
use crate::telemetry::health::NOT_YET;

/// How often it was tried to conclude a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Try {
    /// Not yet.
    First,
    /// It has failed.
    Again,
}

impl Try {
    fn of(draft: &Draft) -> Self {
        if draft.concluded_from.is_none() { Self::First } else { Self::Again }
    }
}

impl<'a> Worker<'a> {
    /// The next deletion to be concluded, if one is.
    pub(super) fn conclusion(&mut self, attempt: Try) -> Option<Doing<'a>> {
        // A time that has passed is told as now.
        let (at, key) = self.concludes(&[attempt])?;
        if at > Instant::now() {
            return None;
        }
        let draft = self.drafts.remove(&key)?;
        let known = self.known.get(&key).cloned().unwrap_or_default();
        Some(conclude(self.attempts, key, known, draft, self.hindrance()))
    }

    /// Which deletion is concluded next, and when.
    pub(super) fn concludes(&self, attempts: &[Try]) -> Option<(Instant, Key)> {
        let is_hindered = self.hindrance().is_some();
        let instant_of = |time| self.attempts.cluster.instant_of(time);
        let concludes = |(key, draft): (&'_ Key, &'_ Draft)| {
            Some((draft.concludes(is_hindered, instant_of)?, key.clone()))
        };
        let drafts = self.drafts.iter().filter(|(_, draft)| attempts.contains(&Try::of(draft)));
        drafts.filter_map(concludes).min()
    }

    /// Why nothing can be done on the node now, whatever it is.
    fn hindrance(&self) -> Option<String> {
        match self.connection.link() {
            Some(link) => self.recover_failure.clone().filter(|_| self.recovered != link.number),
            None => {
                let why = self.health.lack(CONTAINERD).filter(|why| why != NOT_YET)?;
                Some(format!("no connection to containerd: {why}"))
            }
        }
    }

    /// What came of a conclusion.
    pub(super) fn settle_conclusion(&mut self, key: Key, mut draft: Draft, result: Result<Standing, Failed>) {
        match result {
            Ok(Standing::Done) => self.queue.done(&key),
            // Its deadline is later by now.
            Ok(Standing::Held) => drop(self.drafts.insert(key, draft)),
            Err(error) => {
                let delay = self.pause_after_failure(&key);
                tracing::warn!(deletion = key.name, %error, ?delay, "the end of the deletion is told again");
                draft.concluded_from = Some(Instant::now() + delay);
                self.drafts.insert(key, draft);
            }
        }
        self.forget_drafts();
    }
}

fn conclude(
    attempts: &Attempts,
    key: Key,
    known: Known,
    mut draft: Draft,
    hindrance: Option<String>,
) -> Doing<'_> {
    let span = error_span!("deletion", deletion = key.name, node = attempts.cluster.node_name());
    async move {
        let result = attempts.give_up(&key, &known, &mut draft, hindrance).await;
        (Job::Conclude { key, draft: Box::new(draft) }, result.map_err(|error| Failed::Before(error.into())))
    }
    .instrument(span)
    .boxed_local()
}
