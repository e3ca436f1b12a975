//! Why a request to the API server came to nothing. All of it is tried again.

use std::error::Error;
use std::time::Duration;

use kube::core::Status;
use kube::runtime::watcher;
use thiserror::Error;

/// Why a request came to nothing.
#[derive(Debug, Error)]
pub(super) enum Failure {
    /// The API server said no.
    #[error("the API server refused: {0}")]
    Refused(#[source] Box<Status>),
    /// It was not reached, or what it said was not understood.
    #[error("{}", with_causes(.0))]
    Failed(#[source] kube::Error),
    /// It did not answer.
    #[error("the API server did not answer within {} s", .0.as_secs())]
    Silence(Duration),
    /// It watches nothing of this kind.
    #[error("the API server gave a list without a version, so it cannot be watched")]
    Unwatchable,
}

impl Failure {
    /// Whether the object has changed or gone since it was read: a watch will say so, and nothing is wrong.
    pub(super) fn is_race(&self) -> bool {
        matches!(self, Self::Refused(status) if status.is_conflict() || status.is_not_found())
    }
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => Self::Refused(status),
            other => Self::Failed(other),
        }
    }
}

impl From<watcher::Error> for Failure {
    fn from(error: watcher::Error) -> Self {
        match error {
            watcher::Error::InitialListFailed(error)
            | watcher::Error::WatchStartFailed(error)
            | watcher::Error::WatchFailed(error) => error.into(),
            watcher::Error::WatchError(status) => Self::Refused(status),
            watcher::Error::NoResourceVersion => Self::Unwatchable,
        }
    }
}

/// The error and what caused it, as far as it does not say so itself.
fn with_causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.contains(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn a_failure_says_what_it_was_and_why() {
        let refused = || kube::Error::Api(Box::new(Status::failure("no such thing", "NotFound")));
        let unreachable = kube::Error::Service(Box::new(Outer(io::Error::other("connection refused"))));
        let rows = [
            (Failure::from(refused()), "the API server refused: no such thing: NotFound", true),
            (
                watcher::Error::WatchStartFailed(refused()).into(),
                "the API server refused: no such thing: NotFound",
                true,
            ),
            (unreachable.into(), "ServiceError: cannot connect: connection refused", false),
            (Failure::Silence(Duration::from_secs(2)), "the API server did not answer within 2 s", false),
        ];
        for (failure, text, is_race) in rows {
            assert_eq!((failure.to_string().as_str(), failure.is_race()), (text, is_race));
        }
    }

    #[derive(Debug, Error)]
    #[error("cannot connect")]
    struct Outer(#[source] io::Error);
}
