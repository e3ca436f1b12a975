//! Whether a process can do its work at the moment.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::plain::plain;

/// Why a part is missing of which nothing was heard yet.
pub const NOT_YET: &str = "not there yet";

/// What stands in the way of the work, by what is missing; shared by everything that can be missing something.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<BTreeMap<&'static str, String>>>);

impl Health {
    /// A process that still misses these.
    pub fn missing(parts: impl IntoIterator<Item = &'static str>) -> Self {
        let health = Self::default();
        for part in parts {
            health.lacks(part, NOT_YET);
        }
        health
    }

    /// The part is not there, and why.
    pub fn lacks(&self, part: &'static str, why: impl ToString) {
        self.reasons().insert(part, plain(&why.to_string()).into_owned());
    }

    /// The part is there.
    pub fn has(&self, part: &'static str) {
        self.reasons().remove(part);
    }

    /// Why the part is missing, if it is.
    pub fn lack(&self, part: &'static str) -> Option<String> {
        self.reasons().get(part).cloned()
    }

    /// What is missing, a line each; `None` if the process is ready.
    pub fn complaint(&self) -> Option<String> {
        let reasons = self.reasons();
        let lines: String = reasons.iter().map(|(part, why)| format!("{part}: {why}\n")).collect();
        (!lines.is_empty()).then_some(lines)
    }

    fn reasons(&self) -> std::sync::MutexGuard<'_, BTreeMap<&'static str, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ready_when_nothing_is_missing() {
        let health = Health::missing(["containerd", "API server"]);
        assert_eq!(health.complaint().unwrap(), "API server: not there yet\ncontainerd: not there yet\n");
        health.has("API server");
        health.lacks("containerd", "no\nsocket");
        assert_eq!(health.complaint().unwrap(), "containerd: no\\nsocket\n");
        assert_eq!(health.lack("containerd").as_deref(), Some("no\\nsocket"));
        health.clone().has("containerd");
        assert_eq!(health.complaint(), None);
    }
}
