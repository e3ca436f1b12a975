//! The containerd process of a node.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::{Setup, Version, config, home::Home, version::path_with};

/// Lines of the log that a failed test prints.
const LOG_LINES: usize = 100;

/// A running or killed daemon.
#[derive(Debug)]
pub(crate) struct Daemon {
    process: Child,
}

impl Daemon {
    /// Starts containerd on a node's directory. It does not wait until it answers.
    pub(crate) fn spawn(version: Version, setup: Setup, home: &Home) -> Self {
        let configuration = home.join("containerd.toml");
        fs::write(&configuration, config::containerd(version, setup, home.path()))
            .expect("the configuration can be written");
        fs::create_dir_all(home.join("cni")).expect("the CNI directory can be made");
        fs::write(home.join("cni/10-bed.conflist"), config::cni(home.path()))
            .expect("the CNI file can be written");

        let directory = version.directory();
        let log = File::options()
            .create(true)
            .append(true)
            .open(home.join("containerd.log"))
            .expect("the log opens");
        let process = Command::new(directory.join("containerd"))
            .arg("--config")
            .arg(configuration)
            .env("PATH", path_with(&directory))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("the log has two writers"))
            .stderr(log)
            .process_group(0)
            .spawn()
            .expect("containerd starts");
        Self { process }
    }

    /// The exit status, where the daemon has ended.
    pub(crate) fn ended(&mut self) -> Option<std::process::ExitStatus> {
        self.process.try_wait().expect("the daemon is a child")
    }

    /// Kills the daemon. Its containers go on.
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

/// The end of a node's log, without the long list of plugins at each start.
pub(crate) fn log_tail(home: &Path) -> String {
    let log = fs::read_to_string(home.join("containerd.log")).unwrap_or_default();
    let lines: Vec<&str> = log.lines().filter(|line| !line.contains("loading plugin")).collect();
    lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
}
