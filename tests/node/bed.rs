//! The test bed: throw-away nodes with images and containers to delete images from.
//!
//! A [`Node`] is a containerd of either [`Version`] with its own directories and socket, so that tests run side by side.
//! Its images come from archives that the bed writes itself ([`Image`], [`Index`]). When a node is dropped, every
//! process, mount and directory of it is gone. What a killed test run left is removed by the next one.
//!
//! The bed knows nothing about Secateur: it must be able to contradict it.

mod archive;
pub(crate) mod cgroup;
mod config;
mod containers;
mod cri;
mod daemon;
mod digest;
mod disk;
mod home;
mod image;
mod index;
pub(crate) mod leftovers;
mod node;
mod pods;
mod store;
mod version;
mod wait;

use archive::Archive;
pub(crate) use archive::Imported;
pub(crate) use config::{Cri, Setup};
pub(crate) use digest::Digest;
pub(crate) use disk::Disk;
pub(crate) use home::sweep;
pub(crate) use image::{Compression, Image};
pub(crate) use index::Index;
pub(crate) use node::Node;
pub(crate) use pods::{Pod, State};
pub(crate) use store::SnapshotKind;
pub(crate) use version::Version;
pub(crate) use wait::eventually;

/// Makes two tests of an `async fn name(version: Version)`: `name::v1` and `name::v2`.
macro_rules! both {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[tokio::test]
            async fn v1() {
                super::$name(crate::bed::Version::V1).await;
            }

            #[tokio::test]
            async fn v2() {
                super::$name(crate::bed::Version::V2).await;
            }
        }
    )+};
}
pub(crate) use both;
