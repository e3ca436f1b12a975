//! One process, its time and its memory.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a run took.
pub(crate) struct Run {
    /// From the start of the process to its end.
    pub(crate) time: Duration,
    /// The most memory that it had resident, in KiB.
    pub(crate) peak_kib: Option<u64>,
}

/// Runs a program, which must succeed.
pub(crate) async fn run(program: &Path, arguments: impl Iterator<Item = String>) -> Run {
    let mut command = Command::new(program);
    command.args(arguments).stdout(Stdio::null());
    tokio::task::spawn_blocking(move || {
        let begin = Instant::now();
        let mut child = command.spawn().unwrap();
        let status = format!("/proc/{}/status", child.id());
        let mut peak_kib = None;
        let end = loop {
            if let Some(end) = child.try_wait().unwrap() {
                break end;
            }
            peak_kib = peak(&status).or(peak_kib);
            std::thread::sleep(Duration::from_millis(1));
        };
        let time = begin.elapsed();
        assert!(end.success(), "{command:?} ended with {end}");
        Run { time, peak_kib }
    })
    .await
    .unwrap()
}

fn peak(status: &str) -> Option<u64> {
    let text = std::fs::read_to_string(status).ok()?;
    text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next()?.parse().ok())
}
