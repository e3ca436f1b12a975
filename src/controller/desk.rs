//! Carries orders out at the API server, each in a task of its own, and brings back what came of it.

use std::collections::VecDeque;
use std::future::Future;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::core::Request;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::failure::Failure;
use super::note::Note;
use super::order::{Order, StatusWrite, Target};
use super::pages::list_reports;
use crate::api::aggregate::Reports;
use crate::api::deletion::ImageDeletion;
use crate::lenient::Lenient;
use crate::plain::plain_body;

/// Who writes statuses and the Lease, and publishes Events.
pub(super) const MANAGER: &str = "secateur-controller";
/// What an Event says that was done.
const ACTION: &str = "DeleteImages";
/// How long an answer may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How many orders are carried out at a time: a thousand deletions may be applied at once.
const AT_A_TIME: usize = 16;

/// What came of an order.
#[derive(Debug)]
pub(super) enum Done {
    /// Of a status: the deletion's new version.
    Written(Box<StatusWrite>, Result<Option<String>, Failure>),
    /// Of a recount: the reports.
    Recounted(Target, Result<Reports, Failure>),
    /// Of a removal.
    Removed(Target, Result<(), Failure>),
    /// Of Events.
    Published(Target, Result<(), Failure>),
}

/// The orders that are being carried out, and those that wait for that.
pub(super) struct Desk {
    client: Client,
    recorder: Recorder,
    waiting: VecDeque<Job>,
    tasks: JoinSet<Done>,
}

enum Job {
    Order(Order),
    Publish(Target, Vec<Note>),
}

impl Desk {
    /// A desk without orders. `instance` is this controller among its replicas.
    pub(super) fn new(client: Client, instance: &str) -> Self {
        let reporter = Reporter { controller: MANAGER.to_owned(), instance: Some(instance.to_owned()) };
        let recorder = Recorder::new(client.clone(), reporter);
        Self { client, recorder, waiting: VecDeque::new(), tasks: JoinSet::new() }
    }

    /// Has an order carried out.
    pub(super) fn give(&mut self, order: Order) {
        self.waiting.push_back(Job::Order(order));
        self.begin();
    }

    /// Has notes published as Events, one after another.
    pub(super) fn publish(&mut self, target: &Target, notes: Vec<Note>) {
        self.waiting.push_back(Job::Publish(target.clone(), notes));
        self.begin();
    }

    fn begin(&mut self) {
        while self.tasks.len() < AT_A_TIME
            && let Some(job) = self.waiting.pop_front()
        {
            let (client, recorder) = (self.client.clone(), self.recorder.clone());
            match job {
                Job::Order(order) => self.tasks.spawn(carry_out(client, order)),
                Job::Publish(target, notes) => self.tasks.spawn(publish(recorder, target, notes)),
            };
        }
    }

    /// What came of the next order that is done. Never ready without orders.
    pub(super) async fn done(&mut self) -> Done {
        loop {
            let Some(ended) = self.tasks.join_next().await else { std::future::pending().await };
            self.begin();
            if let Ok(done) = ended {
                return done;
            }
        }
    }

    /// Whether no order is being carried out.
    pub(super) fn is_idle(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Stops whatever is being carried out, and forgets what waits.
    pub(super) async fn clear(&mut self) {
        self.waiting.clear();
        self.tasks.shutdown().await;
    }
}

async fn carry_out(client: Client, order: Order) -> Done {
    match order {
        Order::Write(write) => {
            let written = in_time(PATIENCE, write_status(client, &write)).await;
            Done::Written(write, written)
        }
        Order::Recount(target) => {
            let reports = list_reports(&client, &target).await;
            Done::Recounted(target, reports)
        }
        Order::Remove(target) => {
            let removed = in_time(PATIENCE, remove(client, &target)).await;
            Done::Removed(target, removed)
        }
    }
}

async fn publish(recorder: Recorder, target: Target, notes: Vec<Note>) -> Done {
    let deletion = reference(&target);
    for note in notes {
        if let Err(failure) = in_time(PATIENCE, recorder.publish(&event(&note), &deletion)).await {
            return Done::Published(target, Err(failure));
        }
    }
    Done::Published(target, Ok(()))
}

/// The answer, if it comes within `patience`.
pub(super) async fn in_time<T>(
    patience: Duration,
    request: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, Failure> {
    match timeout(patience, request).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(Failure::Silence(patience)),
    }
}

/// Refused with a conflict if the deletion is no longer what it was: its version is part of what is applied.
async fn write_status(client: Client, write: &StatusWrite) -> Result<Option<String>, kube::Error> {
    let Target { name, uid, resource_version } = &write.target;
    let applied = json!({
        "apiVersion": ImageDeletion::api_version(&()),
        "kind": ImageDeletion::kind(&()),
        "metadata": {"name": name, "uid": uid.as_str(), "resourceVersion": resource_version},
        "status": write.status,
    });
    let parameters = PatchParams::apply(MANAGER).force();
    let deletions = Request::new(ImageDeletion::url_path(&(), None));
    let request = deletions.patch_subresource("status", name, &parameters, &Patch::Apply(applied));
    let request = request.map_err(kube::Error::BuildRequest)?.map(plain_body);
    Ok(client.request::<Lenient<ImageDeletion>>(request).await?.resource_version())
}

async fn remove(client: Client, target: &Target) -> Result<(), kube::Error> {
    let preconditions = Preconditions {
        uid: Some(target.uid.as_str().to_owned()),
        resource_version: target.resource_version.clone(),
    };
    let parameters = DeleteParams::background().preconditions(preconditions);
    Api::<Lenient<ImageDeletion>>::all(client).delete(&target.name, &parameters).await.map(|_| ())
}

fn reference(target: &Target) -> ObjectReference {
    ObjectReference {
        api_version: Some(ImageDeletion::api_version(&()).into_owned()),
        kind: Some(ImageDeletion::kind(&()).into_owned()),
        name: Some(target.name.clone()),
        uid: Some(target.uid.as_str().to_owned()),
        ..ObjectReference::default()
    }
}

fn event(note: &Note) -> Event {
    Event {
        type_: if note.kind.is_warning() { EventType::Warning } else { EventType::Normal },
        reason: note.kind.reason(),
        note: Some(note.text.clone()),
        action: ACTION.to_owned(),
        secondary: None,
    }
}
