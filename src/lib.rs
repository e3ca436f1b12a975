//! Secateur deletes container images from Kubernetes nodes: on request, safely, and says exactly what it did.
//!
//! Dependencies point one way: [`cli`], [`agent`] → [`node`] → [`image`], with [`api`] and [`telemetry`] beside them and
//! [`conversion`] between [`node`] and [`api`]. [`image`] decides and does no I/O, [`node`] reads the node and carries decisions
//! out. [`controller`] knows [`api`] alone; [`cli`] starts all of them. For those who talk to the API server [`clock`] is its
//! clock, [`lenient`] its objects, [`transport`] the way to it, and [`backoff`] how to wait for it; [`plain`] is for whoever says
//! something to people.

pub mod agent;
pub mod api;
pub mod backoff;
pub mod cli;
pub mod clock;
pub mod controller;
pub mod conversion;
pub mod image;
pub mod lenient;
pub mod node;
pub mod plain;
pub mod telemetry;
pub mod transport;
