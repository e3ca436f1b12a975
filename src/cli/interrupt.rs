//! SIGINT and SIGTERM in the middle of an operation: what was begun is finished, and the rest is left.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::exit::Exit;
use super::screen::say;

/// Listens for signals. Before it is made they end the process, as they always do.
#[derive(Debug)]
pub struct Interrupt {
    token: CancellationToken,
    listener: JoinHandle<()>,
}

impl Interrupt {
    /// Starts to listen. Needs a runtime.
    pub fn listen() -> std::io::Result<Self> {
        let signals = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let token = CancellationToken::new();
        let listener = tokio::spawn(hear(signals, token.clone()));
        Ok(Self { token, listener })
    }

    /// Is cancelled by the first signal.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// An interrupted command did not do all of what it was asked for, as far as its caller knows.
    pub fn exit(&self) -> Exit {
        match self.token.is_cancelled() {
            true => Exit::Failed,
            false => Exit::Done,
        }
    }
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

/// A token that the first signal cancels: whoever works until then has what was begun to end.
pub fn terminated() -> std::io::Result<CancellationToken> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let token = CancellationToken::new();
    let cancelled = token.clone();
    tokio::spawn(async move {
        either(&mut interrupt, &mut terminate).await;
        tracing::info!("told to end");
        cancelled.cancel();
    });
    Ok(token)
}

/// The second signal ends the process as if nobody listened. What it leaves, the next operation finishes and reports.
async fn hear((mut interrupt, mut terminate): (Signal, Signal), token: CancellationToken) {
    either(&mut interrupt, &mut terminate).await;
    token.cancel();
    say("interrupted: finishing what was begun; interrupt again to leave that to the next run");
    let code = either(&mut interrupt, &mut terminate).await;
    std::process::exit(code);
}

/// The exit code of a shell's child that this signal has ended.
async fn either(interrupt: &mut Signal, terminate: &mut Signal) -> i32 {
    tokio::select! {
        _ = interrupt.recv() => 128 + SignalKind::interrupt().as_raw_value(),
        _ = terminate.recv() => 128 + SignalKind::terminate().as_raw_value(),
    }
}
