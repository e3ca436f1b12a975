//! Which of the controllers leads: the holder of a Lease, as with every Kubernetes controller.
//!
//! The holder renews it every 2 s, and no longer leads when it could not for 7 s. Others may claim it 10 s after they saw it
//! renewed, so there is a leader again 10 to 12 s after one was killed. One that ends releases it, and is replaced within a
//! second. Each claim names the version of the Lease that it is made on, so of two claims the API server grants one.
//! Where there is no Lease the first to claim it makes it; one that was removed is made again by its holder. One that can't be
//! understood may be anybody's: it is replaced once it has stayed as it is for as long as if it were another's.
//!
//! This is our own because the library that there is (`kube-lease-manager` 0.13) clears an expired Lease without naming a
//! version: after an API server that was away for 12 s, two controllers led for 3 s. Nor does it see that a Lease was released.

mod claim;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::api::PostParams;
use kube::core::Request;
use kube::{Api, Client};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::Settings;
use super::desk::{MANAGER, in_time};
use super::observer::{ErrorKind, Observer};
use crate::lenient::Lenient;
use claim::{Sighting, claimed, holder, released};

/// The time between two renewals.
const RENEW_EVERY: Duration = Duration::from_secs(2);
/// How often a controller on standby looks at the Lease, and how soon after a failure.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a renewal is good for, counted from when it was sent. It must end before the Lease does for others.
const GOOD_FOR: Duration = Duration::from_secs(7);
/// How long a request about the Lease may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Until when a controller leads; `None` when it does not. It ends by itself if nothing is heard of the API server.
pub(super) type Term = Option<Instant>;

/// A controller that stands for election.
pub(super) struct Candidate {
    client: Client,
    api: Api<Lenient<Lease>>,
    name: String,
    identity: String,
    observer: Arc<dyn Observer>,
    sighting: Sighting,
    /// The Lease as it was granted last, while nothing speaks against it.
    held: Option<Lease>,
}

impl Candidate {
    /// This controller, by its settings.
    pub(super) fn new(client: Client, settings: &Settings, observer: Arc<dyn Observer>) -> Self {
        Self {
            api: Api::namespaced(client.clone(), &settings.pod_namespace),
            client,
            name: settings.lease_name.clone(),
            identity: settings.pod_name.clone(),
            observer,
            sighting: Sighting::default(),
            held: None,
        }
    }

    /// Says in `term` until when this controller leads, or that it does not, until it retires.
    pub(super) async fn stand(mut self, term: watch::Sender<Term>, retired: CancellationToken) {
        tokio::select! {
            () = self.run(&term) => {}
            () = retired.cancelled() => {}
        }
        if term.send_replace(None).is_some() {
            self.release().await;
        }
    }

    async fn run(&mut self, term: &watch::Sender<Term>) {
        loop {
            let asked = Instant::now();
            let pause = match in_time(PATIENCE, self.claim()).await {
                Ok(true) => {
                    self.tell(term, Some(asked + GOOD_FOR));
                    RENEW_EVERY
                }
                Ok(false) => {
                    self.tell(term, None);
                    LOOK_EVERY
                }
                Err(failure) => {
                    warn!(lease = %self.name, error = %failure, "cannot hold the lease, trying again");
                    self.observer.error(ErrorKind::Lease);
                    let rest = term.borrow().filter(|end| *end > Instant::now());
                    self.tell(term, rest);
                    LOOK_EVERY
                }
            };
            sleep_until(asked + pause).await;
        }
    }

    /// Whether the API server grants the Lease to this controller.
    async fn claim(&mut self) -> Result<bool, kube::Error> {
        if let Some(lease) = self.held.take()
            && self.write(claimed(lease, &self.identity, Timestamp::now())).await?
        {
            return Ok(true);
        }
        let found = self.read().await?;
        if !self.sighting.may_claim(&found, &self.identity, Instant::now()) {
            return Ok(false);
        }
        let lease = self.claimable(found);
        self.write(claimed(lease, &self.identity, Timestamp::now())).await
    }

    async fn read(&self) -> Result<Lenient<Lease>, kube::Error> {
        let found = self.api.get_opt(&self.name).await?;
        Ok(found.unwrap_or_else(|| Lenient::Understood(Lease::default())))
    }

    /// The Lease to write a claim into. Of one that is not understood only its version stays.
    fn claimable(&self, found: Lenient<Lease>) -> Lease {
        match found {
            Lenient::Understood(lease) => lease,
            Lenient::Strange { metadata, reason } => {
                warn!(lease = %self.name, reason, "the lease is not understood, and is made anew");
                Lease { metadata: *metadata, spec: None }
            }
        }
    }

    /// Whether the API server takes this Lease: no other was written since it was read.
    async fn write(&mut self, mut lease: Lease) -> Result<bool, kube::Error> {
        lease.metadata.name = Some(self.name.clone());
        match self.put(&lease).await {
            Ok(written) => {
                self.held = written.understood();
                // Whoever held it before has no part in it now, should it be removed.
                self.sighting = Sighting::default();
                Ok(true)
            }
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn put(&self, lease: &Lease) -> Result<Lenient<Lease>, kube::Error> {
        let parameters = PostParams { field_manager: Some(MANAGER.to_owned()), ..PostParams::default() };
        let body = serde_json::to_vec(lease).map_err(kube::Error::SerdeError)?;
        let leases = Request::new(self.api.resource_url());
        let request = match lease.metadata.resource_version {
            Some(_) => leases.replace(&self.name, &parameters, body),
            None => leases.create(&parameters, body),
        };
        self.client.request(request.map_err(kube::Error::BuildRequest)?).await
    }

    async fn release(&mut self) {
        let released = in_time(PATIENCE, async {
            let own = self.read().await?.understood().filter(|lease| holder(lease) == Some(&self.identity));
            match own {
                Some(lease) => self.write(released(lease)).await,
                None => Ok(false),
            }
        });
        match released.await {
            Ok(true) => info!(lease = %self.name, "released the lease"),
            Ok(false) => info!(lease = %self.name, "the lease is another's already"),
            Err(failure) => {
                warn!(lease = %self.name, error = %failure, "cannot release the lease, it will expire")
            }
        }
    }

    fn tell(&self, term: &watch::Sender<Term>, now: Term) {
        let (lease, identity) = (&self.name, &self.identity);
        let mut before = None;
        term.send_if_modified(|current| {
            before = std::mem::replace(current, now);
            before != now
        });
        match (before, now) {
            (None, Some(_)) => info!(%lease, %identity, "leading"),
            (Some(_), None) => info!(%lease, %identity, "no longer leading"),
            (None, None) | (Some(_), Some(_)) => {}
        }
    }
}

#[cfg(test)]
mod tests;
