//! What can go wrong between us and the daemon. Nothing here is told apart by the text of a message.

use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;
use tonic::{Code, Status};

use super::needs::Unknown;

/// A call that did not succeed: what was asked for, of what, and the daemon's answer.
#[derive(Debug, Clone, Error)]
#[error("{method}{}{resource}: {reason}", if resource.is_empty() { "" } else { " " })]
pub struct CallError {
    /// Service and method, `images.Delete`.
    pub method: &'static str,
    /// What it was about: a name, a digest, a key; empty where the method is about everything.
    pub resource: String,
    /// Why.
    pub reason: CallFailure,
}

/// Why a call did not succeed.
#[derive(Debug, Clone, Error)]
pub enum CallFailure {
    /// The daemon refused, or the connection broke.
    #[error("{message} ({code:?})")]
    Status {
        /// The gRPC code.
        code: Code,
        /// The daemon's words.
        message: String,
    },
    /// The answer did not come in time.
    #[error("no answer within {0:?}")]
    Deadline(Duration),
    /// The answer lacks what the API promises.
    #[error("the answer is incomplete: {0} is missing")]
    Incomplete(&'static str),
}

impl CallError {
    pub(super) fn status(method: &'static str, resource: &str, status: &Status) -> Self {
        let reason = CallFailure::Status { code: status.code(), message: status.message().to_owned() };
        Self { method, resource: resource.to_owned(), reason }
    }

    pub(super) fn incomplete(method: &'static str, resource: &str, what: &'static str) -> Self {
        Self { method, resource: resource.to_owned(), reason: CallFailure::Incomplete(what) }
    }

    /// Whether the daemon may be away or too slow, so that the same call can succeed later. `Unknown` is also what a connection
    /// that breaks in the middle of a call comes to.
    pub const fn may_pass(&self) -> bool {
        match self.reason {
            CallFailure::Deadline(_) | CallFailure::Incomplete(_) => true,
            CallFailure::Status { code, .. } => matches!(
                code,
                Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Aborted | Code::Unknown
            ),
        }
    }

    /// Whether the daemon said so. One that is away or too slow has no more room for anything else.
    pub(super) fn is_answer(&self) -> bool {
        self.code().is_some_and(|code| code != Code::Unavailable)
    }

    /// Whether nobody was there to answer: the daemon, or a part of it that is a process of its own.
    pub(super) fn is_absence(&self) -> bool {
        self.code() == Some(Code::Unavailable)
    }

    /// Whether there is an answer, even if it is that nobody is there.
    pub(super) const fn has_code(&self) -> bool {
        self.code().is_some()
    }

    /// The gRPC code; none if no answer came.
    pub const fn code(&self) -> Option<Code> {
        match self.reason {
            CallFailure::Status { code, .. } => Some(code),
            CallFailure::Deadline(_) | CallFailure::Incomplete(_) => None,
        }
    }
}

/// `None` where the daemon says that there is no such thing.
pub(super) fn found<T>(result: Result<T, CallError>) -> Result<Option<T>, CallError> {
    unless(Code::NotFound, result)
}

/// `None` where the snapshotter has no such snapshot, or the daemon no such snapshotter: people have removed it, and what it made
/// is still spoken of. To name one that is not loaded is to containerd an invalid argument.
pub(super) fn had<T>(result: Result<T, CallError>) -> Result<Option<T>, CallError> {
    Ok(unless(Code::InvalidArgument, found(result))?.flatten())
}

/// `None` where the daemon has no such service: a containerd without the CRI plugin.
pub(super) fn served<T>(result: Result<T, CallError>) -> Result<Option<T>, CallError> {
    unless(Code::Unimplemented, result)
}

fn unless<T>(absent: Code, result: Result<T, CallError>) -> Result<Option<T>, CallError> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.code() == Some(absent) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Why there is no connection.
#[derive(Debug, Error)]
pub enum ConnectError {
    /// There is no socket.
    #[error("no containerd at {0}: start it, or name its socket with --address")]
    NoSocket(PathBuf),
    /// The socket is not for us.
    #[error("permission denied on {0}: run as root or as a user who may open it")]
    Permission(PathBuf),
    /// Nobody listens at the socket.
    #[error("containerd does not answer at {0}: the socket is there but nobody listens; is it running?")]
    NotListening(PathBuf),
    /// It is there and is no socket, or opening it failed in another way.
    #[error("cannot open {path}: {source}")]
    Io {
        /// The socket's path.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A name that no gRPC header can carry.
    #[error("not a valid containerd namespace: {0:?}")]
    Namespace(String),
    /// The daemon has no such namespace.
    #[error("no such containerd namespace: {namespace}: there are {}", there.join(", "))]
    NoSuchNamespace {
        /// What was named.
        namespace: String,
        /// What there is.
        there: Vec<String>,
    },
    /// Something answers, but not as containerd does.
    #[error("{path} does not answer as containerd: {source}")]
    NotContainerd {
        /// The socket's path.
        path: PathBuf,
        /// The call that failed.
        source: CallError,
    },
}

/// Why an operation as a whole could not be done.
#[derive(Debug, Error)]
pub enum Error {
    /// A call failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// A call failed after something was removed.
    #[error("{0}: what was begun is written down on the node, and the next operation ends it")]
    Unfinished(#[source] CallError),
    /// The lock file beside the socket can't be used.
    #[error("cannot lock {path}: {source}{}", if source.kind() == std::io::ErrorKind::PermissionDenied {
        ": run as root or as a user who may write there"
    } else {
        ""
    })]
    Lock {
        /// The lock file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The socket was mounted without the directory that it is in.
    #[error(
        "{0} is a mount of its own, so a lock beside it keeps nobody else from working on this node: mount the whole directory \
         of the socket"
    )]
    OwnDirectory(PathBuf),
    /// It was cancelled while it waited for its turn.
    #[error("interrupted while another operation was at work on this node: nothing was removed, try again")]
    Interrupted,
    /// Nobody can say which pods need images by now.
    #[error("cannot learn which pods need images by now, so the images stay until that is known: {0}")]
    Needs(#[source] Unknown),
    /// The journal can't be written down.
    #[error("cannot write the journal: {0}")]
    Journal(serde_json::Error),
}

impl Error {
    /// The same of an operation that has removed something.
    pub(super) fn unfinished(self) -> Self {
        match self {
            Self::Call(error) => Self::Unfinished(error),
            other => other,
        }
    }
}
