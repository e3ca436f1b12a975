//! What must hold for any input, one module for each fuzz target. Each `check` panics where it does not.

pub mod document;
pub mod plan;
pub mod reference;
