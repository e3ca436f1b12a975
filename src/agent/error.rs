//! What can go wrong between an agent, its node and the API server. All of it is tried again.

use std::time::Duration;

use thiserror::Error;

use crate::node;

/// Why a request to the API server was of no use.
#[derive(Debug, Error)]
pub enum ApiError {
    /// It failed, or was refused.
    #[error("cannot {what} {name}: {source}")]
    Refused {
        /// What was asked for.
        what: &'static str,
        /// Of which object.
        name: String,
        /// What the client says.
        source: Box<kube::Error>,
    },
    /// No answer came in time.
    #[error("cannot {what} {name}: no answer within {deadline:?}")]
    Deadline {
        /// What was asked for.
        what: &'static str,
        /// Of which object.
        name: String,
        /// How long it was waited for.
        deadline: Duration,
    },
}

impl ApiError {
    /// Whether the API server has understood the request and will not do it, however often it is asked.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Refused { source, .. } => {
                matches!(&**source, kube::Error::Api(status) if matches!(status.code, 400 | 413 | 422))
            }
            Self::Deadline { .. } => false,
        }
    }
}

/// Why an attempt at a deletion came to nothing.
#[derive(Debug, Error)]
pub enum AttemptError {
    /// The API server.
    #[error(transparent)]
    Api(#[from] ApiError),
    /// The node.
    #[error(transparent)]
    Node(#[from] node::Error),
    /// Its turn on the node has not come for long.
    #[error("something else is at work on this node, and does not end")]
    Turn,
}

impl AttemptError {
    /// The kind, as `secateur_errors_total` counts it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Api(_) | Self::Node(node::Error::Needs(_)) => "api",
            Self::Node(_) | Self::Turn => "containerd",
        }
    }
}

/// How far an attempt had come when it failed.
#[derive(Debug, Error)]
pub enum Failed {
    /// Nothing was begun on the node.
    #[error(transparent)]
    Before(AttemptError),
    /// It had come to the images: what came of them may be half known, and in the node's journal.
    #[error(transparent)]
    Within(AttemptError),
}

impl Failed {
    /// Why it failed.
    pub const fn cause(&self) -> &AttemptError {
        match self {
            Self::Before(cause) | Self::Within(cause) => cause,
        }
    }
}
