//! Content that is on the node and says nothing that could be relied on.

use thiserror::Error;

use super::digest::Digest;

/// A document that is there and can't be read. Its image may have configs and layers that nobody knows of.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{document} {flaw}")]
pub struct Illegible {
    /// The manifest, index or config.
    pub document: Digest,
    /// What is wrong with it.
    pub flaw: Flaw,
}

/// What is wrong with a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Flaw {
    /// It is larger than what is read. Holds the bound, in bytes.
    #[error("has more than {0} bytes")]
    TooLarge(usize),
    /// It names more than an image can sensibly have. Holds the bound.
    #[error("leads to more than {0} blobs and layers")]
    TooMany(usize),
    /// Its image has more documents than are read. Holds the bound.
    #[error("is one of more than {0} manifests, indexes and configs")]
    TooFar(usize),
    /// The documents of its image are together larger than what is read. Holds the bound, in bytes.
    #[error("was not read after {0} bytes of other manifests, indexes and configs")]
    TooMuch(usize),
    /// Its content is not what its digest says.
    #[error("has content of another digest")]
    Mismatch,
    /// It is no JSON object, or not in UTF-8.
    #[error("is no JSON object in UTF-8")]
    NotJson,
    /// A part of it is something else than the image specification has there.
    #[error("is not what an image has there")]
    Shape,
    /// Readers can come to different ends: a member is there twice or in another spelling, or it is an index and a manifest at once.
    #[error("can be read in more than one way")]
    Ambiguous,
}
