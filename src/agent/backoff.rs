//! How long to wait before something that failed is tried again.

use std::time::Duration;

const SHORTEST: Duration = Duration::from_millis(100);

/// Delays that double up to a bound.
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
    pub fn next(&mut self) -> Duration {
        let delay = self.next.min(self.longest);
        self.next = delay * 2;
        delay
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_bound() {
        let mut backoff = Backoff::up_to(Duration::from_millis(500));
        let delays: Vec<_> = (0..5).map(|_| backoff.next().as_millis()).collect();
        assert_eq!(delays, [100, 200, 400, 500, 500]);
    }
}
