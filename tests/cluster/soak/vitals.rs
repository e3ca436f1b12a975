//! What the processes of Secateur hold: memory and open files.

use std::collections::BTreeMap;

use crate::cluster::{Node, SECATEUR, Vitals};

/// What a process may have grown by since the first look at it, in KiB. What it reads of a node it keeps for a while.
const MEMORY_GROWTH: u64 = 4 << 10;
/// What a process may have opened since, in files.
const FILES_GROWTH: usize = 4;

/// What every process held at each look, by the container that it is in.
#[derive(Debug, Default)]
pub(super) struct History(BTreeMap<String, Vec<Vitals>>);

impl History {
    /// Looks at the processes of a node, and that none has grown.
    pub(super) async fn look(&mut self, node: &Node) {
        for container in node.running_containers(&[("io.kubernetes.pod.namespace", SECATEUR)]).await {
            let name = container.metadata.map(|metadata| metadata.name).unwrap_or_default();
            let Some(vitals) = Vitals::of(node, &container.id).await else { continue };
            let key = format!("{name} of {} {}", node.name(), &container.id[..12]);
            let history = self.0.entry(key.clone()).or_default();
            history.push(vitals);
            let first = history[0];
            assert!(vitals.memory <= first.memory + MEMORY_GROWTH, "{key} grows: {history:?}");
            assert!(vitals.files <= first.files + FILES_GROWTH, "{key} opens more and more: {history:?}");
        }
    }

    /// The process that lived longest of those with a name, and what it held.
    pub(super) fn told(&self) -> String {
        let longest = |name: &str| {
            let of_it = self.0.iter().filter(|(key, _)| key.starts_with(name));
            of_it.max_by_key(|(_, history)| history.len()).map(|(key, history)| {
                let all: Vec<_> =
                    history.iter().map(|it| format!("{} KiB/{}", it.memory, it.files)).collect();
                format!("{key}: {}", all.join(", "))
            })
        };
        let told: Vec<_> = ["agent", "controller"].into_iter().filter_map(longest).collect();
        told.join("; ")
    }
}
