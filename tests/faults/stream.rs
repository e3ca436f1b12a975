//! Answers without an end: a watch, and containerd's events.

use std::io;
use std::sync::Arc;

use futures::stream;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Incoming};
use tokio::select;
use tower::BoxError;

use super::trap::Trap;

/// What an answer says until everything breaks off.
pub(crate) fn until_broken(body: Incoming, trap: Arc<Trap>) -> UnsyncBoxBody<Bytes, BoxError> {
    let parts = stream::unfold(Some((body, trap)), async |open| {
        let (mut body, trap) = open?;
        let part = select! {
            part = body.frame() => part?.map_err(BoxError::from),
            () = trap.broken() => return Some((Err(away()), None)),
        };
        Some((part, Some((body, trap))))
    });
    StreamBody::new(parts).boxed_unsync()
}

/// The other side is away.
pub(crate) fn away() -> BoxError {
    io::Error::from(io::ErrorKind::ConnectionReset).into()
}
