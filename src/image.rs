//! The pure core: what is on a node, and what deleting an image does to it.
//!
//! An [`Inventory`] and a [`Request`] go in, [`Decision`]s come out. Nothing here does I/O, waits, looks at a clock or
//! knows Kubernetes. What a decision needs and the inventory does not hold yet comes back as [`Unread`]: whoever reads
//! it in and asks again gets the same answer as with everything read beforehand.
//!
//! The files follow the algorithm: terms ([`record`], [`reference`], [`digest`], [`content`]), [`resolve`], [`same`]
//! references, [`usage`], [`conflict`], [`lineage`], [`plan`] and how one is decided ([`planner`]), and many plans in one operation
//! ([`batch`]).

mod backlog;
pub mod batch;
pub mod chain;
pub mod conflict;
pub mod container;
pub mod content;
pub mod digest;
pub mod idle;
pub mod illegible;
pub mod inventory;
mod known;
pub mod lineage;
pub mod pattern;
pub mod plan;
pub mod planner;
pub mod query;
pub mod record;
pub mod reference;
pub mod resolve;
pub mod rules;
pub mod same;
pub mod unread;
pub mod usage;

pub use batch::{Decision, Entry, InvalidEntry, Request, Selector, decide};
pub use chain::ChainId;
pub use conflict::{Cause, Conflict, Hardness};
pub use container::{Container, Evidence, Owner, Pod, State};
pub use content::{Config, Content};
pub use digest::{Digest, ImageId, InvalidDigest};
pub use idle::{Idle, Scope, idle};
pub use illegible::{Flaw, Illegible};
pub use inventory::{Inventory, Parts};
pub use pattern::{InvalidPattern, Pattern};
pub use plan::{Fate, Meant, Others, Plan, Reason, Refusal, Removal, Step};
pub use planner::{NoPlan, plan};
pub use query::{Names, Query};
pub use record::{Kind, Record, dangling_name};
pub use reference::{InvalidReference, Reference, Repository};
pub use rules::Rules;
pub use unread::Unread;

#[cfg(test)]
mod tests;
