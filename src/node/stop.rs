//! Places at which a test can stop an operation: to change the node under it and let it go on, or to kill it there. Without
//! the feature `stops` there are none.

/// Stops the process as if by `SIGSTOP` if the environment says so: `SECATEUR_STOP_AT=removing:2,settled` stops before the
/// second removal, and again once the outcome is certain.
#[cfg(feature = "stops")]
pub(super) fn stop_at(place: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    /// A place, and how many times it is passed until the operation stops there.
    type Stop = (String, AtomicUsize);
    static STOPS: OnceLock<Vec<Stop>> = OnceLock::new();

    let read = || {
        let wanted = std::env::var("SECATEUR_STOP_AT").unwrap_or_default();
        let stop = |wanted: &str| {
            let (place, time) = wanted.split_once(':').unwrap_or((wanted, "1"));
            Some((place.to_owned(), AtomicUsize::new(time.parse().ok()?)))
        };
        wanted.split(',').filter_map(stop).collect()
    };
    let stops = STOPS.get_or_init(read).iter();
    for (_, left) in stops.filter(|(wanted, _)| wanted == place) {
        if left.fetch_sub(1, Ordering::SeqCst) == 1
            && let Err(error) =
                rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP)
        {
            tracing::error!(%error, place, "cannot stop here");
        }
    }
}

/// Nothing stops here.
#[cfg(not(feature = "stops"))]
pub(super) const fn stop_at(_place: &str) {}
