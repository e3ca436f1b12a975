//! How long to wait before something that failed is tried again.

use std::time::Duration;

const SHORTEST: Duration = Duration::from_millis(100);

/// Delays that double up to a bound. Each is somewhere between its half and its whole: what failed for many at once is not
/// tried again by all of them at once.
#[derive(Debug, Clone)]
pub struct Backoff {
    next: Duration,
    longest: Duration,
}

impl Backoff {
    /// Delays from a tenth of a second to `longest`.
    pub const fn up_to(longest: Duration) -> Self {
        Self { next: SHORTEST, longest }
    }

    /// The next delay.
    pub fn pause(&mut self) -> Duration {
        let whole = self.next.min(self.longest);
        self.next = whole * 2;
        whole.mul_f64(1.0 - fastrand::f64() / 2.0)
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
        *self = Self::up_to(self.longest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_bound() {
        let mut backoff = Backoff::up_to(Duration::from_millis(500));
        for whole in [100, 200, 400, 500, 500].map(Duration::from_millis) {
            let delay = backoff.pause();
            assert!((whole / 2..=whole).contains(&delay), "{delay:?} of {whole:?}");
        }
        kube::runtime::utils::Backoff::reset(&mut backoff);
        assert!(backoff.pause() <= SHORTEST);
    }

    #[test]
    fn two_do_not_wait_for_the_same_time() {
        let first = || Backoff::up_to(Duration::from_secs(1)).pause();
        assert!((0..100).any(|_| first() != first()));
    }
}
