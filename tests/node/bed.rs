//! The test bed: throw-away nodes with images and containers to delete images from.
//!
//! A [`Node`] is a containerd of either [`Version`] with its own directories and socket, so that tests run side by side.
//! When it is dropped, every process, mount and directory of it is gone.

mod containers;
mod node;
#[path = "../bed/lib.rs"]
mod parts;
mod pods;

pub(crate) use node::Node;
pub(crate) use parts::*;
pub(crate) use pods::{Pod, State};

/// Makes two tests of an `async fn name(version: Version)`: `name::v1` and `name::v2`.
macro_rules! both {
    ($($(#[$attribute:meta])* $name:ident),+ $(,)?) => {$(
        mod $name {
            $(#[$attribute])*
            #[tokio::test]
            async fn v1() {
                super::$name(crate::bed::Version::V1).await;
            }

            $(#[$attribute])*
            #[tokio::test]
            async fn v2() {
                super::$name(crate::bed::Version::V2).await;
            }
        }
    )+};
}
pub(crate) use both;
