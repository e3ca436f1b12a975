//! Which of the controllers leads: the holder of a Lease.
//!
//! The holder renews it every 4 s, and gives up leading as soon as a renewal fails, long before the Lease expires. One that
//! was killed is replaced when its Lease has expired, after 12 to 13 s; one that ends releases it, and the next one notices
//! within a second. Clocks of two controllers may differ by as much as 8 s. Should two ever lead at the same time all the
//! same, the versions in their orders keep them from harm.

use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use kube_lease_manager::{LeaseManager, LeaseManagerBuilder, LeaseManagerError};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tower::{BoxError, service_fn};
use tracing::{info, warn};

use super::Settings;
use super::observer::{ErrorKind, Observer};

/// How long a Lease is valid, in seconds.
const LEASE_SECONDS: u64 = 12;
/// How long before its end it is renewed, in seconds.
const RENEW_BEFORE_SECONDS: u64 = 8;
/// How long a request about the Lease may take: the holder must know in time that it no longer is.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often a controller on standby looks at the Lease, and how soon after a failure.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A controller that stands for election.
pub(super) struct Candidate {
    client: Client,
    namespace: String,
    lease: String,
    identity: String,
    observer: Arc<dyn Observer>,
}

/// How a try to lead ended.
enum Ended {
    /// Somebody else holds the Lease, or did when last seen.
    Standby,
    /// It was time to go.
    Retired,
}

impl Candidate {
    /// This controller, by its settings.
    pub(super) fn new(client: &Client, settings: &Settings, observer: Arc<dyn Observer>) -> Self {
        let namespace = settings.pod_namespace.clone();
        Self {
            client: impatient(client.clone(), &namespace),
            namespace,
            lease: settings.lease_name.clone(),
            identity: settings.pod_name.clone(),
            observer,
        }
    }

    /// Says in `leading` whether this controller leads, until it retires.
    pub(super) async fn stand(self, leading: watch::Sender<bool>, retired: CancellationToken) {
        loop {
            match self.try_to_lead(&leading, &retired).await {
                Ok(Ended::Retired) => return,
                Ok(Ended::Standby) => {}
                Err(error) => {
                    self.tell(&leading, false);
                    self.observer.error(ErrorKind::Lease);
                    warn!(lease = %self.lease, %error, "cannot hold the lease, trying again");
                    tokio::select! {
                        () = retired.cancelled() => return,
                        () = sleep(LOOK_AGAIN) => {}
                    }
                }
            }
        }
    }

    /// The library asks the API server of its own accord only when it believes the Lease to have expired. So a candidate
    /// on standby starts afresh from time to time, to see a Lease that was released.
    async fn try_to_lead(
        &self,
        leading: &watch::Sender<bool>,
        retired: &CancellationToken,
    ) -> Result<Ended, LeaseManagerError> {
        let lease = tokio::select! {
            lease = self.lease() => lease?,
            () = retired.cancelled() => return Ok(Ended::Retired),
        };
        loop {
            let leads = *leading.borrow();
            tokio::select! {
                changed = lease.changed() => self.tell(leading, changed?),
                () = sleep(LOOK_AGAIN), if !leads => return Ok(Ended::Standby),
                () = retired.cancelled() => {
                    self.tell(leading, false);
                    self.release(&lease).await;
                    return Ok(Ended::Retired);
                }
            }
        }
    }

    async fn lease(&self) -> Result<LeaseManager, LeaseManagerError> {
        LeaseManagerBuilder::new(self.client.clone(), &self.lease)
            .with_namespace(&self.namespace)
            .with_identity(&self.identity)
            .with_duration(LEASE_SECONDS)
            .with_grace(RENEW_BEFORE_SECONDS)
            .with_field_manager(&self.identity)
            .build()
            .await
    }

    async fn release(&self, lease: &LeaseManager) {
        match timeout(PATIENCE, lease.release()).await {
            Ok(Ok(())) => info!(lease = %self.lease, "released the lease"),
            Ok(Err(error)) => warn!(lease = %self.lease, %error, "cannot release the lease, it will expire"),
            Err(_) => warn!(lease = %self.lease, "no answer to the release of the lease, it will expire"),
        }
    }

    fn tell(&self, leading: &watch::Sender<bool>, leads: bool) {
        if leading.send_replace(leads) != leads {
            match leads {
                true => info!(lease = %self.lease, identity = %self.identity, "leading"),
                false => info!(lease = %self.lease, identity = %self.identity, "no longer leading"),
            }
        }
    }
}

/// A client that waits for an answer no longer than a holder of the Lease may.
fn impatient(client: Client, namespace: &str) -> Client {
    let send = move |request| {
        let client = client.clone();
        async move { Ok::<_, BoxError>(timeout(PATIENCE, client.send(request)).await??) }
    };
    Client::new(service_fn(send), namespace)
}
