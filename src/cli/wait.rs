//! `onConflict: Wait`: what something holds is tried again when nothing holds it any longer, until the deadline.

use std::time::Duration;

use jiff::Timestamp;

use super::answer::Ended;
use super::error::Error;
use super::interrupt::Interrupt;
use super::screen::say;
use super::session::Session;
use crate::image::Request;
use crate::node::{self, Done, EntryResult, Outcome};

/// A deletion that waits.
pub struct Wait<'a> {
    session: &'a Session,
    interrupt: &'a Interrupt,
    deadline: Timestamp,
}

impl<'a> Wait<'a> {
    /// Waits until the deadline or an interruption.
    pub fn new(session: &'a Session, interrupt: &'a Interrupt, deadline: Timestamp) -> Self {
        Self { session, interrupt, deadline }
    }

    /// Deletes what is requested, entry by entry as it becomes free. Returns the last operation with the results of all of
    /// them, and what the earlier ones have recovered; those are acknowledged, and their results were said on stderr.
    pub async fn delete(&self, request: &Request) -> Result<(Done, Vec<Ended>), Error> {
        let mut held: Vec<usize> = (0..request.entries.len()).collect();
        let mut results: Vec<EntryResult> = Vec::new();
        let mut recovered = Vec::new();
        loop {
            let mut done = self.session.delete(&only(request, &held), self.interrupt).await?;
            for (index, result) in held.iter().zip(std::mem::take(&mut done.results)) {
                match results.get_mut(*index) {
                    Some(earlier) => earlier.follow(result),
                    None => results.push(result),
                }
            }
            held.retain(|index| results[*index].outcome == Outcome::Conflict);
            if held.is_empty() || !self.goes_on() {
                done.results = results;
                return Ok((done, recovered));
            }
            self.say_held(&results, &held);
            recovered.extend(done.recovered.iter().map(Ended::from));
            self.session.node.acknowledge(done).await?;
            self.until_free(&only(request, &held)).await?;
        }
    }

    fn goes_on(&self) -> bool {
        !self.interrupt.token().is_cancelled() && Timestamp::now() < self.deadline
    }

    fn say_held(&self, results: &[EntryResult], held: &[usize]) {
        for result in results.iter().filter(|result| !result.removals.is_empty()) {
            say(format_args!("{}: {:?}", result.entry, result.outcome));
        }
        for result in held.iter().map(|index| &results[*index]) {
            say(format_args!("{}: waiting: {}", result.entry, result.messages.join("; ")));
        }
    }

    /// Returns when one of the entries may have become free, and at the deadline or an interruption at the latest.
    async fn until_free(&self, request: &Request) -> Result<(), Error> {
        let mut releases = self.session.node.releases().await.map_err(node::Error::from)?;
        while self.goes_on() {
            let results = self.session.dry_run(request).await?;
            if results.iter().any(EntryResult::is_free) {
                return Ok(());
            }
            tokio::select! {
                release = releases.next() => release.map_err(node::Error::from)?,
                () = self.interrupt.token().cancelled_owned() => {}
                () = tokio::time::sleep(self.time_left()) => {}
            }
        }
        Ok(())
    }

    fn time_left(&self) -> Duration {
        Timestamp::now().duration_until(self.deadline).try_into().unwrap_or_default()
    }
}

fn only(request: &Request, entries: &[usize]) -> Request {
    Request {
        entries: entries.iter().map(|index| request.entries[*index].clone()).collect(),
        rules: request.rules.clone(),
    }
}
