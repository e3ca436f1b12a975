//! The containerds that the tests run on.

use std::path::PathBuf;

use super::tools::tool;

/// A generation of containerd.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// 1.6, as Debian 12 ships it.
    V1,
    /// 2.x, built from its Go module by `tests/tools/build`.
    V2,
}

impl Version {
    /// The directory of `containerd`, `ctr` and `containerd-shim-runc-v2`.
    ///
    /// # Panics
    ///
    /// Where the binaries are missing.
    pub(crate) fn directory(self) -> PathBuf {
        let directory = match self {
            Self::V1 => PathBuf::from("/usr/bin"),
            Self::V2 => {
                let go_mod = include_str!("../tools/containerd/go.mod");
                tool("containerd", "github.com/containerd/containerd/v2", go_mod)
            }
        };
        assert!(
            directory.join("containerd").exists(),
            "no containerd in {}: run `make tools` first",
            directory.display()
        );
        directory
    }
}
