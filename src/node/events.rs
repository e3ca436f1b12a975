//! containerd's event stream: waiting for an image to become unused, without asking again and again.

use std::time::Duration;

use containerd_client::services::v1::events_client::EventsClient;
use containerd_client::services::v1::{PublishRequest, SubscribeRequest};
use containerd_client::types::Envelope;
use prost_types::Any;
use tonic::Streaming;

use super::client::{Containerd, DEADLINE, Service, call, within};
use super::error::CallError;
use super::operation::Node;

/// After these, something may have stopped holding an image.
const TOPICS: [&str; 6] = [
    "/tasks/exit",
    "/tasks/delete",
    "/containers/delete",
    "/snapshot/remove",
    "/images/update",
    "/images/delete",
];
/// What we say to ourselves to know that the stream is open: containerd answers a subscription with its first event only.
const HELLO: &str = "/secateur/hello";
/// How often we say it until we hear it.
const HELLO_AGAIN: Duration = Duration::from_millis(50);

const METHOD: &str = "events.Subscribe";

/// A stream of what may have stopped holding an image.
#[derive(Debug)]
pub struct Releases(Streaming<Envelope>);

impl Node {
    /// Opens the stream. What happens after this has returned is not missed.
    pub async fn releases(&self) -> Result<Releases, CallError> {
        self.containerd.releases().await
    }
}

impl Containerd {
    fn events(&self) -> EventsClient<Service> {
        EventsClient::new(self.service())
    }

    async fn releases(&self) -> Result<Releases, CallError> {
        let namespace = self.namespace();
        let filter = |topic: &str| format!("topic==\"{topic}\",namespace==\"{namespace}\"");
        let request =
            SubscribeRequest { filters: TOPICS.iter().chain([&HELLO]).copied().map(filter).collect() };
        let mut client = self.events();
        let opening =
            within(DEADLINE, METHOD, "", async { Ok(client.subscribe(request).await?.into_inner()) });
        tokio::select! {
            stream = opening => stream.map(Releases),
            error = self.say_hello() => Err(error),
        }
    }

    /// Says hello until it is dropped; returns only if that fails.
    async fn say_hello(&self) -> CallError {
        loop {
            let event = Any { type_url: "secateur.dev/hello".to_owned(), value: Vec::new() };
            let request = PublishRequest { topic: HELLO.to_owned(), event: Some(event) };
            if let Err(error) = call("events.Publish", HELLO, self.events().publish(request)).await {
                return error;
            }
            tokio::time::sleep(HELLO_AGAIN).await;
        }
    }
}

impl Releases {
    /// Waits for the next one, however long that takes.
    ///
    /// # Errors
    ///
    /// When the stream ends: the daemon has gone.
    pub async fn next(&mut self) -> Result<(), CallError> {
        loop {
            match self.0.message().await {
                Ok(Some(event)) if event.topic == HELLO => {}
                Ok(Some(_)) => return Ok(()),
                Ok(None) => return Err(CallError::incomplete(METHOD, "", "the rest of the stream")),
                Err(status) => return Err(CallError::status(METHOD, "", &status)),
            }
        }
    }
}
