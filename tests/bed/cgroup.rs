//! The cgroups of a node's containers. Each node has one parent cgroup, so that leftovers can be found.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::wait::PATIENCE;

/// The cgroup below which all containers of the node are: `/secateur-bed-<name of the directory>`.
pub(crate) fn parent(home: &Path) -> String {
    let name = home.file_name().expect("a node's directory has a name");
    format!("/secateur-bed-{}", name.display())
}

/// Lets paused containers go on: a frozen process does not even die.
pub(crate) fn thaw(home: &Path) {
    for tree in trees(home) {
        for container in fs::read_dir(&tree).into_iter().flatten().flatten() {
            // The first file is of cgroup version 1, the second of version 2; a cgroup has at most one of them.
            for (file, thawed) in [("freezer.state", "THAWED"), ("cgroup.freeze", "0")] {
                let file = container.path().join(file);
                if file.exists() {
                    fs::write(file, thawed).ok();
                }
            }
        }
    }
}

/// Removes the cgroups. Their processes have ended or are about to.
pub(crate) fn remove(home: &Path) {
    let deadline = Instant::now() + PATIENCE;
    while let Some(tree) = trees(home).first() {
        remove_tree(tree);
        if Instant::now() > deadline {
            eprintln!("bed: cannot remove {}: it has processes", tree.display());
            return;
        }
        if tree.exists() {
            sleep(Duration::from_millis(5));
        }
    }
}

/// Cgroups are removed one by one, innermost first; their files are not files.
fn remove_tree(directory: &Path) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    fs::remove_dir(directory).ok();
}

/// The node's parent cgroup in every hierarchy that has it.
pub(crate) fn trees(home: &Path) -> Vec<PathBuf> {
    let relative = parent(home);
    let relative = relative.trim_start_matches('/');
    let root = Path::new("/sys/fs/cgroup");
    let hierarchies = fs::read_dir(root).into_iter().flatten().flatten().map(|entry| entry.path());
    std::iter::once(root.to_path_buf())
        .chain(hierarchies)
        .map(|hierarchy| hierarchy.join(relative))
        .filter(|tree| tree.is_dir())
        .collect()
}
