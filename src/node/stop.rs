//! Places at which a test can stop an operation, to kill it there. Without the feature `failpoints` there are none.

/// Reads from the environment (`FAILPOINTS`) where to stop.
#[cfg(feature = "failpoints")]
pub fn read_stops() {
    std::mem::forget(fail::FailScenario::setup());
}

/// A place at which an operation can be stopped.
#[cfg(feature = "failpoints")]
pub(super) fn stop_at(place: &'static str) {
    fail::fail_point!(place);
}

/// A place at which an operation can be stopped.
#[cfg(not(feature = "failpoints"))]
pub(super) const fn stop_at(_place: &'static str) {}
