//! Kubernetes Events. They are published a few at a time and beside all orders, so that nothing waits for them.

use futures::FutureExt;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::api::events::v1::Event;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client, Resource};

use super::crew::Crew;
use super::desk::{MANAGER, PATIENCE, in_time};
use super::failure::Failure;
use super::note::Note;
use super::order::Target;
use crate::api::deletion::ImageDeletion;

/// What an Event says that was done.
const ACTION: &str = "DeleteImages";
/// Where the Events of objects are that have no namespace.
const NAMESPACE: &str = "default";
/// How many are published at a time.
const AT_A_TIME: usize = 4;
/// Of how many deletions they may wait: more than a thousand may be applied, and come to their ends, at once.
const MOST: usize = 2_000;
/// The API server's bound on a name.
const MAX_NAME: usize = 253;

/// Of which deletion there were Events to publish, and what came of it.
pub(super) type Published = (Target, Result<(), Failure>);

/// The Events that are being published, and those that wait for that.
pub(super) struct Events(Crew<Notes, Published>);

/// What there is to tell of a deletion, and since when.
type Notes = (Target, Vec<Note>, Timestamp);

impl Events {
    /// None yet. `instance` is this controller among its replicas.
    pub(super) fn new(client: Client, instance: &str) -> Self {
        let instance = instance.to_owned();
        Self(Crew::new(AT_A_TIME, move |notes| publish(client.clone(), instance.clone(), notes).boxed()))
    }

    /// Has notes published, one after another. Says whether there is room for them.
    pub(super) fn publish(&mut self, target: &Target, notes: Vec<Note>) -> bool {
        let has_room = self.0.waiting() < MOST;
        if has_room {
            self.0.give((target.clone(), notes, Timestamp::now()));
        }
        has_room
    }

    /// What came of the next ones that are done; `None` where none are being published.
    pub(super) async fn published(&mut self) -> Option<Published> {
        self.0.done().await
    }

    /// Whether none are being published.
    pub(super) fn is_idle(&self) -> bool {
        self.0.is_idle()
    }

    /// Stops, and forgets what waits.
    pub(super) async fn clear(&mut self) {
        self.0.clear().await;
    }
}

async fn publish(client: Client, instance: String, (target, notes, time): Notes) -> Published {
    let events = Api::namespaced(client, NAMESPACE);
    for (note, nanosecond) in notes.into_iter().zip(0..) {
        // Of one moment, and each has a name of its own.
        let time = time + SignedDuration::from_nanos(nanosecond);
        let event = event(&target, &note, &instance, time);
        if let Err(failure) = in_time(PATIENCE, events.create(&PostParams::default(), &event)).await {
            return (target, Err(failure));
        }
    }
    (target, Ok(()))
}

fn event(target: &Target, note: &Note, instance: &str, now: Timestamp) -> Event {
    Event {
        metadata: ObjectMeta {
            name: Some(name(&target.name, now)),
            namespace: Some(NAMESPACE.to_owned()),
            ..ObjectMeta::default()
        },
        action: Some(ACTION.to_owned()),
        event_time: Some(MicroTime(now)),
        note: Some(note.text.clone()),
        reason: Some(note.kind.reason()),
        regarding: Some(reference(target)),
        reporting_controller: Some(MANAGER.to_owned()),
        reporting_instance: Some(instance.to_owned()),
        type_: Some(if note.kind.is_warning() { "Warning" } else { "Normal" }.to_owned()),
        ..Event::default()
    }
}

/// The deletion's name and the time, as others name Events. The name of a deletion may be as long as any, so it is cut.
fn name(deletion: &str, now: Timestamp) -> String {
    let time = format!(".{:x}", now.as_nanosecond());
    let cut: String = deletion.chars().take(MAX_NAME - time.len()).collect();
    format!("{}{time}", cut.trim_end_matches(['-', '.']))
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

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::future::pending;

    use axum::body::Body;
    use axum::http::{Request, Response};
    use tower::service_fn;

    use super::*;
    use crate::controller::fixture::deletion;
    use crate::controller::note::Kind;

    #[test]
    fn an_event_has_a_name_that_the_api_server_takes() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let time = "18fae27693b40000";
        let long = |last: &str| format!("{}{last}{}", "a".repeat(235), "b".repeat(17));
        let rows = [
            ("drop".to_owned(), format!("drop.{time}")),
            (long("c"), format!("{}c.{time}", "a".repeat(235))),
            (long("-"), format!("{}.{time}", "a".repeat(235))),
            (long("."), format!("{}.{time}", "a".repeat(235))),
        ];
        for (deletion, expected) in rows {
            assert!(deletion.len() <= MAX_NAME && expected.len() <= MAX_NAME);
            assert_eq!(name(&deletion, now), expected);
        }
    }

    #[tokio::test]
    async fn what_there_is_no_room_for_is_not_kept() {
        let silent = |_: Request<_>| pending::<Result<Response<Body>, Infallible>>();
        let mut events = Events::new(Client::new(service_fn(silent), "default"), "controller-x");
        let target = Target::of(&deletion());
        let note = Note { kind: Kind::Started, text: "1 node".to_owned() };
        let taken = (0..MOST * 2).filter(|_| events.publish(&target, vec![note.clone()])).count();
        assert_eq!(taken, AT_A_TIME + MOST);
        events.clear().await;
        assert!(events.is_idle() && events.published().await.is_none());
    }
}
