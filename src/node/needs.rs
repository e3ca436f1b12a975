//! Which pods need images, asked again in the middle of an operation.
//!
//! Whoever knows of pods told of them when the operation began. Once the records of an image are gone no container of it can
//! begin any more, and only those count that had begun before: so the pods that are bound to the node by then are all that can
//! still need it. They are asked for only where one may have begun since ([`sandboxes`](super::sandboxes)).

use std::error::Error;

use futures::future::BoxFuture;

use crate::image::Pod;

/// Somebody who knows which pods need images.
pub trait Needs: Sync {
    /// The unfinished pods of the node as they are now.
    fn pods(&self) -> BoxFuture<'_, Result<Vec<Pod>, Unknown>>;
}

/// Why nobody can say which pods need images.
pub type Unknown = Box<dyn Error + Send + Sync>;

/// Pods that do not change: without a cluster there are none.
impl Needs for Vec<Pod> {
    fn pods(&self) -> BoxFuture<'_, Result<Vec<Pod>, Unknown>> {
        Box::pin(std::future::ready(Ok(self.clone())))
    }
}
