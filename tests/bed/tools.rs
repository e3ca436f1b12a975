//! Where the programs are that `tests/tools/build` builds.

use std::env;
use std::path::{Path, PathBuf};

/// The directory of a tool, of the version that its `go.mod` requires of `module` in a line of its own.
///
/// # Panics
///
/// Where it was not built.
pub(crate) fn tool(name: &str, module: &str, go_mod: &str) -> PathBuf {
    let requirement = format!("require {module} ");
    let version = go_mod.lines().find_map(|line| line.strip_prefix(&requirement));
    let version =
        version.unwrap_or_else(|| panic!("tests/tools/{name}/go.mod has no line `{requirement}...`"));
    let directory = cache().join(format!("{name}-{version}"));
    assert!(directory.is_dir(), "there is no {}: run `make tools` first", directory.display());
    directory
}

fn cache() -> PathBuf {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    set("SECATEUR_TOOLS")
        .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("secateur")))
        .or_else(|| set("HOME").map(|home| home.join(".cache/secateur")))
        .expect("the tests look for their tools in $SECATEUR_TOOLS or ~/.cache/secateur; set SECATEUR_TOOLS or HOME")
}

/// `PATH` with a directory in front, so that its programs are found first.
pub(crate) fn path_with(directory: &Path) -> std::ffi::OsString {
    let rest = env::var_os("PATH").unwrap_or_default();
    env::join_paths(std::iter::once(directory.to_path_buf()).chain(env::split_paths(&rest)))
        .expect("no directory of PATH holds a colon")
}
