//! What a process holds: memory and open files.

use std::fs;

use super::Node;

/// What a process held at some time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Vitals {
    /// Its own memory, in KiB.
    pub memory: u64,
    /// The most memory that it ever had, its program's among that, in KiB.
    pub peak: u64,
    /// Its open files.
    pub files: usize,
}

impl Vitals {
    /// What the process of a container holds; none if it has ended.
    pub(crate) async fn of(node: &Node, container: &str) -> Option<Self> {
        let process = node.process_of(container).await?;
        let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
        let told = |what: &str| {
            let found = status.lines().find_map(|line| line.strip_prefix(what))?;
            found.trim().strip_suffix(" kB")?.parse().ok()
        };
        let (memory, peak) = (told("RssAnon:")?, told("VmHWM:")?);
        let files = fs::read_dir(format!("/proc/{process}/fd")).ok()?.count();
        Some(Self { memory, peak, files })
    }
}
