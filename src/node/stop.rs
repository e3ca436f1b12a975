//! Places at which a test can stop an operation: to change the node under it and let it go on, or to kill it there. Without
//! the feature `stops` there are none.

/// Stops the process as if by `SIGSTOP` if the environment says so: `SECATEUR_STOP_AT=removing:2` stops before the second
/// removal.
#[cfg(feature = "stops")]
pub(super) fn stop_at(place: &str) {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicUsize, Ordering};

    static STOP: OnceLock<Option<(String, usize)>> = OnceLock::new();
    static PASSED: AtomicUsize = AtomicUsize::new(0);

    let read = || {
        let wanted = std::env::var("SECATEUR_STOP_AT").ok()?;
        let (place, time) = wanted.split_once(':').unwrap_or((&wanted, "1"));
        Some((place.to_owned(), time.parse().ok()?))
    };
    if let Some((wanted, time)) = STOP.get_or_init(read)
        && wanted == place
        && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == *time
        && let Err(error) =
            rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP)
    {
        tracing::error!(%error, place, "cannot stop here");
    }
}

/// Nothing stops here.
#[cfg(not(feature = "stops"))]
pub(super) const fn stop_at(_place: &str) {}
