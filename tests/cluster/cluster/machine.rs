//! The machine of a node: its own view of the file system, in which its daemons have the usual paths.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bed::{Daemon, eventually};

/// Where the machine's own directories are seen instead of those outside.
const OWN: [&str; 3] = ["/run", "/var/lib", "/var/log"];

/// A mount namespace, held by a process that does nothing else.
pub(crate) struct Machine {
    home: PathBuf,
    namespace: PathBuf,
    _holder: Daemon,
}

impl Machine {
    /// Makes a machine whose directories are in `home`.
    pub(crate) async fn start(home: PathBuf) -> Self {
        let mut script = "set -e\n".to_owned();
        for directory in OWN {
            let own = inside(&home, directory);
            fs::create_dir_all(&own).expect("the machine's directory can be made");
            script += &format!("mount --bind {} {directory}\n", own.display());
        }
        // As systemd does: kubelets and containers pass mounts on to each other.
        script += "mount --make-rshared /\necho $$ >$0\nexec sleep infinity";
        let ready = home.join("ready");
        let mut command = Command::new("unshare");
        command.args(["--mount", "--", "sh", "-c", &script]).arg(&ready);
        let mut holder = Daemon::spawn(&mut command, &home.join("machine.log"));
        let pid = eventually("the machine's mounts", async || {
            assert_eq!(
                holder.ended(),
                None,
                "{}",
                fs::read_to_string(home.join("machine.log")).unwrap_or_default()
            );
            fs::read_to_string(&ready).ok().filter(|pid| pid.ends_with('\n'))
        })
        .await;
        let namespace = PathBuf::from(format!("/proc/{}/ns/mnt", pid.trim()));
        Self { home, namespace, _holder: holder }
    }

    /// Where something of the machine is for processes outside it.
    pub(crate) fn outside(&self, path: &str) -> PathBuf {
        inside(&self.home, path)
    }

    /// How to run a command on the machine.
    pub(crate) fn entrance(&self) -> Entrance {
        Entrance(self.namespace.clone())
    }
}

fn inside(home: &Path, path: &str) -> PathBuf {
    home.join(path.trim_start_matches('/'))
}

/// The way into a machine.
#[derive(Clone, Debug)]
pub(crate) struct Entrance(PathBuf);

impl Entrance {
    /// The same command, run on the machine. The process that is started becomes the command.
    pub(crate) fn command(&self, command: &Command) -> Command {
        let mut entering = Command::new("nsenter");
        entering
            .arg(format!("--mount={}", self.0.display()))
            .arg("--")
            .arg(command.get_program())
            .args(command.get_args());
        for (name, value) in command.get_envs() {
            if let Some(value) = value {
                entering.env(name, value);
            }
        }
        entering
    }
}
