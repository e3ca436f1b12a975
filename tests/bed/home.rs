//! The directory of one node or cluster.
//!
//! Those of all test runs are below one parent, so that what a killed run left can be found: a directory whose lock
//! nobody holds has no test any more.

use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{LazyLock, Once};
use std::{env, process};

use nix::sys::statvfs::statvfs;

use super::leftovers;

/// A file system in memory that every Linux has.
const MEMORY: &str = "/dev/shm";
/// What a run of all tests has room enough in, in bytes: two nodes took 21 MiB at most, two clusters 266 MiB.
const ROOM: u64 = 1 << 30;

/// A node's directory, locked for as long as this value lives and emptied when it goes.
#[derive(Debug)]
pub(crate) struct Home {
    path: PathBuf,
    /// Held open; the lock goes with the process, however that ends.
    lock: Option<File>,
}

impl Home {
    /// Makes the directory of a new node. The first one of a process removes the leftovers of dead runs.
    pub(crate) fn new() -> Self {
        static SWEPT: Once = Once::new();
        SWEPT.call_once(sweep);

        let _gate = gate();
        let path = new_directory();
        let lock = lock_file(&path.join("lock"));
        lock.lock().expect("a new lock is free");
        Self { path, lock: Some(lock) }
    }

    /// The directory itself. It is absolute.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives up the lock, as the end of the process would.
    pub(crate) fn abandon(&mut self) {
        if let Some(lock) = self.lock.take() {
            // Closing is not enough: a process that another test just forked has the file open until its exec.
            lock.unlock().expect("the lock is held");
        }
    }

    /// A file or directory of the node.
    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        leftovers::remove(&self.path);
    }
}

/// The process number is not enough: in another process namespace it is another process.
fn new_directory() -> PathBuf {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = parent().join(format!("{}-{number}", process::id()));
        match fs::create_dir(&path) {
            Ok(()) => return path,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => panic!("cannot make {}: {error}", path.display()),
        }
    }
}

/// Where all nodes live: `$SECATEUR_BED`, or `secateur-bed` in memory where there is room, or else in the directory for
/// temporary files. containerd syncs every change of its store, so that most of a test on a disk is waiting.
fn parent() -> PathBuf {
    static PARENT: LazyLock<PathBuf> = LazyLock::new(|| match env::var_os("SECATEUR_BED") {
        Some(set) => PathBuf::from(set),
        None if has_room(Path::new(MEMORY)) => Path::new(MEMORY).join("secateur-bed"),
        None => env::temp_dir().join("secateur-bed"),
    });
    PARENT.clone()
}

fn has_room(directory: &Path) -> bool {
    statvfs(directory).is_ok_and(|it| it.blocks_available() * it.fragment_size() >= ROOM)
}

/// Nobody may sweep between the making of a directory and the taking of its lock. The gate is open when this is dropped.
fn gate() -> File {
    fs::create_dir_all(parent()).expect("the directory of the test nodes can be made");
    let gate = lock_file(&parent().join("lock"));
    gate.lock().expect("the lock of the test nodes can be taken");
    gate
}

/// Removes the nodes that no process holds.
pub(crate) fn sweep() {
    let _gate = gate();
    for entry in fs::read_dir(parent()).expect("the directory of the test nodes can be read").flatten() {
        let path = entry.path();
        if path.is_dir() && !is_held(&path) {
            eprintln!("bed: removing {}, which a test run left", path.display());
            leftovers::remove(&path);
        }
    }
}

fn is_held(home: &Path) -> bool {
    match lock_file(&home.join("lock")).try_lock() {
        Ok(()) => false,
        Err(TryLockError::WouldBlock) => true,
        Err(TryLockError::Error(error)) => panic!("cannot lock {}: {error}", home.display()),
    }
}

fn lock_file(path: &Path) -> File {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .unwrap_or_else(|error| panic!("cannot open {}: {error}", path.display()))
}
