//! Secateur deletes container images from Kubernetes nodes: on request, safely, and says exactly what it did.
//!
//! Dependencies point one way: [`cli`] → [`node`] → [`image`], with [`api`] beside them and [`conversion`] between [`node`]
//! and [`api`]. [`image`] decides and does no I/O, [`node`] reads the node and carries decisions out.

pub mod agent;
pub mod api;
pub mod cli;
pub mod controller;
pub mod conversion;
pub mod image;
pub mod node;
pub mod telemetry;
