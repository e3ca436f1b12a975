//! What was done, and what came of it. A test that fails prints it.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

/// Everything that was done so far.
pub(super) struct Diary {
    seed: u64,
    begin: Instant,
    lines: Mutex<Vec<String>>,
}

impl Diary {
    pub(super) fn begin(seed: u64) -> Self {
        Self { seed, begin: Instant::now(), lines: Mutex::default() }
    }

    /// Notes what was done.
    pub(super) fn note(&self, what: &str) {
        let line = format!("{:8.3} {what}", self.begin.elapsed().as_secs_f64());
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }
}

impl Drop for Diary {
    fn drop(&mut self) {
        if thread::panicking() {
            let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            eprintln!("--- soak: what was done with SEED={}\n{}\n---", self.seed, lines.join("\n"));
        }
    }
}
