//! A process that runs for as long as a node or cluster does.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Lines of the log that a failed test prints.
const LOG_LINES: usize = 100;

/// A running or killed daemon.
#[derive(Debug)]
pub(crate) struct Daemon {
    process: Child,
}

impl Daemon {
    /// Starts a command that writes to the end of a log. It does not wait until the daemon answers.
    pub(crate) fn spawn(command: &mut Command, log: &Path) -> Self {
        let log = File::options().create(true).append(true).open(log).expect("the log opens");
        let process = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log has two writers"))
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        Self { process }
    }

    /// The process.
    #[allow(dead_code, reason = "only the tests of scale look at it")]
    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    /// The exit status, where the daemon has ended.
    pub(crate) fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.process.try_wait().expect("the daemon is a child")
    }

    /// Kills the daemon. What it started goes on.
    pub(crate) fn kill(&mut self) {
        self.process.kill().expect("the daemon is a child");
        self.process.wait().expect("the daemon is a child");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The end of a log, without containerd's long list of plugins at each start.
pub(crate) fn log_tail(log: &Path) -> String {
    let log = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = log.lines().filter(|line| !line.contains("loading plugin")).collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}
