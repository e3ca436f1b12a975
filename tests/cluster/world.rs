//! A world of its own for a cluster: processes, mounts and a network that nothing else sees.
//!
//! The program starts itself again as the first but one process of new Linux namespaces. When the world's first process
//! ends, the kernel ends all others, and mounts and network go with them: whether the tests passed, panicked or were
//! killed. When the program outside ends, however that happens, the first process inside is killed.
//!
//! The files are in a [`Home`] outside, which is removed at the end, or else by the next run.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};
use std::{env, process};

use tokio::process::{Child, Command};
use tokio::signal::unix::{SignalKind, signal};

use crate::bed::{Home, cgroup};

/// Set inside: the directory of the world.
pub(crate) const HOME: &str = "SECATEUR_WORLD";

/// The directory of the world that this process is in; `None` outside.
pub(crate) fn home() -> Option<PathBuf> {
    env::var_os(HOME).map(PathBuf::from)
}

/// A world that is not there yet, and its directory.
pub(crate) struct World {
    home: Home,
}

impl World {
    /// Makes the directory.
    pub(crate) fn new() -> Self {
        Self { home: Home::new() }
    }

    /// The directory, which is the same inside.
    pub(crate) fn directory(&self) -> &Path {
        self.home.path()
    }

    /// Runs this program in the world, with these arguments, and returns its exit code. All of the world is gone then.
    ///
    /// It must be called from the main thread: the end of the calling thread is the end of the world.
    pub(crate) fn run(self, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> ExitCode {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio starts");
        runtime.block_on(async {
            let [mut interrupt, mut terminate] = [SignalKind::interrupt(), SignalKind::terminate()]
                .map(|kind| signal(kind).expect("signals can be listened for"));
            let mut world = self.command(arguments).spawn().expect("util-linux is installed");
            let status = tokio::select! {
                status = world.wait() => status.expect("the world is a child"),
                _ = interrupt.recv() => self.end(world).await,
                _ = terminate.recv() => self.end(world).await,
            };
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            code.map_or(ExitCode::FAILURE, ExitCode::from)
        })
    }

    /// `setpriv` ends `unshare` with this process, `unshare` ends the world, and `bash` takes in the orphans of daemons.
    fn command(&self, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> Command {
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .args([
                "unshare",
                "--mount",
                "--net",
                "--pid",
                "--fork",
                "--kill-child=KILL",
                "--mount-proc",
                "--",
            ])
            .args(["bash", "-c", r#""$@"; exit"#, "world"])
            .arg(env::current_exe().expect("the program has a path"))
            .args(arguments)
            .env(HOME, self.directory())
            .process_group(0);
        command
    }

    async fn end(&self, mut world: Child) -> ExitStatus {
        thaw(self.directory());
        world.kill().await.expect("the world is a child");
        world.wait().await.expect("the world is a child")
    }
}

/// Lets frozen containers go on, before the end of a world: it waits for all its processes, and these would not die.
pub(crate) fn thaw(home: &Path) {
    cgroup::thaw(home);
}

/// Makes the network: one loopback device with an address for each part.
pub(crate) fn raise_network(addresses: &[&str]) {
    ip(&["link", "set", "lo", "up"]);
    for address in addresses {
        ip(&["address", "add", &format!("{address}/32"), "dev", "lo"]);
    }
}

fn ip(arguments: &[&str]) {
    let status = process::Command::new("ip").args(arguments).status().expect("iproute2 is installed");
    assert!(status.success(), "ip {} ended with {status}", arguments.join(" "));
}
