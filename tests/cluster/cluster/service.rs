//! A daemon of the cluster that tests kill and start again.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::bed::Daemon;

/// A daemon with a name, running or not.
pub(crate) struct Service {
    name: String,
    log: PathBuf,
    command: Box<dyn Fn() -> Command + Send + Sync>,
    daemon: Mutex<Option<Daemon>>,
}

impl Service {
    /// A daemon that does not run yet. Its log is `<name>.log` in a directory.
    pub(crate) fn new(
        name: impl Into<String>,
        logs: &Path,
        command: impl Fn() -> Command + Send + Sync + 'static,
    ) -> Self {
        let name = name.into();
        let log = logs.join(format!("{name}.log"));
        Self { name, log, command: Box::new(command), daemon: Mutex::default() }
    }

    /// Its name, such as `kubelet-node-a`.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its process, if it was started.
    #[allow(dead_code, reason = "only the tests of scale look at it")]
    pub(crate) fn id(&self) -> Option<u32> {
        self.daemon().as_ref().map(Daemon::id)
    }

    /// Starts it, unless it runs. It does not wait until the daemon answers.
    pub(crate) fn start(&self) {
        let mut daemon = self.daemon();
        if daemon.as_mut().is_none_or(|daemon| daemon.ended().is_some()) {
            *daemon = Some(Daemon::spawn(&mut (self.command)(), &self.log));
        }
    }

    /// Kills it, as a crash would. What it started goes on.
    pub(crate) fn kill(&self) {
        // A daemon that is dropped is killed.
        self.daemon().take();
    }

    /// Whether it was started and has ended by itself.
    pub(crate) fn has_ended(&self) -> bool {
        self.daemon().as_mut().is_some_and(|daemon| daemon.ended().is_some())
    }

    fn daemon(&self) -> MutexGuard<'_, Option<Daemon>> {
        self.daemon.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
