//! Containers and pods: what can use an image.

use std::fmt;

use super::chain::ChainId;
use super::digest::{Digest, shorten};

/// A container on the node, whoever made it. Pod sandboxes are containers too.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its ID.
    pub id: Box<str>,
    /// Whether it runs.
    pub state: State,
    /// What its labels say about the pod that it belongs to.
    pub owner: Option<Owner>,
    /// What is known about the image that it was made from.
    pub image: Evidence,
    /// The same about the images that are mounted into it (KEP-4639).
    pub volumes: Vec<Evidence>,
}

/// Whether a container runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Its task is created, running, paused or pausing.
    Running,
    /// Everything else.
    Stopped,
}

/// The Kubernetes names of a container.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// The pod's namespace.
    pub namespace: Box<str>,
    /// The pod's name.
    pub pod: Box<str>,
    /// The container's name in the pod; none for the pod's sandbox.
    pub container: Option<Box<str>>,
}

/// What tells the image of a container: the strongest that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Evidence {
    /// The CRI's image ID: a config digest.
    Config(Digest),
    /// The parent of its snapshot, and the image's name for when several images have that root file system.
    Chain {
        /// The parent snapshot's key.
        chain: ChainId,
        /// The image's name at the time, whose tag may have moved since.
        name: Box<str>,
    },
    /// Only the image's name.
    Name(Box<str>),
}

/// A pod that is bound to this node and has not finished: it needs its images even before it has containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pod {
    /// Its namespace.
    pub namespace: Box<str>,
    /// Its name.
    pub name: Box<str>,
    /// The images of its containers of every sort and of its image volumes, as written.
    pub images: Vec<Box<str>>,
}

impl Container {
    /// What is known about each image that it was made from.
    pub fn evidence(&self) -> impl Iterator<Item = &Evidence> {
        std::iter::once(&self.image).chain(&self.volumes)
    }

    /// The first 12 characters of the ID, as people read it.
    pub fn short(&self) -> &str {
        shorten(&self.id)
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.pod)?;
        self.container.iter().try_for_each(|container| write!(f, "/{container}"))
    }
}
