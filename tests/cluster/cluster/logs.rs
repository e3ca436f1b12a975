//! What the daemons and pods of a cluster wrote while a test ran.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::node::NODES;

/// Lines of each log that a failed test prints.
const LINES: usize = 40;

/// How long the logs of a cluster were at some time, which may be before it started.
pub(crate) struct Mark {
    home: PathBuf,
    lengths: BTreeMap<PathBuf, u64>,
}

impl Mark {
    /// Where the logs end now of the cluster in a directory.
    pub(crate) fn now(home: &Path) -> Self {
        let length = |log: PathBuf| Some((log.clone(), fs::metadata(log).ok()?.len()));
        Self { home: home.to_owned(), lengths: logs(home).into_iter().filter_map(length).collect() }
    }

    /// The last lines that each log got since.
    pub(crate) fn since(&self) -> String {
        let mut text = String::new();
        for log in logs(&self.home) {
            let lines = tail(&log, self.lengths.get(&log).copied().unwrap_or_default());
            if !lines.is_empty() {
                let name = log.strip_prefix(&self.home).unwrap_or(&log).display();
                text += &format!("--- {name}\n{lines}\n");
            }
        }
        text
    }
}

/// The directory of the daemons' logs.
pub(crate) fn directory(home: &Path) -> PathBuf {
    home.join("logs")
}

/// The logs of all daemons and containers. Those of a container: `<namespace>_<pod>_<uid>/<container>/<attempt>.log`.
fn logs(home: &Path) -> Vec<PathBuf> {
    let mut pods: Vec<PathBuf> = NODES.iter().map(|node| home.join(node.name).join("var/log/pods")).collect();
    for _ in ["pod", "container", "attempt"] {
        pods = pods.iter().flat_map(|directory| entries(directory)).collect();
    }
    [entries(&directory(home)), pods].concat()
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    entries.sort();
    entries
}

fn tail(log: &Path, start: u64) -> String {
    let mut bytes = Vec::new();
    if let Ok(mut file) = File::open(log) {
        file.seek(SeekFrom::Start(start)).and_then(|_| file.read_to_end(&mut bytes)).ok();
    }
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().filter(|line| !line.contains("loading plugin")).collect();
    lines[lines.len().saturating_sub(LINES)..].join("\n")
}
