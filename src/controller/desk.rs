//! Carries orders out at the API server, each in a task of its own, and brings back what came of it.

use std::future::Future;
use std::time::Duration;

use futures::FutureExt;
use kube::api::{DeleteParams, Patch, PatchParams, Preconditions};
use kube::core::Request;
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::json;
use tokio::time::timeout;

use super::crew::Crew;
use super::events::Events;
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
    orders: Crew<Order, Done>,
    events: Events,
}

impl Desk {
    /// A desk without orders. `instance` is this controller among its replicas.
    pub(super) fn new(client: Client, instance: &str) -> Self {
        let events = Events::new(client.clone(), instance);
        let orders = Crew::new(AT_A_TIME, move |order| carry_out(client.clone(), order).boxed());
        Self { orders, events }
    }

    /// Has an order carried out.
    pub(super) fn give(&mut self, order: Order) {
        self.orders.give(order);
    }

    /// Has notes published as [`Events`]. Says whether there is room for them.
    pub(super) fn publish(&mut self, target: &Target, notes: Vec<Note>) -> bool {
        self.events.publish(target, notes)
    }

    /// What came of the next order that is done. Never ready without orders.
    pub(super) async fn done(&mut self) -> Done {
        tokio::select! {
            Some(done) = self.orders.done() => done,
            Some((target, published)) = self.events.published() => Done::Published(target, published),
            else => std::future::pending().await,
        }
    }

    /// Whether no order is being carried out.
    pub(super) fn is_idle(&self) -> bool {
        self.orders.is_idle() && self.events.is_idle()
    }

    /// Stops whatever is being carried out, and forgets what waits.
    pub(super) async fn clear(&mut self) {
        self.orders.clear().await;
        self.events.clear().await;
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use axum::body::Body;
    use axum::http::{Request, Response};
    use tower::service_fn;

    use super::*;
    use crate::controller::fixture::deletion;
    use crate::controller::note::Kind;

    #[tokio::test]
    async fn no_order_waits_for_events() {
        let answer = async |request: Request<_>| {
            if request.uri().path().ends_with("/events") {
                std::future::pending::<()>().await;
            }
            Ok::<_, Infallible>(Response::new(Body::from(json!({"status": "Success"}).to_string())))
        };
        let mut desk = Desk::new(Client::new(service_fn(answer), "default"), "controller-x");
        let target = Target::of(&deletion());
        for _ in 0..AT_A_TIME * 2 {
            desk.publish(&target, vec![Note { kind: Kind::Started, text: "1 node".to_owned() }]);
        }
        desk.give(Order::Remove(target));
        let done = timeout(PATIENCE / 2, desk.done()).await.expect("it waits for nothing");
        assert!(matches!(done, Done::Removed(_, Ok(()))), "{done:?}");
    }
}
