//! One request at a time about one deletion, and after a failure not at once again.

use std::time::Duration;

use jiff::Timestamp;

/// The pause after a first failure. A conflict is one too, and the watch resolves it in less.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause. The API server is asked so often at least when it comes back.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Pauses that double: 100 ms, 200 ms and so on, up to 5 s.
#[derive(Debug, Clone, Copy)]
pub(super) struct Backoff {
    next: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: FIRST_PAUSE }
    }
}

impl Backoff {
    /// The next one.
    pub(super) fn pause(&mut self) -> Duration {
        let pause = self.next;
        self.next = pause.saturating_mul(2).min(LONGEST_PAUSE);
        pause
    }
}

impl Iterator for Backoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(self.pause())
    }
}

impl kube::runtime::utils::Backoff for Backoff {
    fn reset(&mut self) {
        *self = Self::default();
    }
}

/// The requests about one deletion.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    under_way: bool,
    not_before: Option<Timestamp>,
    backoff: Backoff,
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
    fn pauses_double_up_to_the_longest() {
        let pauses: Vec<_> = Backoff::default().take(8).map(|pause| pause.as_millis()).collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
    }

    #[test]
    fn there_is_one_request_at_a_time_and_a_pause_after_a_failure() {
        let mut attempts = Attempts::default();
        assert_eq!(attempts.earliest(at(5)), Some(at(5)));
        attempts.begin();
        assert_eq!(attempts.earliest(at(5)), None);
        attempts.failed(at(1_000));
        assert_eq!(attempts.earliest(at(5)), Some(at(1_100)));
        assert_eq!(attempts.earliest(at(2_000)), Some(at(2_000)));
        attempts.begin();
        attempts.failed(at(2_000));
        assert_eq!(attempts.earliest(at(5)), Some(at(2_200)));
        attempts.begin();
        attempts.abandon();
        assert_eq!(attempts.earliest(at(5)), Some(at(2_200)));
        attempts.succeeded();
        assert_eq!(attempts.earliest(at(5)), Some(at(5)));
    }
}
