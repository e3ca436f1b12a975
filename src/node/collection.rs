//! One run of containerd's collector. It collects when a lease ends and its end is waited for: that of a journal, which has held
//! the content until then, or one that is made for nothing else.

use std::collections::HashMap;

use super::client::Containerd;
use super::error::CallError;
use super::journal::{JOURNAL_LABEL, Journal, LEASE_PREFIX, expiry};
use super::leases::{Collect, patiently};

/// The journal of a lease that has none. Where a killed operation left it, it ends as one that began nothing.
const NO_JOURNAL: &str = "none";

/// A collection that has not begun.
#[derive(Debug)]
#[must_use = "it leaves a lease until it is run"]
pub(super) struct Collection {
    lease: String,
}

impl Collection {
    /// Makes the lease.
    pub(super) async fn prepare(containerd: &Containerd) -> Result<Self, CallError> {
        let lease = format!("{LEASE_PREFIX}collect-{}", Journal::new_id());
        let labels = HashMap::from([(JOURNAL_LABEL.to_owned(), NO_JOURNAL.to_owned()), expiry()]);
        containerd.create_lease(&lease, labels).await?;
        Ok(Self { lease })
    }

    /// Collects when a lease ends that there is, and that held what is to be collected.
    pub(super) fn at_the_end_of(lease: &str) -> Self {
        Self { lease: lease.to_owned() }
    }

    /// Waits until everything that nothing holds any longer has left the disk.
    pub(super) async fn run(self, containerd: &Containerd) -> Result<(), CallError> {
        patiently(async || containerd.delete_lease(&self.lease, Collect::Now).await).await
    }

    /// Prepares one and runs it.
    pub(super) async fn again(containerd: &Containerd) -> Result<(), CallError> {
        Self::prepare(containerd).await?.run(containerd).await
    }
}
