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
    trees(home).iter().for_each(|tree| thaw_tree(tree));
}

fn thaw_tree(directory: &Path) {
    // The first file is of cgroup version 1, the second of version 2; a cgroup has at most one of them.
    for (file, thawed) in [("freezer.state", "THAWED"), ("cgroup.freeze", "0")] {
        let file = directory.join(file);
        if file.exists() {
            fs::write(file, thawed).ok();
        }
    }
    children(directory).iter().for_each(|child| thaw_tree(child));
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
    children(directory).iter().for_each(|child| remove_tree(child));
    fs::remove_dir(directory).ok();
}

fn children(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let directories = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    directories.map(|entry| entry.path()).collect()
}

/// The node's parent cgroup in every hierarchy that has it.
pub(crate) fn trees(home: &Path) -> Vec<PathBuf> {
    let relative = parent(home);
    let relative = relative.trim_start_matches('/');
    hierarchies().into_iter().map(|hierarchy| hierarchy.join(relative)).filter(|tree| tree.is_dir()).collect()
}

/// The roots of the hierarchies: one with cgroups of version 2, several with version 1 or both.
pub(crate) fn hierarchies() -> Vec<PathBuf> {
    let root = PathBuf::from("/sys/fs/cgroup");
    let below = fs::read_dir(&root).into_iter().flatten().flatten().map(|entry| entry.path());
    match root.join("cgroup.procs").exists() {
        true => vec![root],
        false => below.filter(|hierarchy| hierarchy.join("cgroup.procs").exists()).collect(),
    }
}
