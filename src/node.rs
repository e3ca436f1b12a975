//! One node: containerd and the CRI over gRPC.
//!
//! The adapters ([`client`], [`images`], [`blobs`], [`snapshots`], [`leases`], [`containers`], [`events`], [`cri`]) speak to the daemon and
//! say what the core understands. On top of them, [`survey`] builds an [`Inventory`](crate::image::Inventory) and reads only
//! what a decision asks for, [`operation`] carries decisions out under a lease that is also the [`journal`], and
//! [`reclaim`] measures what left the disk; [`catalog`] lists what is there. Nothing here knows Kubernetes objects, a terminal
//! or metrics.

pub mod blobs;
mod carried;
pub mod catalog;
pub mod client;
mod collection;
pub mod containers;
pub mod cri;
pub mod document;
pub mod error;
pub mod events;
mod execution;
mod groups;
pub mod images;
pub mod journal;
pub mod leases;
mod lock;
pub mod making;
mod needs;
mod open_journal;
pub mod operation;
mod place;
mod recheck;
pub mod reclaim;
mod recovery;
mod removal;
pub mod result;
pub mod sandboxes;
pub mod snapshots;
mod stop;
pub mod survey;
mod traces;
pub mod trees;

pub use catalog::{Catalog, Listed, Size};
pub use client::{CALLS, Containerd, DEFAULT_ADDRESS, DEFAULT_NAMESPACE};
pub use error::{CallError, ConnectError, Error};
pub use events::Releases;
pub use needs::{Needs, Unknown};
pub use operation::{Done, Node, Operation, Progress, Recovered, Turn, Watch};
pub use result::{EntryResult, HeldImages, Outcome};
pub use sandboxes::Sandboxes;
