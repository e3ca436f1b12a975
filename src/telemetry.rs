//! What the agent and the controller tell those who run them: metrics, health and logs.
//!
//! Knows the words of the API, so that they can be counted, and no node and no API server: who calls brings what happened.

pub mod health;
pub mod listen;
pub mod logs;
pub mod metrics;
pub mod server;

/// The port on which metrics and health are served.
pub const PORT: u16 = 9464;
