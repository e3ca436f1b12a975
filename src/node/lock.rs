//! One operation at a time on a node, whoever runs it. The lock is the system's, so it ends with its process however that
//! ends: whoever holds it knows that a journal which it finds belongs to nobody any longer.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::PathBuf;
use std::time::Duration;

use super::client::Containerd;
use super::error::Error;

/// The lock file, beside containerd's socket.
const LOCK_FILE: &str = "secateur.lock";
/// How long to wait before the lock is tried again.
const RETRY: Duration = Duration::from_millis(50);

/// Held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "the open file is the lock")] File);

impl Lock {
    /// Waits until no one else works on this containerd. Dropping the future gives up.
    pub(super) async fn acquire(containerd: &Containerd) -> Result<Self, Error> {
        // Where people have made a link to the socket, all mean the same one.
        let socket = containerd.address();
        let path = socket.canonicalize().as_deref().unwrap_or(socket).with_file_name(LOCK_FILE);
        let failed = |path: &PathBuf, source| Error::Lock { path: path.clone(), source };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|source| failed(&path, source))?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self(file)),
                Err(TryLockError::WouldBlock) => tokio::time::sleep(RETRY).await,
                Err(TryLockError::Error(source)) => return Err(failed(&path, source)),
            }
        }
    }
}
