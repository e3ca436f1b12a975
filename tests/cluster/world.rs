//! A world of its own for a cluster: processes, mounts and a network that nothing else sees.
//!
//! The program starts itself again as the first but one process of new Linux namespaces. When the world's first process
//! ends, the kernel ends all others, and mounts and network go with them: whether the tests passed, panicked or were
//! killed. When the program outside ends, however that happens, the first process inside is killed.
//!
//! The files are in a [`Home`] outside, which is removed at the end, or else by the next run.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, process};

use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};

use crate::bed::{Home, cgroup};

/// Set inside: the directory of the world.
const HOME: &str = "SECATEUR_WORLD";
/// What a shell says for a program that was interrupted.
const INTERRUPTED: u8 = 130;

/// The directory of the world that this process is in; `None` outside.
pub(crate) fn home() -> Option<PathBuf> {
    env::var_os(HOME).map(PathBuf::from)
}

/// Runs this program in a new world, with these arguments, and returns its exit code. All of the world is gone then.
///
/// It must be called from the main thread: the end of the calling thread is the end of the world.
pub(crate) fn run(arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("tokio starts");
    let home = Home::new();
    runtime.block_on(async {
        let [mut interrupt, mut terminate] = [SignalKind::interrupt(), SignalKind::terminate()]
            .map(|kind| signal(kind).expect("signals can be listened for"));
        let mut world = command(&home, arguments).spawn().expect("util-linux is installed");
        let status = tokio::select! {
            status = world.wait() => Some(status.expect("the world is a child")),
            _ = interrupt.recv() => None,
            _ = terminate.recv() => None,
        };
        match status {
            Some(status) => status
                .code()
                .and_then(|code| u8::try_from(code).ok())
                .map_or(ExitCode::FAILURE, ExitCode::from),
            None => {
                // A frozen process would not die, and the world's first process waits for all.
                cgroup::thaw(home.path());
                world.kill().await.expect("the world is a child");
                ExitCode::from(INTERRUPTED)
            }
        }
    })
}

/// `setpriv` ends `unshare` with this process, `unshare` ends the world, and `bash` takes the orphans of all daemons in.
fn command(home: &Home, arguments: impl IntoIterator<Item: AsRef<OsStr>>) -> Command {
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "KILL", "--"])
        .args(["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child=KILL", "--mount-proc", "--"])
        .args(["bash", "-c", r#""$@"; exit"#, "world"])
        .arg(env::current_exe().expect("the program has a path"))
        .args(arguments)
        .env(HOME, home.path())
        .process_group(0);
    command
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
