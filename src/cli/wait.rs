//! `onConflict: Wait`: what something holds is tried again when nothing holds it any longer, until the deadline.

use std::time::Duration;

use jiff::Timestamp;

use super::answer::{Answer, Ended, in_full};
use super::error::Error;
use super::interrupt::Interrupt;
use super::screen::say;
use super::session::Session;
use crate::conversion::image_result;
use crate::image::Request;
use crate::node::{self, Done, EntryResult, HeldImages};

/// The time between two looks whether containerd is there again.
const PAUSE: Duration = Duration::from_secs(1);

/// How long a look without any news counts. On containerd 1.6 a container that was not made after all ends without an event.
const AGAIN: Duration = Duration::from_secs(30);

/// A deletion that waits.
pub struct Wait<'a> {
    session: &'a Session,
    interrupt: &'a Interrupt,
    deadline: Timestamp,
}

/// What came of a deletion that has waited. What the earlier operations did was said on stderr, and is acknowledged but where that
/// has failed: the next run tells it once more then.
#[derive(Debug, Default)]
pub struct Waited {
    /// A result for each entry, of all operations.
    pub results: Vec<EntryResult>,
    /// What the last one has recovered.
    pub recovered: Vec<Ended>,
    /// The last operation, if it is still to be acknowledged.
    pub last: Option<Done>,
    /// What has ended the wait.
    pub error: Option<Error>,
}

impl Waited {
    fn take_in(&mut self, entries: &[usize], done: &mut Done) {
        for (index, result) in entries.iter().zip(std::mem::take(&mut done.results)) {
            match self.results.get_mut(*index) {
                Some(earlier) => earlier.follow(result),
                None => self.results.push(result),
            }
        }
        self.recovered.extend(done.recovered.iter().map(Ended::from));
    }

    /// What came of one operation, without a wait.
    pub fn once(mut done: Done) -> Self {
        let mut waited = Self::default();
        let entries: Vec<usize> = (0..done.results.len()).collect();
        waited.take_in(&entries, &mut done);
        Self { last: Some(done), ..waited }
    }

    fn ended(self, error: Error) -> Self {
        Self { error: Some(error), ..self }
    }
}

impl<'a> Wait<'a> {
    /// Waits until the deadline or an interruption.
    pub fn new(session: &'a Session, interrupt: &'a Interrupt, deadline: Timestamp) -> Self {
        Self { session, interrupt, deadline }
    }

    /// Deletes what is requested, entry by entry as it becomes free, and returns what came of it.
    ///
    /// # Errors
    ///
    /// Where the first operation fails. After that there is something to tell, and an error is told with it.
    pub async fn delete(&self, request: &Request) -> Result<Waited, Error> {
        let mut waited = Waited::default();
        let mut held: Vec<usize> = (0..request.entries.len()).collect();
        loop {
            let mut done = match self.attempt(&only(request, &held)).await {
                Err(Error::Late | Error::Node(node::Error::Interrupted)) if !waited.results.is_empty() => {
                    return Ok(waited);
                }
                Err(error) if !waited.results.is_empty() => return Ok(waited.ended(error)),
                done => done?,
            };
            let attempt = done.results.clone();
            waited.take_in(&held, &mut done);
            held.retain(|index| waited.results[*index].is_held());
            if held.is_empty() || !self.goes_on() {
                return Ok(Waited { last: Some(done), ..waited });
            }
            // The node forgets it now, and what is kept here is lost if this is killed while it waits.
            Answer { recovered: std::mem::take(&mut waited.recovered), ..Answer::default() }.say_recovered();
            attempt.iter().filter(|result| !result.removals.is_empty()).for_each(say_outcome);
            held.iter().for_each(|index| say_held(&waited.results[*index]));
            let images = HeldImages::of(held.iter().map(|index| &waited.results[*index]));
            let next = async {
                self.session.node.acknowledge(done).await?;
                self.until_free(&only(request, &held), &images).await
            };
            match next.await {
                Err(error) => return Ok(waited.ended(error)),
                // Nothing was done since.
                Ok(()) if !self.goes_on() => return Ok(waited),
                Ok(()) => {}
            }
        }
    }

    async fn attempt(&self, request: &Request) -> Result<Done, Error> {
        let turn = self.session.turn(self.interrupt, Some(self.deadline)).await?;
        self.session.delete(turn, request, self.interrupt).await
    }

    fn goes_on(&self) -> bool {
        !self.interrupt.token().is_cancelled() && Timestamp::now() < self.deadline
    }

    /// Returns when one of the images may have become free, and at the deadline or an interruption at the latest. A containerd that
    /// is started again meanwhile is waited for too.
    async fn until_free(&self, request: &Request, held: &HeldImages) -> Result<(), Error> {
        let mut is_away = false;
        loop {
            match self.until_free_or_away(request, held).await {
                Err(Error::Node(node::Error::Call(error))) if error.may_pass() && self.goes_on() => {
                    if !std::mem::replace(&mut is_away, true) {
                        say(format_args!("waiting for containerd too: {error}"));
                    }
                    self.pause(PAUSE).await;
                }
                ended => return ended,
            }
        }
    }

    async fn until_free_or_away(&self, request: &Request, held: &HeldImages) -> Result<(), Error> {
        let mut releases = self.session.node.releases().await.map_err(node::Error::from)?;
        while self.goes_on() {
            let results = self.session.dry_run(request).await?;
            if held.is_any_free(&results) {
                return Ok(());
            }
            tokio::select! {
                release = releases.next() => release.map_err(node::Error::from)?,
                () = self.pause(AGAIN) => {}
            }
        }
        Ok(())
    }

    /// Lets time pass, until the deadline or an interruption at the latest.
    async fn pause(&self, time: Duration) {
        tokio::select! {
            () = self.interrupt.token().cancelled_owned() => {}
            () = tokio::time::sleep(time.min(self.time_left())) => {}
        }
    }

    fn time_left(&self) -> Duration {
        Timestamp::now().duration_until(self.deadline).try_into().unwrap_or_default()
    }
}

fn say_outcome(result: &EntryResult) {
    say(format_args!("{}: {}", result.entry, in_full(&image_result(result))));
}

fn say_held(result: &EntryResult) {
    say(format_args!("{}: waiting: {}", result.entry, result.messages.join("; ")));
}

fn only(request: &Request, entries: &[usize]) -> Request {
    Request {
        entries: entries.iter().map(|index| request.entries[*index].clone()).collect(),
        rules: request.rules.clone(),
    }
}
