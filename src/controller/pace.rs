//! How often something is done about one deletion.

use std::time::Duration;

/// The shortest time between two lists of reports for what nodes say in words.
pub(super) const BETWEEN_LISTS: Duration = Duration::from_secs(30);
/// The shortest time between two writes of a status that is not the last.
pub(super) const BETWEEN_WRITES: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST_BETWEEN_WRITES: Duration = Duration::from_secs(30);
/// What each deletion that is under way adds to it, so that all of them together take no more than ten writes a second from what
/// the API server can do for them.
const SHARE_OF_WRITES: Duration = Duration::from_millis(100);
/// What each node that is asked adds to it: at every write the API server looks whether it concerns the watch of any agent.
const SHARE_OF_NODES: Duration = Duration::from_micros(500);

/// The time between two writes of a status that is not the last, where so many deletions are under way and this one asks so
/// many nodes.
pub(super) fn between_writes(under_way: usize, asked: usize) -> Duration {
    let times = |share: Duration, count: usize| share.saturating_mul(count.try_into().unwrap_or(u32::MAX));
    let shares = times(SHARE_OF_WRITES, under_way).max(times(SHARE_OF_NODES, asked));
    shares.clamp(BETWEEN_WRITES, LONGEST_BETWEEN_WRITES)
}
