//! One request at a time about one deletion, and after a failure not at once again.

use std::time::Duration;

use jiff::Timestamp;

use crate::backoff::Backoff;

/// The longest pause. The API server is asked so often at least when it comes back.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// The pauses of a controller: the watch resolves a conflict in less than the first.
pub(super) const fn pauses() -> Backoff {
    Backoff::up_to(LONGEST_PAUSE)
}

/// The requests about one deletion.
#[derive(Debug)]
pub(super) struct Attempts {
    under_way: bool,
    not_before: Option<Timestamp>,
    backoff: Backoff,
}

impl Default for Attempts {
    fn default() -> Self {
        Self { under_way: false, not_before: None, backoff: pauses() }
    }
}

impl Attempts {
    /// When a request that is wanted at `wanted` may be sent; `None` while another one is under way.
    pub(super) fn earliest(&self, wanted: Timestamp) -> Option<Timestamp> {
        (!self.under_way).then(|| self.not_before.map_or(wanted, |time| time.max(wanted)))
    }

    /// A request is sent.
    pub(super) fn begin(&mut self) {
        self.under_way = true;
    }

    /// It was granted.
    pub(super) fn succeeded(&mut self) {
        *self = Self::default();
    }

    /// It was refused, or nobody answered.
    pub(super) fn failed(&mut self, now: Timestamp) {
        self.under_way = false;
        self.not_before = Some(after(now, self.backoff.pause()));
    }

    /// Nobody waits for its answer any more.
    pub(super) fn abandon(&mut self) {
        self.under_way = false;
    }
}

/// So long after `time`.
pub(super) fn after(time: Timestamp, pause: Duration) -> Timestamp {
    time.saturating_add(pause).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(milliseconds).unwrap()
    }

    #[test]
    fn there_is_one_request_at_a_time_and_a_pause_after_a_failure() {
        let mut attempts = Attempts::default();
        assert_eq!(attempts.earliest(at(5)), Some(at(5)));
        attempts.begin();
        assert_eq!(attempts.earliest(at(5)), None);
        attempts.failed(at(1_000));
        let first = attempts.earliest(at(5)).unwrap();
        assert!(first >= at(1_050) && first <= at(1_100), "{first}");
        assert_eq!(attempts.earliest(at(2_000)), Some(at(2_000)));
        attempts.begin();
        attempts.failed(at(2_000));
        let second = attempts.earliest(at(5)).unwrap();
        assert!(second >= at(2_100) && second <= at(2_200), "{second}");
        attempts.begin();
        attempts.abandon();
        assert_eq!(attempts.earliest(at(5)), Some(second));
        attempts.succeeded();
        assert_eq!(attempts.earliest(at(5)), Some(at(5)));
    }
}
