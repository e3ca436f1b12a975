//! Why a command could not be done as a whole.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::exit::Exit;
use super::self_test::SelfTestError;
use crate::api::validate::InvalidDeletion;
use crate::node;
use crate::telemetry::listen::Listen;

/// Why a command could not be done as a whole.
#[derive(Debug, Error)]
pub enum Error {
    /// There is no connection to containerd.
    #[error(transparent)]
    Connect(#[from] node::ConnectError),
    /// containerd failed in between.
    #[error(transparent)]
    Node(#[from] node::Error),
    /// The file with the deletion can't be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file holds no deletion that a cluster would take.
    #[error("{}: {reason}", path.display())]
    Deletion {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: InvalidDeletion,
    },
    /// A cluster does not do what it should.
    #[error(transparent)]
    SelfTest(#[from] SelfTestError),
    /// Nobody takes what is printed.
    #[error("cannot write to stdout: {0}")]
    Print(#[source] io::Error),
    /// The data can't be written in this format.
    #[error("cannot write the result: {0}")]
    Format(String),
    /// The turn did not come before the deadline.
    #[error(
        "another operation was at work on this node until the deadline (activeDeadlineSeconds): nothing was removed, try again"
    )]
    Late,
    /// The person said no.
    #[error("nothing was deleted")]
    Declined,
    /// No cluster is named, or not one that can be talked to.
    #[error("no Kubernetes cluster: {0}: run it in a pod, or name a kubeconfig with KUBECONFIG")]
    Cluster(String),
    /// Metrics and health can't be served.
    #[error("cannot listen at {place}: {source}: name another place with --listen")]
    Listen {
        /// Where.
        place: Listen,
        /// What the system says.
        source: io::Error,
    },
    /// The metrics contradict each other.
    #[error("cannot start: {0}")]
    Metrics(#[from] prometheus::Error),
    /// The runtime can't be started.
    #[error("cannot start: {0}")]
    Start(#[source] io::Error),
}

impl Error {
    /// How the process ends by it.
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Deletion { .. }
            | Self::Connect(node::ConnectError::Namespace(_) | node::ConnectError::NoSuchNamespace { .. }) => {
                Exit::Usage
            }
            Self::Connect(_)
            | Self::Node(_)
            | Self::Read { .. }
            | Self::SelfTest(_)
            | Self::Print(_)
            | Self::Format(_)
            | Self::Declined
            | Self::Late
            | Self::Cluster(_)
            | Self::Listen { .. }
            | Self::Metrics(_)
            | Self::Start(_) => Exit::Failed,
        }
    }

    /// What to say of it, each in a line of its own.
    pub fn sentences(&self) -> Vec<String> {
        let text = self.to_string();
        match self {
            // The API server's words for all that is wrong with an object.
            Self::Deletion { .. } => text.lines().map(str::to_owned).collect(),
            _ => vec![text],
        }
    }

    /// Whether there is nothing to say: whoever read our output has seen enough.
    pub fn is_silent(&self) -> bool {
        matches!(self, Self::Print(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}
