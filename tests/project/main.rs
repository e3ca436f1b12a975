//! What the project says of itself, and what it ships: the pages name what there is, and the image holds what it should.
//!
//! They need what `make image` wrote.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on stops and says why")]

mod image;
mod links;
mod operations;
mod page;
mod security;
mod why;
