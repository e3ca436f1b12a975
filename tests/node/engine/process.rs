//! Deletions in a process of their own, which can be stopped at a place and then killed or let go on.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::Deserialize;
use tokio::task::spawn_blocking;

use crate::bed::{Node, eventually};

/// A deletion that is under way. It is killed when this is dropped.
pub(super) struct Process {
    child: Option<Child>,
    pid: Pid,
}

/// What it printed.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    pub recovered: Vec<Recovered>,
    pub results: Vec<Told>,
}

/// What became of an operation that was killed.
#[derive(Debug, Deserialize)]
pub(super) struct Recovered {
    pub owner: String,
    pub results: Vec<Told>,
}

/// What became of one entry.
#[derive(Debug, PartialEq, Eq, Deserialize)]
pub(super) struct Told {
    pub entry: String,
    pub outcome: String,
    pub removals: Vec<String>,
    pub conflicts: Vec<String>,
    pub reclaimed: u64,
    pub messages: Vec<String>,
}

/// How it ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Process {
    /// Starts a deletion, owned by `owner`, that runs to its end.
    pub(super) fn start(node: &Node, owner: &str, entries: &[&str]) -> Self {
        Self::spawn(Self::command(node, owner, entries))
    }

    /// Starts a deletion and waits until it has stopped at a place: `removing:2` is the second time that it gets there. Of
    /// several places, with commas between, it is the first. They are the operation's owner.
    pub(super) async fn stopped_at(node: &Node, places: &str, entries: &[&str]) -> Self {
        Self::of_stopped_at(node, places, places, entries).await
    }

    /// The same for an owner.
    pub(super) async fn of_stopped_at(node: &Node, owner: &str, places: &str, entries: &[&str]) -> Self {
        Self::spawn_and_stop(Self::command(node, owner, entries), places).await
    }

    /// Starts a forced deletion and waits until it has stopped at a place.
    pub(super) async fn forced_stopped_at(node: &Node, place: &str, entries: &[&str]) -> Self {
        let mut command = Self::command(node, place, entries);
        command.env("SECATEUR_FORCE", "1");
        Self::spawn_and_stop(command, place).await
    }

    async fn spawn_and_stop(mut command: Command, places: &str) -> Self {
        command.env("SECATEUR_STOP_AT", places);
        let process = Self::spawn(command);
        process.stops().await;
        process
    }

    /// Lets it go on to the next place at which it stops.
    pub(super) async fn go_on_to_next(&self) {
        self.signal(Signal::SIGCONT);
        self.stops().await;
    }

    async fn stops(&self) {
        eventually("the deletion to stop", async || match self.state() {
            'T' => Some(()),
            'Z' => panic!("the deletion ended and never stopped"),
            _ => None,
        })
        .await;
    }

    /// The same by another path of the socket.
    pub(super) fn start_at(socket: &Path, owner: &str, entries: &[&str]) -> Self {
        Self::spawn(Self::command_at(socket, owner, entries))
    }

    /// Returns once it waits for its turn.
    pub(super) async fn waits_for_lock(&self) {
        eventually("the deletion to wait for its turn", async || {
            let open = fs::read_dir(self.directory().join("fd")).unwrap().flatten();
            let mut files = open.filter_map(|entry| fs::read_link(entry.path()).ok());
            files.any(|file| file.ends_with("secateur.lock")).then_some(())
        })
        .await;
    }

    fn command(node: &Node, owner: &str, entries: &[&str]) -> Command {
        Self::command_at(&node.socket(), owner, entries)
    }

    fn command_at(socket: &Path, owner: &str, entries: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_secateur-stoppable"));
        command.arg(socket).arg(owner).args(entries);
        command
    }

    fn spawn(mut command: Command) -> Self {
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = child.spawn().unwrap();
        Self { pid: Pid::from_raw(child.id().cast_signed()), child: Some(child) }
    }

    /// What the system tells of it, see proc(5).
    pub(super) fn directory(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}", self.pid))
    }

    /// The state in the words of proc_pid_stat(5).
    pub(super) fn state(&self) -> char {
        let stat = fs::read_to_string(self.directory().join("stat")).unwrap();
        stat.rsplit(')').next().unwrap().trim_start().chars().next().unwrap()
    }

    pub(super) fn signal(&self, signal: Signal) {
        kill(self.pid, signal).unwrap();
    }

    /// Ends it where it is, and returns what it had printed.
    pub(super) async fn kill(self) -> String {
        self.signal(Signal::SIGKILL);
        let ended = self.end().await;
        assert_eq!(ended.status.signal(), Some(9));
        ended.stdout
    }

    /// Lets it go on to its end.
    pub(super) async fn finish(self) -> Answer {
        let ended = self.go_on().await;
        assert!(ended.status.success(), "{ended:?}");
        serde_json::from_str(&ended.stdout).unwrap()
    }

    /// Lets it go on to an end of whatever kind.
    pub(super) async fn go_on(self) -> Ended {
        self.signal(Signal::SIGCONT);
        self.end().await
    }

    async fn end(mut self) -> Ended {
        let child = self.child.take().unwrap();
        let output = spawn_blocking(|| child.wait_with_output()).await.unwrap().unwrap();
        Ended {
            status: output.status,
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

impl Answer {
    /// What became of the only entry, where nothing was recovered.
    pub(super) fn only(&self) -> &Told {
        let (Answer { results, .. }, []) = (self, &self.recovered[..]) else {
            panic!("nothing to recover: {self:#?}")
        };
        let [told] = &results[..] else { panic!("one entry: {results:#?}") };
        told
    }

    /// Every removal that is reported, of this operation and of those that were killed.
    pub(super) fn removals(&self) -> Vec<&str> {
        let recovered = self.recovered.iter().flat_map(|recovered| &recovered.results);
        let all = recovered.chain(&self.results);
        all.flat_map(|told| told.removals.iter().map(String::as_str)).collect()
    }
}
