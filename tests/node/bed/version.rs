//! The containerds that the tests run on, and where their binaries are.

use std::env;
use std::path::{Path, PathBuf};

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
            Self::V2 => tools().join(format!("containerd-{}", pinned())),
        };
        assert!(
            directory.join("containerd").exists(),
            "no containerd in {}: run `make tools` first",
            directory.display()
        );
        directory
    }
}

/// The cache that `tests/tools/build` fills.
fn tools() -> PathBuf {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("SECATEUR_TOOLS")
        .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("secateur")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/secateur")))
        .expect("the tests look for their tools in $SECATEUR_TOOLS or ~/.cache/secateur; set SECATEUR_TOOLS or HOME")
}

/// The version of containerd that `tests/tools/containerd/go.mod` requires.
fn pinned() -> &'static str {
    include_str!("../../tools/containerd/go.mod")
        .lines()
        .find_map(|line| line.strip_prefix("require github.com/containerd/containerd/v2 "))
        .expect("tests/tools/containerd/go.mod requires containerd in a line of its own")
}

/// `PATH` with the binaries of one version in front, so that its own shim is found.
pub(crate) fn path_with(directory: &Path) -> std::ffi::OsString {
    let rest = env::var_os("PATH").unwrap_or_default();
    env::join_paths(std::iter::once(directory.to_path_buf()).chain(env::split_paths(&rest)))
        .expect("no directory of PATH holds a colon")
}
