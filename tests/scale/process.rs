//! What the kernel says of a process.

use std::fs;

/// A process's memory, in bytes: `VmRSS` now, `VmHWM` at most.
pub(crate) fn memory(process: u32, what: &str) -> f64 {
    let status = read(process, "status");
    let line = status.lines().find_map(|line| line.strip_prefix(what)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    kib.expect("a process has memory") * 1024.0
}

/// The seconds that a process has had of all cores together.
pub(crate) fn seconds(process: u32) -> f64 {
    /// The kernel's clock ticks a second, on every machine.
    const TICKS: f64 = 100.0;
    let stat = read(process, "stat");
    // The name before may contain anything, a bracket too.
    let (_, fields) = stat.rsplit_once(')').expect("a process has a name");
    let ticks = fields.split_whitespace().skip(11).take(2);
    ticks.map(|ticks| ticks.parse::<f64>().expect("ticks are a number")).sum::<f64>() / TICKS
}

fn read(process: u32, file: &str) -> String {
    fs::read_to_string(format!("/proc/{process}/{file}")).expect("the process runs")
}
