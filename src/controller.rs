//! `secateur controller`: folds the nodes' reports into each deletion's status, ends deletions at their deadline, removes
//! them when they have expired, and says what happened in Kubernetes Events.
//!
//! Of several controllers one leads, by a Lease; the others know all that it knows and write nothing, so that the next one
//! can go on at once. [`ledger`] and what is below it decide and do no I/O; this loop brings them what the watches tell and
//! the time, and has their orders carried out. Nothing here knows what an image is on a node, or containerd.
//!
//! Time is the API server's: a deadline is its `creationTimestamp` and the seconds of the spec, held against its
//! [`clock`](crate::clock). Reports count for [`REPORT_GRACE_SECONDS`](crate::api::deletion::REPORT_GRACE_SECONDS) longer.

mod agenda;
mod agents;
mod attempts;
mod change;
mod cluster;
mod crew;
mod desk;
mod events;
mod failure;
#[cfg(test)]
mod fixture;
mod leader;
mod ledger;
mod listings;
mod news;
mod note;
mod observer;
mod order;
mod pace;
mod pages;
mod recount;
mod roster;
mod settled;
mod since;
mod tracked;
mod uid;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio::sync::{mpsc, watch as latest};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::clock::{Clock, timed};
use desk::{Desk, Done};
use failure::Failure;
use leader::{Candidate, Term};
use ledger::Ledger;
use listings::Listings;
pub use note::Kind as NoteKind;
pub use observer::{ErrorKind, Observer};
use order::{StatusWrite, Target};
use watch::{Input, Watches};

/// The inputs that may wait for the loop.
const QUEUE: usize = 128;
/// How long to sleep at most: the clock may be set while nothing happens.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// How long a controller that ends waits for what it has begun.
const LAST_WAIT: Duration = Duration::from_secs(3);

/// What a controller must be told.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The namespace of the agents' pods and of the Lease.
    pub pod_namespace: String,
    /// The name of this controller's pod, which holds the Lease when it leads.
    pub pod_name: String,
    /// The label selector of the agents' pods.
    pub agent_selector: String,
    /// The name of the Lease.
    pub lease_name: String,
}

/// How a controller talks to the API server.
#[derive(Clone)]
pub struct Clients {
    /// For the Lease alone. It is renewed or lost within seconds, so its requests wait behind no other ones, and after one that is
    /// not answered in time the next goes by another connection: as kube's own client does it.
    pub lease: Client,
    /// For everything else.
    pub work: Client,
}

/// Runs the controller until `cancel` says to end. It then finishes what it has begun and releases its Lease.
///
/// Whatever goes wrong at the API server is logged, told to `observer` and tried again, so there is no error to return.
pub async fn run(
    settings: Settings,
    clients: Clients,
    observer: Arc<dyn Observer>,
    cancel: CancellationToken,
) {
    let (client, clock) = timed(clients.work);
    let (sender, term) = latest::channel(None);
    let retired = CancellationToken::new();
    let candidate = Candidate::new(clock.timing(clients.lease), &settings, Arc::clone(&observer));
    let controller = Controller::new(client, clock, &settings, observer, term);
    tokio::join!(candidate.stand(sender, retired.clone()), async {
        controller.run(cancel).await;
        retired.cancel();
    });
}

struct Controller {
    clock: Clock,
    ledger: Ledger,
    /// They end with this.
    _watches: Watches,
    listings: Listings,
    inputs: mpsc::Receiver<Input>,
    desk: Desk,
    term: latest::Receiver<Term>,
    observer: Arc<dyn Observer>,
}

impl Controller {
    fn new(
        client: Client,
        clock: Clock,
        settings: &Settings,
        observer: Arc<dyn Observer>,
        term: latest::Receiver<Term>,
    ) -> Self {
        let (sender, inputs) = mpsc::channel(QUEUE);
        Self {
            clock,
            ledger: Ledger::default(),
            _watches: Watches::open(client.clone(), settings, sender.clone(), Arc::clone(&observer)),
            listings: Listings::new(client.clone(), sender, Arc::clone(&observer)),
            inputs,
            desk: Desk::new(client, &settings.pod_name),
            term,
            observer,
        }
    }

    async fn run(mut self, cancel: CancellationToken) {
        let mut batch = Vec::new();
        self.observer.ready(false);
        loop {
            let pause = self.pause();
            tokio::select! {
                biased;
                () = cancel.cancelled() => break,
                Ok(()) = self.term.changed() => self.term_changed().await,
                done = self.desk.done() => self.take_answer(done),
                _ = self.inputs.recv_many(&mut batch, QUEUE) => {
                    batch.drain(..).for_each(|input| self.take_input(input));
                    self.observer.ready(self.ledger.is_known());
                }
                () = sleep(pause) => {}
            }
            self.act();
        }
        if timeout(LAST_WAIT, self.finish()).await.is_err() {
            warn!("not everything that was begun could be finished");
        }
    }

    /// Until something is due.
    fn pause(&self) -> Duration {
        let next = self.ledger.next().filter(|_| self.is_acting());
        next.map_or(LONGEST_SLEEP, |next| self.clock.until(next).min(LONGEST_SLEEP))
    }

    fn take_input(&mut self, input: Input) {
        match input {
            Input::Deletions(change) => {
                for interest in self.ledger.deletions(change, self.clock.now()) {
                    self.listings.interest(interest);
                }
            }
            Input::Nodes(change) => self.ledger.nodes(change),
            Input::Agents(change) => self.ledger.agents(change, self.clock.now()),
            Input::News(news) => {
                if let Some((uid, change)) = self.listings.news(news) {
                    self.ledger.reports(&uid, change);
                }
            }
            Input::Listed(uid, number, reports) => {
                for change in self.listings.listed(&uid, number, reports) {
                    self.ledger.reports(&uid, change);
                }
            }
        }
    }

    /// Gives out what is due, if that is for this controller to do.
    fn act(&mut self) {
        let now = self.clock.now();
        match self.is_acting() {
            true => self.ledger.due(now).into_iter().for_each(|order| self.desk.give(order)),
            false => self.ledger.pass(now),
        }
        let counts = match self.leads() {
            true => self.ledger.phases(),
            false => self.ledger.phases().into_keys().map(|phase| (phase, 0)).collect(),
        };
        self.observer.phases(&counts);
    }

    /// Whether it leads and knows enough to.
    fn is_acting(&self) -> bool {
        self.leads() && self.ledger.is_known()
    }

    fn leads(&self) -> bool {
        self.term.borrow().is_some_and(|end| Instant::now() < end)
    }

    /// One that no longer leads stops what it is writing. Whatever came of it, the next one sees.
    async fn term_changed(&mut self) {
        if self.term.borrow_and_update().is_none() {
            self.desk.clear().await;
            self.ledger.abandon();
        }
    }

    fn take_answer(&mut self, done: Done) {
        match done {
            Done::Written(write, Ok(version)) => self.take_written(*write, version),
            Done::Recounted(target, Ok(reports)) => self.ledger.recounted(&target.uid, reports),
            Done::Removed(target, Ok(())) => info!(deletion = %target.name, "removed, its time is over"),
            Done::Published(_, Ok(())) => {}
            Done::Written(write, Err(failure)) => {
                self.take_failure(&write.target, ErrorKind::StatusWrite, &failure);
            }
            Done::Recounted(target, Err(failure)) => self.take_failure(&target, ErrorKind::Recount, &failure),
            Done::Removed(target, Err(failure)) => self.take_failure(&target, ErrorKind::Removal, &failure),
            Done::Published(target, Err(failure)) => {
                self.observer.error(ErrorKind::Event);
                warn!(deletion = %target.name, error = %failure, "cannot publish an event");
            }
        }
    }

    fn take_written(&mut self, write: StatusWrite, version: Option<String>) {
        let StatusWrite { target, status, notes } = &write;
        for note in notes {
            let (phase, nodes) = (status.phase, &status.nodes_reported);
            info!(deletion = %target.name, ?phase, %nodes, "{}: {}", note.kind.reason(), note.text);
        }
        if !notes.is_empty() && !self.desk.publish(target, notes.clone()) {
            self.observer.error(ErrorKind::Event);
            warn!(deletion = %target.name, "too many events wait already, so these are not published");
        }
        if let Some(interest) = self.ledger.written(&write, version) {
            self.listings.interest(interest);
        }
    }

    fn take_failure(&mut self, target: &Target, kind: ErrorKind, failure: &Failure) {
        let (deletion, kind_label) = (&target.name, kind.label());
        if failure.is_race() {
            debug!(%deletion, kind = kind_label, error = %failure, "the deletion has changed, looking again");
        } else {
            self.observer.error(kind);
            warn!(%deletion, kind = kind_label, error = %failure, "request failed, trying again");
        }
        self.ledger.failed(&target.uid, self.clock.now());
    }

    async fn finish(&mut self) {
        while !self.desk.is_idle() {
            let done = self.desk.done().await;
            self.take_answer(done);
        }
    }
}
