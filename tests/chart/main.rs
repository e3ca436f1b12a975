//! The chart, without a cluster: what it renders, what it refuses, and what its page and its examples say.
//!
//! They need helm (`tests/tools/build`) and promtool.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on stops and says why")]

mod access;
mod definitions;
mod examples;
mod helm;
mod monitoring;
mod notes;
mod page;
mod pods;
mod refusals;
#[allow(dead_code, reason = "the tests of nodes and clusters use the rest")]
#[path = "../bed/tools.rs"]
mod tools;
