//! The one watch of reports, of those on every deletion, from now on.
//!
//! A watch of its own for each deletion would take a connection of both sides, and a look at every report from the API server.
//! And a watch as others are begins with a list, of which most would be on deletions that are over. So this one begins at
//! the version that there is, and says so: what there was by then is listed for each deletion that it matters for.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use kube::api::{ListParams, PartialObjectMeta, WatchEvent, WatchParams};
use kube::{Api, Client, ResourceExt};
use tokio::sync::mpsc::Sender;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::attempts::pauses;
use super::desk::{PATIENCE, in_time};
use super::failure::Failure;
use super::observer::{ErrorKind, Observer};
use super::pages::understood;
use super::watch::Input;
use crate::api::report::{ImageDeletionReport, ImageDeletionReportSpec};
use crate::backoff::Backoff;
use crate::lenient::Lenient;

/// After so long without a word the connection is taken for dead: the API server is asked to end a watch after 290 s.
const SILENCE: Duration = Duration::from_secs(300);
/// The API server's code for a version that it no longer knows (HTTP, and the `Status` of an event).
const GONE: u16 = 410;

/// What the watch tells.
#[derive(Debug)]
pub(super) enum News {
    /// It begins. What was before was not told.
    Begins,
    /// This report is new or has changed.
    Applied(ImageDeletionReportSpec),
    /// This one is gone.
    Gone(ImageDeletionReportSpec),
}

/// Why the watch ended.
enum End {
    /// Nobody listens any more.
    Unheard,
    /// As watches do: it goes on where it was.
    Over,
    /// Something went wrong.
    Failed(Failure),
}

/// Who watches.
pub(super) struct Newsroom {
    client: Client,
    inputs: Sender<Input>,
    observer: Arc<dyn Observer>,
    /// The version up to which everything was told.
    version: Option<String>,
    backoff: Backoff,
}

impl Newsroom {
    /// One that has told nothing.
    pub(super) fn new(client: Client, inputs: Sender<Input>, observer: Arc<dyn Observer>) -> Self {
        Self { client, inputs, observer, version: None, backoff: pauses() }
    }

    /// Tells the news for as long as somebody listens.
    pub(super) async fn run(mut self) {
        loop {
            let Err(end) = self.watch().await;
            match end {
                End::Unheard => return,
                End::Over => {}
                End::Failed(failure) => {
                    if matches!(&failure, Failure::Refused(status) if status.code == GONE) {
                        self.version = None;
                    }
                    self.complain(&failure);
                }
            }
            sleep(self.backoff.pause()).await;
        }
    }

    async fn watch(&mut self) -> Result<Infallible, End> {
        let version = match &self.version {
            Some(version) => version.clone(),
            None => {
                let version = self.latest().await?;
                self.send(News::Begins).await?;
                self.version.insert(version).clone()
            }
        };
        let (reports, parameters): (Api<Lenient<ImageDeletionReport>>, _) =
            (Api::all(self.client.clone()), WatchParams::default());
        let mut events = pin!(in_time(PATIENCE, reports.watch(&parameters, &version)).await?);
        loop {
            let event = timeout(SILENCE, events.next()).await.ok().flatten().ok_or(End::Over)?;
            self.take(event.map_err(Failure::from)?).await?;
        }
    }

    async fn take(&mut self, event: WatchEvent<Lenient<ImageDeletionReport>>) -> Result<(), End> {
        let (version, news) = match event {
            WatchEvent::Added(report) | WatchEvent::Modified(report) => {
                (report.resource_version(), self.understood(report).map(News::Applied))
            }
            WatchEvent::Deleted(report) => {
                (report.resource_version(), self.understood(report).map(News::Gone))
            }
            WatchEvent::Bookmark(mark) => (Some(mark.metadata.resource_version), None),
            WatchEvent::Error(status) => return Err(Failure::Refused(status).into()),
        };
        if let Some(news) = news {
            self.send(news).await?;
        }
        self.version = version.or(self.version.take());
        self.backoff = pauses();
        Ok(())
    }

    /// What a report says. The watch goes on after one that says nothing.
    fn understood(&self, report: Lenient<ImageDeletionReport>) -> Option<ImageDeletionReportSpec> {
        let spec = understood(report);
        if spec.is_none() {
            self.observer.error(ErrorKind::Watch);
        }
        spec
    }

    /// The version of all reports. One is listed, because none can't be asked for.
    async fn latest(&self) -> Result<String, End> {
        let reports: Api<Lenient<PartialObjectMeta<ImageDeletionReport>>> = Api::all(self.client.clone());
        let all = in_time(PATIENCE, reports.list(&ListParams::default().limit(1))).await?;
        let version = all.metadata.resource_version.filter(|version| !version.is_empty());
        version.ok_or(End::Failed(Failure::Unwatchable))
    }

    async fn send(&self, news: News) -> Result<(), End> {
        self.inputs.send(Input::News(news)).await.map_err(|_| End::Unheard)
    }

    fn complain(&self, error: &Failure) {
        warn!(watched = "imagedeletionreports", %error, "watch broke off, it is opened again");
        self.observer.error(ErrorKind::Watch);
    }
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

#[cfg(test)]
mod tests;
