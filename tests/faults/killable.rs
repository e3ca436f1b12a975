//! A part of the product in a thread of its own, that can be killed.

use std::thread::{self, JoinHandle};

use tokio::runtime::Builder;
use tokio_util::sync::CancellationToken;

/// What runs there.
pub(crate) struct Killable {
    killed: CancellationToken,
    thread: JoinHandle<()>,
}

impl Killable {
    /// Starts something that never ends by itself.
    pub(crate) fn start<F: Future<Output = ()>>(work: impl FnOnce() -> F + Send + 'static) -> Self {
        let killed = CancellationToken::new();
        let ends = killed.clone();
        let thread = thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("tokio starts");
            runtime.block_on(async {
                tokio::select! {
                    () = work() => panic!("it has ended by itself"),
                    () = ends.cancelled() => {}
                }
            });
        });
        Self { killed, thread }
    }

    /// Whether it has ended, or panicked.
    pub(crate) fn has_ended(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends it wherever it is.
    pub(crate) fn kill(self) {
        self.killed.cancel();
        self.thread.join().expect("it has not panicked");
    }
}
