//! A bar on stderr that says how far an operation is, if that takes long enough to wonder.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::task::JoinHandle;

use crate::node::Progress;

/// How long an operation takes before the bar is shown.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often the bar moves where there is nothing to count.
const TICK: Duration = Duration::from_millis(120);

/// The bar. It is gone when this value is dropped.
#[derive(Debug)]
pub struct Bar {
    bar: ProgressBar,
    shown: JoinHandle<()>,
}

impl Bar {
    /// A bar that says this until it knows more, and that is shown on a terminal only. Needs a runtime.
    pub fn start(message: &'static str) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()).with_message(message);
        bar.set_style(ProgressStyle::default_spinner());
        let later = bar.clone();
        let shown = tokio::spawn(async move {
            tokio::time::sleep(PATIENCE).await;
            later.set_draw_target(ProgressDrawTarget::stderr());
            later.enable_steady_tick(TICK);
        });
        Self { bar, shown }
    }

    /// Says how far it is now.
    pub fn show(&self, progress: Progress) {
        match progress {
            Progress::Reading => self.bar.set_message("reading the node"),
            Progress::Removing { done, total } => {
                if self.bar.length().is_none() {
                    self.bar.set_style(counting());
                    self.bar.set_message("removing");
                }
                self.bar.set_length(total as u64);
                self.bar.set_position(done as u64);
            }
            Progress::Collecting => {
                self.bar.unset_length();
                self.bar.set_style(ProgressStyle::default_spinner());
                self.bar.set_message("waiting until everything has left the disk");
            }
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.shown.abort();
        self.bar.finish_and_clear();
    }
}

fn counting() -> ProgressStyle {
    ProgressStyle::with_template("{spinner} {msg} {wide_bar} {pos}/{len}")
        .unwrap_or_else(|_| ProgressStyle::default_bar())
}
