//! What the test beds are made of: a containerd of either [`Version`], images to put into it, a directory to run it in.
//!
//! The images come from archives that are written here ([`Image`], [`Index`]). A [`Home`] holds all files of one node or
//! cluster: when it is dropped, every process, mount and directory of it is gone. What a killed test run left is removed
//! by the next one.
//!
//! Nothing here knows about Secateur: it must be able to contradict it.

mod archive;
pub(crate) mod cgroup;
pub(crate) mod config;
mod containerd;
mod cri;
mod daemon;
mod digest;
mod disk;
mod home;
mod image;
mod index;
pub(crate) mod leftovers;
mod stock;
mod store;
mod strange;
pub(crate) mod tools;
mod version;
mod wait;

pub(crate) use archive::Imported;
pub(crate) use config::{Cri, Places, Setup};
pub(crate) use containerd::{Containerd, LOG, NAMESPACE, in_namespace};
pub(crate) use daemon::{Daemon, log_tail};
pub(crate) use digest::Digest;
pub(crate) use disk::Disk;
pub(crate) use home::{Home, sweep};
pub(crate) use image::{Compression, Image};
pub(crate) use index::Index;
pub(crate) use store::SnapshotKind;
pub(crate) use version::Version;
pub(crate) use wait::eventually;
