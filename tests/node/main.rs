//! Tests on real nodes: each starts a containerd of its own, once of version 1.6 and once of 2.x.
//!
//! They need root and what `tests/tools/build` provides.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on stops and says why")]

mod bed;
mod bench;
mod cli;
mod engine;
#[path = "../faults/grpc.rs"]
mod grpc;
mod smoke;
#[path = "../faults/stream.rs"]
mod stream;
#[allow(dead_code, reason = "the tests of faults use the rest")]
#[path = "../faults/trap.rs"]
mod trap;
