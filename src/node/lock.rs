//! One operation at a time on a node, whoever runs it. The lock is the system's, so it ends with its process however that
//! ends: whoever holds it knows that a journal which it finds belongs to nobody any longer.

use std::fs::{File, OpenOptions, Permissions, TryLockError};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::client::Containerd;
use super::error::Error;

/// The lock file, beside containerd's socket.
const LOCK_FILE: &str = "secateur.lock";
/// Whoever may open the file can hold the lock, and keep everybody from working.
const MODE: u32 = 0o600;
/// How long to wait before the lock is tried again.
const RETRY: Duration = Duration::from_millis(50);

/// Held until it is dropped.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Waits until no one else works on this containerd. Dropping the future gives up. Who waits long says so.
    pub(super) async fn acquire(containerd: &Containerd) -> Result<Self, Error> {
        let lock = Self::open(containerd)?;
        loop {
            match lock.try_take() {
                Ok(true) => return Ok(lock),
                Ok(false) => tokio::time::sleep(RETRY).await,
                Err(source) => return Err(Error::Lock { path: lock.path, source }),
            }
        }
    }

    /// A share of it, if no one works on this containerd now. Whoever only looks takes nothing from others who do.
    pub(super) fn share(containerd: &Containerd) -> Option<Self> {
        Self::open(containerd).ok().filter(|lock| lock.file.try_lock_shared().is_ok())
    }

    fn open(containerd: &Containerd) -> Result<Self, Error> {
        let socket = containerd.socket();
        if !is_of_the_node(&socket).unwrap_or(true) {
            return Err(Error::OwnDirectory(socket));
        }
        let path = socket.with_file_name(LOCK_FILE);
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(MODE).open(&path);
        let file = file.map_err(|source| Error::Lock { path: path.clone(), source })?;
        // An older one may be open to all. That of another user can be used all the same.
        let _ = file.set_permissions(Permissions::from_mode(MODE));
        Ok(Self { file, path })
    }

    /// Takes it if no one else has it.
    fn try_take(&self) -> std::io::Result<bool> {
        match self.file.try_lock() {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(source)) => Err(source),
        }
    }
}

/// Whether what is beside the socket is what others see there too: a container may have been given the socket alone, as a mount in a
/// directory of its own.
fn is_of_the_node(socket: &Path) -> std::io::Result<bool> {
    let directory = socket.parent().unwrap_or(Path::new("/"));
    Ok(socket.metadata()?.dev() == directory.metadata()?.dev())
}
