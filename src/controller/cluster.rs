//! The nodes of the cluster, and which of them run an agent: who is asked by a deletion. No I/O.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;

use super::agents::{Agent, AgentPod, Agents};
use super::change::Change;
use crate::api::deletion::ImageDeletion;
use crate::api::selector::NodeSelector;

/// A node, as far as it matters to a deletion.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Node {
    /// Its name.
    pub(super) name: String,
    /// What a `nodeSelector` is held against.
    pub(super) labels: BTreeMap<String, String>,
    /// When it joined the cluster.
    pub(super) created: Timestamp,
}

/// The selected nodes of a deletion.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Selected {
    /// Those that run an agent.
    pub(super) desired: BTreeSet<String>,
    /// Those of them whose agent has just gone, and is taken to be replaced.
    pub(super) replaced: BTreeSet<String>,
    /// Those that run none.
    pub(super) without_agent: BTreeSet<String>,
}

impl Selected {
    /// The same, where each of them is asked whether it runs an agent now or not.
    pub(super) fn all_asked(mut self) -> Self {
        self.desired.append(&mut self.without_agent);
        self
    }
}

/// The nodes and the agents' pods.
#[derive(Debug, Default)]
pub(super) struct Cluster {
    nodes: Option<HashMap<String, Node>>,
    agents: Option<Agents>,
}

impl Cluster {
    /// Whether nodes and agents have been listed. Before that nobody can be called missing.
    pub(super) fn is_known(&self) -> bool {
        self.nodes.is_some() && self.agents.is_some()
    }

    /// Takes a change of nodes in, and names those that may be no part of a deletion any more: they are gone, are other ones that
    /// came back under their names, or have other labels.
    pub(super) fn nodes(&mut self, change: Change<Node>) -> Vec<String> {
        let known = self.nodes.get_or_insert_default();
        match change {
            Change::Listed(nodes) => {
                let listed = nodes.into_iter().map(|node| (node.name.clone(), node)).collect();
                let before = std::mem::replace(known, listed);
                let has_changed = |node: &Node| known.get(&node.name) != Some(node);
                before.into_values().filter(has_changed).map(|node| node.name).collect()
            }
            Change::Applied(node) => {
                let before = known.insert(node.name.clone(), node.clone());
                before.filter(|before| *before != node).map(|before| before.name).into_iter().collect()
            }
            Change::Gone(name) => known.remove(&name).map(|_| name).into_iter().collect(),
        }
    }

    /// Takes a change of the agents' pods in, and names the nodes that may run an agent by it and have run none.
    pub(super) fn agents(&mut self, change: Change<AgentPod>, now: Timestamp) -> Vec<String> {
        self.agents.get_or_insert_default().take(change, now)
    }

    /// When a node is no longer taken for one whose agent is being replaced, if nothing happens.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.agents.as_ref()?.next()
    }

    /// It is so late now. Names the nodes whose agents have not been replaced in time.
    pub(super) fn pass(&mut self, now: Timestamp) -> Vec<String> {
        self.agents.as_mut().map(|agents| agents.pass(now)).unwrap_or_default()
    }

    /// The selected nodes that were there when the deletion was created.
    pub(super) fn select(&self, deletion: &ImageDeletion, selector: &NodeSelector) -> Selected {
        let mut selected = Selected::default();
        for node in self.nodes.iter().flat_map(HashMap::values) {
            if !is_asked(node, selector, deletion) {
                continue;
            }
            let name = || node.name.clone();
            match self.agent(node) {
                Agent::There => selected.desired.insert(name()),
                Agent::Replaced(_) => {
                    selected.replaced.insert(name());
                    selected.desired.insert(name())
                }
                Agent::Missing => selected.without_agent.insert(name()),
            };
        }
        selected
    }

    /// Whether the deletion is for this node: it was there when that was created, and has labels that are selected.
    pub(super) fn is_asked(&self, node: &str, deletion: &ImageDeletion, selector: &NodeSelector) -> bool {
        self.node(node).is_some_and(|node| is_asked(node, selector, deletion))
    }

    /// Whether an agent runs on this node, or is being replaced.
    pub(super) fn runs_agent(&self, node: &str) -> bool {
        self.node(node).is_some_and(|node| self.agent(node) != Agent::Missing)
    }

    /// What is known of the agent of this node. One that left before the node joined was another node's, by the same name.
    fn agent(&self, node: &Node) -> Agent {
        match self.agents.as_ref().map_or(Agent::Missing, |agents| agents.of(&node.name)) {
            Agent::Replaced(left) if left < node.created => Agent::Missing,
            agent => agent,
        }
    }

    /// Whether there is a node of this name.
    pub(super) fn has(&self, node: &str) -> bool {
        self.node(node).is_some()
    }

    /// Whether this node joined after the deletion was created, and so is no part of it.
    pub(super) fn is_too_late(&self, node: &str, deletion: &ImageDeletion) -> bool {
        self.node(node).is_some_and(|node| joined_later(node, deletion))
    }

    fn node(&self, name: &str) -> Option<&Node> {
        self.nodes.as_ref()?.get(name)
    }
}

fn is_asked(node: &Node, selector: &NodeSelector, deletion: &ImageDeletion) -> bool {
    !joined_later(node, deletion) && selector.selects(&node.labels)
}

fn joined_later(node: &Node, deletion: &ImageDeletion) -> bool {
    deletion.metadata.creation_timestamp.as_ref().is_some_and(|created| node.created > created.0)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
    use serde_json::json;

    use super::*;
    use crate::api::deletion::ImageDeletionSpec;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn node(name: &str, zone: &str, created: i64) -> Node {
        let labels = [("zone".to_owned(), zone.to_owned())].into();
        Node { name: name.to_owned(), labels, created: at(created) }
    }

    fn agent(node: &str) -> AgentPod {
        AgentPod { name: format!("agent-{node}"), node: Some(node.to_owned()), is_bound: true }
    }

    fn created(seconds: i64) -> ImageDeletion {
        let mut deletion = ImageDeletion::new("drop", ImageDeletionSpec::of(["app:v1"]));
        deletion.metadata.creation_timestamp = Some(Time(at(seconds)));
        deletion
    }

    fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
        names.map(str::to_owned).into()
    }

    /// Nodes a, b (in another zone), c (too late) and d (without an agent).
    fn cluster() -> Cluster {
        let mut cluster = Cluster::default();
        let nodes = [node("a", "x", 1), node("b", "y", 10), node("c", "x", 11), node("d", "x", 2)];
        assert_eq!(cluster.nodes(Change::Listed(nodes.into())), [""; 0]);
        cluster.agents(Change::Listed(["a", "b", "c"].map(agent).into()), at(10));
        cluster
    }

    fn selected<const N: usize, const R: usize, const M: usize>(
        desired: [&str; N],
        replaced: [&str; R],
        without_agent: [&str; M],
    ) -> Selected {
        Selected { desired: names(desired), replaced: names(replaced), without_agent: names(without_agent) }
    }

    fn select(cluster: &Cluster, deletion: &ImageDeletion) -> Selected {
        cluster.select(deletion, &NodeSelector::of(&deletion.spec))
    }

    #[test]
    fn it_is_known_once_nodes_and_agents_are() {
        let mut cluster = Cluster::default();
        assert!(!cluster.is_known());
        cluster.agents(Change::Listed(vec![]), at(0));
        assert!(!cluster.is_known());
        cluster.nodes(Change::Listed(vec![]));
        assert!(cluster.is_known());
    }

    #[test]
    fn selected_are_the_nodes_that_match_and_were_there() {
        let every = selected(["a", "b"], [], ["d"]);
        assert_eq!(select(&cluster(), &created(10)), every);

        let mut in_zone_x = created(10);
        in_zone_x.spec.node_selector = serde_json::from_value(json!({"matchLabels": {"zone": "x"}})).unwrap();
        assert_eq!(select(&cluster(), &in_zone_x), selected(["a"], [], ["d"]));
    }

    #[test]
    fn a_node_whose_agent_is_being_replaced_runs_one_for_half_a_minute() {
        let mut cluster = cluster();
        cluster.agents(Change::Gone("agent-a".into()), at(20));
        assert_eq!((cluster.next(), cluster.pass(at(49))), (Some(at(50)), vec![]));
        assert!(cluster.runs_agent("a"));
        assert_eq!(select(&cluster, &created(10)), selected(["a", "b"], ["a"], ["d"]));
        assert_eq!(cluster.pass(at(50)), ["a"]);
        assert!(!cluster.runs_agent("a") && cluster.runs_agent("b"));
        assert_eq!(select(&cluster, &created(10)), selected(["b"], [], ["a", "d"]));
        assert_eq!(cluster.agents(Change::Applied(agent("a")), at(51)), ["a"]);
        assert_eq!(select(&cluster, &created(10)), selected(["a", "b"], [], ["d"]));
    }

    #[test]
    fn a_node_that_is_gone_runs_no_agent_nor_does_the_next_one_of_its_name() {
        let mut cluster = cluster();
        cluster.agents(Change::Gone("agent-a".into()), at(20));
        cluster.nodes(Change::Gone("a".into()));
        assert!(!cluster.runs_agent("a"));
        assert_eq!(select(&cluster, &created(30)), selected(["b", "c"], [], ["d"]));
        cluster.nodes(Change::Applied(node("a", "x", 25)));
        assert!(!cluster.runs_agent("a"));
        assert_eq!(select(&cluster, &created(30)), selected(["b", "c"], [], ["a", "d"]));
        let next = AgentPod { name: "next-agent-a".into(), ..agent("a") };
        assert_eq!(cluster.agents(Change::Applied(next), at(26)), ["a"], "it is waited for from now on");
    }

    #[test]
    fn nodes_that_are_gone_were_replaced_or_have_other_labels_are_named() {
        let mut cluster = cluster();
        assert_eq!(cluster.nodes(Change::Applied(node("a", "x", 1))), [""; 0]);
        assert_eq!(cluster.nodes(Change::Applied(node("a", "z", 1))), ["a"]);
        assert_eq!(cluster.nodes(Change::Applied(node("a", "z", 12))), ["a"]);
        assert_eq!(cluster.nodes(Change::Gone("b".into())), ["b"]);
        assert_eq!(cluster.nodes(Change::Gone("b".into())), [""; 0]);
        let mut gone = cluster.nodes(Change::Listed(vec![node("a", "z", 12), node("c", "x", 13)]));
        gone.sort();
        assert_eq!(gone, ["c", "d"]);
        assert!(cluster.has("a") && !cluster.has("d"));
    }

    #[test]
    fn a_node_is_too_late_when_it_joined_after_the_creation() {
        let cluster = cluster();
        let late = ["a", "b", "c", "unknown"].map(|node| cluster.is_too_late(node, &created(10)));
        assert_eq!(late, [false, false, true, false]);
    }
}
