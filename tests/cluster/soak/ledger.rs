//! What there should be, by what was done: which names and images were made on which node, and which pods.

use std::collections::{BTreeMap, BTreeSet};

use crate::bed::Imported;

/// What was made so far.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// The images, and the nodes that they were imported on.
    pub(super) images: BTreeMap<usize, (Imported, [bool; 2])>,
    /// What was made on each node.
    pub(super) made: [Made; 2],
    /// The pods that were started and not stopped.
    pub(super) pods: BTreeMap<usize, Started>,
    /// The deletions that are not accounted for yet.
    pub(super) deletions: BTreeSet<String>,
    /// Those of all deletions that removed nothing.
    pub(super) dry_runs: BTreeSet<String>,
}

/// What was made on one node.
#[derive(Debug, Default)]
pub(super) struct Made {
    /// Every name, also of those that are gone. None is made twice.
    pub(super) names: BTreeSet<String>,
    /// The images that lost a name because it was moved to another image.
    pub(super) moved_from: BTreeSet<String>,
    /// The images that got one more name: of these a name goes that a pod needs, for the content stays under another.
    pub(super) named_more: BTreeSet<usize>,
    /// The images that a forced deletion has named: of these names go that pods need.
    pub(super) forced: BTreeSet<usize>,
}

/// A pod that was started.
#[derive(Debug, Clone)]
pub(super) struct Started {
    pub(super) image: usize,
    pub(super) node: usize,
    /// Whether its container was ever seen to run.
    pub(super) has_run: bool,
}

impl Ledger {
    /// The images that a node was given, by the ID that the CRI shows.
    pub(super) fn given(&self, node: usize) -> BTreeMap<String, &Imported> {
        let here = self.images.values().filter(|(_, nodes)| nodes[node]);
        here.map(|(image, _)| (image.config().to_string(), image)).collect()
    }

    /// Whether a node was given an image.
    pub(super) fn is_given(&self, image: usize, node: usize) -> bool {
        self.images.get(&image).is_some_and(|(_, nodes)| nodes[node])
    }
}

/// The name that an image is imported under.
pub(super) fn name_of(image: usize) -> String {
    format!("docker.io/soak/app-{image}:v1")
}

/// One more name.
pub(super) fn name_of_tag(tag: usize) -> String {
    format!("docker.io/soak/tag-{tag}:v1")
}

/// The name of a pod.
pub(super) fn name_of_pod(pod: usize) -> String {
    format!("pod-{pod}")
}

/// A name as people type it, and as reports have it.
pub(super) fn familiar(name: &str) -> &str {
    name.strip_prefix("docker.io/").expect("it is such a name")
}
