//! Waiting for what another process does in its own time.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long anything on a node may take before a test gives up, also on a small and busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Asks until there is an answer and returns it.
///
/// # Panics
///
/// Where there is none within [`PATIENCE`]; `what` says what was waited for.
pub(crate) async fn eventually<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    let mut pause = Duration::from_millis(2);
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "waited {PATIENCE:?} for {what}");
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(50));
    }
}
