//! The engine on real nodes: every branch of the algorithm, checked against the store and not only against the results.

mod agreement;
mod batch;
mod content;
mod deletion;
mod full;
mod hostile;
mod ids;
mod kill;
mod limits;
mod lineage;
mod making;
mod many;
mod names;
mod needs;
mod process;
mod pruning;
mod races;
mod usage;

/// A name that most tests use.
const APP: &str = "docker.io/library/app:v1";
