//! containerd's leases: what holds content and snapshots from its collector.

use std::collections::HashMap;
use std::time::Duration;

use containerd_client::services::v1::leases_client::LeasesClient;
use containerd_client::services::v1::{
    AddResourceRequest, CreateRequest, DeleteRequest, Lease, ListRequest, Resource,
};
use tonic::Code;
use tonic::metadata::{Ascii, MetadataValue};

use super::client::{Containerd, LONG_DEADLINE, MESSAGE_MAX, Service, call, call_within};
use super::containers::KnownContainers;
use super::error::{CallError, found};
use super::journal::LEASE_PREFIX;
use crate::image::Digest;

/// How often a change is tried where there is little room: pages of the database that somebody reads are free only afterwards.
const ATTEMPTS: u32 = 3;
/// The time between two attempts.
const PAUSE: Duration = Duration::from_millis(100);

/// Makes a change of leases, and tries again what the daemon has refused.
pub(super) async fn patiently<T>(change: impl AsyncFn() -> Result<T, CallError>) -> Result<T, CallError> {
    for attempt in 1..ATTEMPTS {
        match change().await {
            Err(error) if error.is_answer() => tracing::warn!(%error, attempt, "it is tried again"),
            made => return made,
        }
        tokio::time::sleep(PAUSE).await;
    }
    change().await
}

/// Whether a deletion waits for the collector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Collect {
    /// It returns when everything that nothing holds any longer has left the disk.
    Now,
    /// It returns at once.
    Later,
}

impl Containerd {
    fn leases(&self) -> LeasesClient<Service> {
        LeasesClient::new(self.service()).max_decoding_message_size(MESSAGE_MAX)
    }

    /// Makes a lease and returns the connection on which it holds what is made. No ID is given twice, so one that is there
    /// already was made by this very request, which has arrived before.
    pub(super) async fn create_lease(
        &self,
        id: &str,
        labels: HashMap<String, String>,
    ) -> Result<Self, CallError> {
        let header: MetadataValue<Ascii> = id
            .parse()
            .map_err(|_| CallError::incomplete("leases.Create", id, "an ID that a header can carry"))?;
        let request = CreateRequest { id: id.to_owned(), labels };
        match call("leases.Create", id, self.leases().create(request)).await {
            Err(error) if error.code() != Some(Code::AlreadyExists) => return Err(error),
            _ => {}
        }
        Ok(self.under(&header))
    }

    /// Lets a lease hold a piece of content and all that it keeps.
    pub(super) async fn hold_content(&self, lease: &str, content: &Digest) -> Result<(), CallError> {
        let resource = Resource { id: content.to_string(), r#type: "content".to_owned() };
        let request = AddResourceRequest { id: lease.to_owned(), resource: Some(resource) };
        call("leases.AddResource", lease, self.leases().add_resource(request)).await.map(drop)
    }

    /// The leases that have a label of that key.
    pub(super) async fn leases_with(&self, label: &str) -> Result<Vec<Lease>, CallError> {
        self.leases_that(vec![format!("labels.\"{label}\"")]).await
    }

    /// Whether anybody else holds anything for now: makes a container, pulls an image. Since containerd 2.1 a pod's sandbox has a lease of
    /// the same ID for as long as it lives, under which no container is made.
    pub(super) async fn has_leases_of_others(&self, known: &KnownContainers) -> Result<bool, CallError> {
        let leases = self.leases_that(Vec::new()).await?;
        Ok(leases.iter().any(|lease| !lease.id.starts_with(LEASE_PREFIX) && !known.has(&lease.id)))
    }

    async fn leases_that(&self, filters: Vec<String>) -> Result<Vec<Lease>, CallError> {
        Ok(call("leases.List", "", self.leases().list(ListRequest { filters })).await?.leases)
    }

    /// Ends a lease; one that is gone already is no error.
    pub(super) async fn delete_lease(&self, id: &str, collect: Collect) -> Result<(), CallError> {
        let request = DeleteRequest { id: id.to_owned(), sync: collect == Collect::Now };
        let answer = call_within(LONG_DEADLINE, "leases.Delete", id, self.leases().delete(request)).await;
        found(answer).map(|_| ())
    }
}
