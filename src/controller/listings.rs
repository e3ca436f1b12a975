//! The reports of each deletion that is under way: they are listed once, and after that the [news](super::news) say what changes.
//!
//! What the news say of a deletion while its reports are being listed is told after the list: it may be in the list already,
//! which does no harm, but if it came first an older list would undo it.

use std::collections::HashMap;
use std::sync::Arc;

use futures::FutureExt;
use kube::Client;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::Sender;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;
use tracing::warn;

use super::attempts::pauses;
use super::change::{Change, ReportChange};
use super::ledger::Interest;
use super::news::News;
use super::observer::{ErrorKind, Observer};
use super::order::Target;
use super::pages::list_reports;
use super::since::Since;
use super::uid::Uid;
use super::watch::Input;
use crate::api::aggregate::Reports;

/// The lists that are asked for at a time.
const AT_A_TIME: usize = 8;

/// A list that was asked for, among all that ever were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Number(u64);

/// The deletions whose reports matter.
pub(super) struct Listings {
    client: Client,
    inputs: Sender<Input>,
    observer: Arc<dyn Observer>,
    places: Arc<Semaphore>,
    tasks: JoinSet<()>,
    deletions: HashMap<Uid, (Target, State)>,
    /// Whether the news have begun. What is listed before would be too old.
    has_news: bool,
    last: Number,
}

/// What is known of a deletion's reports.
enum State {
    /// Nothing: the news have not begun.
    Unlisted,
    /// They are being listed, and this is what the news have said since.
    Listing { number: Number, task: AbortHandle, since: Since },
    /// They are listed.
    Listed,
}

impl State {
    fn abort(&self) {
        if let Self::Listing { task, .. } = self {
            task.abort();
        }
    }
}

impl Listings {
    /// Of no deletion. Lists go to `inputs`.
    pub(super) fn new(client: Client, inputs: Sender<Input>, observer: Arc<dyn Observer>) -> Self {
        let places = Arc::new(Semaphore::new(AT_A_TIME));
        let (tasks, deletions) = (JoinSet::new(), HashMap::new());
        Self { client, inputs, observer, places, tasks, deletions, has_news: false, last: Number::default() }
    }

    /// Begins or ends to tell of a deletion's reports.
    pub(super) fn interest(&mut self, interest: Interest) {
        match interest {
            Interest::Begins(target) => {
                let state = if self.has_news { self.list(&target) } else { State::Unlisted };
                if let Some((_, before)) = self.deletions.insert(target.uid.clone(), (target, state)) {
                    before.abort();
                }
            }
            Interest::Ends(uid) => {
                if let Some((_, before)) = self.deletions.remove(&uid) {
                    before.abort();
                }
            }
        }
        while self.tasks.try_join_next().is_some() {}
    }

    /// What there is to be told of the news by now.
    pub(super) fn news(&mut self, news: News) -> Option<(Uid, ReportChange)> {
        let (report, is_gone) = match news {
            News::Begins => {
                self.list_all();
                return None;
            }
            News::Applied(report) => (report, false),
            News::Gone(report) => (report, true),
        };
        let uid: Uid = report.image_deletion_uid.as_str().into();
        let (target, state) = self.deletions.get_mut(&uid)?;
        if target.name != report.image_deletion {
            // No list has it.
            return None;
        }
        let change = if is_gone { Change::Gone(report.node_name) } else { Change::Applied(report) };
        match state {
            State::Unlisted => None,
            State::Listing { since, .. } => {
                since.note(change);
                None
            }
            State::Listed => Some((uid, change)),
        }
    }

    /// What there is to be told now that this list is there: it, and what the news have said since.
    pub(super) fn listed(&mut self, uid: &Uid, number: Number, reports: Reports) -> Vec<ReportChange> {
        let Some((_, state)) = self.deletions.get_mut(uid) else { return Vec::new() };
        match state {
            State::Listing { number: expected, since, .. } if *expected == number => {
                let since = std::mem::take(since);
                *state = State::Listed;
                [Change::Listed(reports)].into_iter().chain(since.changes()).collect()
            }
            _ => Vec::new(),
        }
    }

    fn list_all(&mut self) {
        self.has_news = true;
        let targets: Vec<_> = self.deletions.values().map(|(target, _)| target.clone()).collect();
        targets.into_iter().for_each(|target| self.interest(Interest::Begins(target)));
    }

    fn list(&mut self, target: &Target) -> State {
        self.last = Number(self.last.0 + 1);
        let (number, target) = (self.last, target.clone());
        let (client, inputs, observer) =
            (self.client.clone(), self.inputs.clone(), Arc::clone(&self.observer));
        let places = Arc::clone(&self.places);
        // It is on the heap while it waits for its turn, so it is made small.
        let work = async move {
            let _place = places.acquire().await;
            let reports = all_reports(client, &target, observer.as_ref()).boxed().await;
            let _ = inputs.send(Input::Listed(target.uid, number, reports)).await;
        };
        State::Listing { number, task: self.tasks.spawn(work), since: Since::default() }
    }
}

/// The reports on a deletion, however long that takes.
async fn all_reports(client: Client, target: &Target, observer: &dyn Observer) -> Reports {
    let mut backoff = pauses();
    loop {
        match list_reports(&client, target).await {
            Ok(reports) => return reports,
            Err(error) => {
                warn!(deletion = %target.name, %error, "cannot list the reports, trying again");
                observer.error(ErrorKind::Recount);
            }
        }
        sleep(backoff.pause()).await;
    }
}

#[cfg(test)]
mod tests;
