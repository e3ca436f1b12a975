//! The custom resources of `secateur.dev` and the pure functions on them.
//!
//! `ImageDeletion` is what a person writes and reads, `ImageDeletionReport` is what one agent writes for one node. Image
//! names are strings here: what they mean on a node is for [`crate::image`] to say, which this module must not know.
//! Nothing here talks to an API server or to a node, and nothing reads a clock: whoever calls brings the time.

pub mod aggregate;
mod budget;
pub mod crds;
pub mod deletion;
pub mod entry;
pub mod problem;
pub mod quantity;
pub mod reason;
pub mod report;
pub mod result;
mod schema;
pub mod selector;
pub mod status;
mod structural;
pub mod validate;

/// The API group of every kind of this project.
pub const GROUP: &str = "secateur.dev";
/// The one version of the API.
pub const VERSION: &str = "v1alpha1";
