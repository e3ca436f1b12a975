//! The end of a node: its processes, mounts, cgroups and files.
//!
//! It works from what is on the machine and not from what a test remembers, so that it is the same for a node that is
//! dropped and for one whose test was killed.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::mount::{MntFlags, umount2};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{cgroup, wait::PATIENCE};

/// Ends and removes all that belongs to a node.
pub(crate) fn remove(home: &Path) {
    cgroup::thaw(home);
    end_processes(home);
    for mount in mounts(home).iter().rev() {
        umount2(mount, MntFlags::MNT_DETACH).ok();
    }
    cgroup::remove(home);
    shim_sockets(home).iter().for_each(|socket| {
        fs::remove_file(socket).ok();
    });
    if let Err(error) = fs::remove_dir_all(home)
        && error.kind() != ErrorKind::NotFound
    {
        eprintln!("bed: cannot remove {}: {error}", home.display());
    }
}

/// The processes of a node: its daemon and shims, what talks to it, and what runs in its containers.
pub(crate) fn processes(home: &Path) -> Vec<Pid> {
    let own = std::process::id();
    fs::read_dir("/proc")
        .expect("/proc can be read")
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| *pid != own)
        .filter(|pid| is_named_in_arguments(*pid, home) || is_root_file_system(*pid, home))
        .map(|pid| Pid::from_raw(pid.cast_signed()))
        .collect()
}

/// The mount points below a node's directory, in the order of mounting.
pub(crate) fn mounts(home: &Path) -> Vec<PathBuf> {
    fs::read_to_string("/proc/self/mountinfo")
        .expect("the mounts can be read")
        .lines()
        .filter_map(mount_point)
        .map(PathBuf::from)
        .filter(|mount| mount.starts_with(home))
        .collect()
}

fn end_processes(home: &Path) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let alive = processes(home);
        if alive.is_empty() {
            return;
        }
        if Instant::now() > deadline {
            eprintln!("bed: processes {alive:?} of {} do not end", home.display());
            return;
        }
        cgroup::thaw(home);
        for pid in alive {
            kill(pid, Signal::SIGKILL).ok();
        }
        sleep(Duration::from_millis(5));
    }
}

fn is_named_in_arguments(pid: u32, home: &Path) -> bool {
    fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| {
        line.split(|byte| *byte == 0).any(|argument| {
            str::from_utf8(argument).is_ok_and(|argument| Path::new(argument).starts_with(home))
        })
    })
}

/// Whether the process lives in a container whose root file system is a snapshot of the node.
fn is_root_file_system(pid: u32, home: &Path) -> bool {
    let inside = format!("{}/", home.display());
    fs::read_to_string(format!("/proc/{pid}/mountinfo")).is_ok_and(|mounts| {
        mounts.lines().any(|line| mount_point(line) == Some("/") && line.contains(&inside))
    })
}

/// The mount point in a line of mountinfo, see proc_pid_mountinfo(5).
fn mount_point(line: &str) -> Option<&str> {
    line.split(' ').nth(4)
}

/// The sockets of shims, which containerd 1.6 keeps in one directory for all daemons; a shim's bundle names its own.
fn shim_sockets(home: &Path) -> Vec<PathBuf> {
    let mut bundles = vec![home.join("state/io.containerd.runtime.v2.task")];
    for _ in ["namespace", "container"] {
        bundles =
            bundles.iter().flat_map(fs::read_dir).flatten().flatten().map(|entry| entry.path()).collect();
    }
    bundles
        .iter()
        .filter_map(|bundle| fs::read_to_string(bundle.join("address")).ok())
        .filter_map(|address| Some(PathBuf::from(address.strip_prefix("unix://")?)))
        .collect()
}
