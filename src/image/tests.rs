//! The rules of the algorithm, in its order, each as a table over small nodes; then properties over arbitrary ones.

mod arbitrary;
mod batch;
mod branches;
mod conflicts;
mod docker;
mod fixture;
mod idle;
mod illegible;
mod lineage;
mod messages;
mod names;
mod properties;
mod resolve;
mod usage;
