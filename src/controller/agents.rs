//! Which nodes run an agent, by the pods of the agents' DaemonSet. No I/O and no clock.
//!
//! While an agent is replaced there is no pod of it for a while: the DaemonSet removes many at a time, and makes the next ones after
//! that, one by one. So a node whose last pod has gone counts for some time as one that runs an agent.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;

use super::attempts::after;
use super::change::Change;

/// How long the next pod may take. The last of 250, which is what a DaemonSet removes at a time, takes 13 s at 20 requests a second.
const REPLACED_WITHIN: Duration = Duration::from_secs(30);

/// A pod of the agents' DaemonSet.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct AgentPod {
    /// Its name.
    pub(super) name: String,
    /// The node that it is bound to, or made for, and has not finished on.
    pub(super) node: Option<String>,
    /// Whether it is bound to it. One that never was is no agent that could be replaced.
    pub(super) is_bound: bool,
}

/// What is known of the agent of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Agent {
    /// There is a pod of it. One that is being deleted still counts: the next agent of its node does what it left.
    There,
    /// There was one until then, not long ago.
    Replaced(Timestamp),
    /// There is none.
    Missing,
}

/// The agents' pods, and those that have just gone.
#[derive(Debug, Default)]
pub(super) struct Agents {
    /// The node of each pod, and whether it, or one that it comes after, was bound to it.
    pods: HashMap<String, (String, bool)>,
    /// The number of pods of each of these nodes.
    counts: HashMap<String, usize>,
    /// Since when nodes have no pod that had one.
    left: HashMap<String, Timestamp>,
}

impl Agents {
    /// Takes a change of the pods in, and names the nodes that have a pod by it and had none, or have none and are not waited for.
    pub(super) fn take(&mut self, change: Change<AgentPod>, now: Timestamp) -> Vec<String> {
        match change {
            Change::Listed(pods) => {
                let listed: HashMap<_, _> =
                    pods.into_iter().filter_map(|pod| Some((pod.name, (pod.node?, pod.is_bound)))).collect();
                let is_gone = |name: &&String| !listed.contains_key(*name);
                let gone: Vec<_> = self.pods.keys().filter(is_gone).cloned().collect();
                let mut changed: Vec<_> = gone.iter().filter_map(|name| self.remove(name, now)).collect();
                changed.extend(listed.into_iter().filter_map(|(name, at)| self.insert(name, at, now)));
                changed
            }
            Change::Applied(AgentPod { name, node: Some(node), is_bound }) => {
                self.insert(name, (node, is_bound), now).into_iter().collect()
            }
            Change::Applied(AgentPod { name, node: None, .. }) | Change::Gone(name) => {
                self.remove(&name, now).into_iter().collect()
            }
        }
    }

    /// What is known of the agent of this node.
    pub(super) fn of(&self, node: &str) -> Agent {
        match self.left.get(node) {
            Some(left) => Agent::Replaced(*left),
            None if self.counts.contains_key(node) => Agent::There,
            None => Agent::Missing,
        }
    }

    /// When a node is waited for no longer, if nothing happens.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.left.values().min().map(|left| after(*left, REPLACED_WITHIN))
    }

    /// Waits no longer for nodes for which no pod has come in time, and names them.
    pub(super) fn pass(&mut self, now: Timestamp) -> Vec<String> {
        let is_over = |left: &Timestamp| after(*left, REPLACED_WITHIN) <= now;
        self.left.extract_if(|_, left| is_over(left)).map(|(node, _)| node).collect()
    }

    fn insert(&mut self, name: String, (node, is_bound): (String, bool), now: Timestamp) -> Option<String> {
        if let Some((of, was_bound)) = self.pods.get_mut(&name)
            && *of == node
        {
            *was_bound |= is_bound;
            return None;
        }
        self.remove(&name, now);
        // Whatever becomes of this pod, an agent ran here before it.
        let is_bound = self.left.remove(&node).is_some() || is_bound;
        let count = self.counts.entry(node.clone()).or_default();
        *count += 1;
        let is_first = *count == 1;
        self.pods.insert(name, (node.clone(), is_bound));
        is_first.then_some(node)
    }

    /// Names the node if it has no pod now and had none that ran.
    fn remove(&mut self, name: &str, now: Timestamp) -> Option<String> {
        let (node, was_bound) = self.pods.remove(name)?;
        let count = self.counts.get_mut(&node)?;
        *count -= 1;
        if *count > 0 {
            return None;
        }
        self.counts.remove(&node);
        if was_bound {
            self.left.insert(node, now);
            return None;
        }
        Some(node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn pod(name: &str, node: &str) -> AgentPod {
        AgentPod { name: name.into(), node: Some(node.into()), is_bound: true }
    }

    /// Nodes a and b have a pod each.
    fn agents() -> Agents {
        let mut agents = Agents::default();
        let mut new = agents.take(Change::Listed(vec![pod("a-1", "a"), pod("b-1", "b")]), at(0));
        new.sort();
        assert_eq!(new, ["a", "b"]);
        agents
    }

    #[test]
    fn a_node_runs_an_agent_while_a_pod_of_it_is_unfinished() {
        let mut agents = agents();
        assert_eq!(agents.take(Change::Applied(pod("a-2", "a")), at(1)), [""; 0]);
        assert_eq!(agents.take(Change::Gone("a-1".into()), at(1)), [""; 0]);
        assert_eq!(agents.of("a"), Agent::There);
        assert_eq!(agents.take(Change::Applied(pod("c-1", "c")), at(1)), ["c"]);
        assert_eq!(agents.take(Change::Applied(pod("c-1", "c")), at(1)), [""; 0]);
        assert_eq!((agents.of("c"), agents.of("d"), agents.next()), (Agent::There, Agent::Missing, None));
    }

    #[test]
    fn a_node_whose_last_pod_has_gone_is_waited_for_half_a_minute() {
        let finished = AgentPod { name: "a-1".into(), node: None, is_bound: true };
        let all_but = Change::Listed(vec![pod("b-1", "b")]);
        for gone in [Change::Gone("a-1".into()), Change::Applied(finished), all_but] {
            let mut agents = agents();
            assert_eq!(agents.take(gone, at(10)), [""; 0]);
            assert_eq!((agents.of("a"), agents.next()), (Agent::Replaced(at(10)), Some(at(40))));
            assert_eq!(agents.pass(at(39)), [""; 0]);
            assert_eq!(agents.pass(at(40)), ["a"]);
            assert_eq!((agents.of("a"), agents.next()), (Agent::Missing, None));
            assert_eq!(agents.take(Change::Applied(pod("a-2", "a")), at(41)), ["a"], "it comes late");
        }
    }

    #[test]
    fn a_node_whose_pod_was_never_bound_is_not_waited_for() {
        let unbound = || AgentPod { is_bound: false, ..pod("c-1", "c") };
        let refused = AgentPod { node: None, ..unbound() };
        let others = Change::Listed(vec![pod("a-1", "a"), pod("b-1", "b")]);
        for gone in [Change::Gone("c-1".into()), Change::Applied(refused), others] {
            let mut agents = agents();
            assert_eq!(agents.take(Change::Applied(unbound()), at(1)), ["c"]);
            assert_eq!(agents.take(gone, at(2)), ["c"]);
            assert_eq!((agents.of("c"), agents.next()), (Agent::Missing, None));
        }
        let mut agents = agents();
        agents.take(Change::Applied(unbound()), at(1));
        agents.take(Change::Applied(pod("c-1", "c")), at(2));
        assert_eq!(agents.take(Change::Gone("c-1".into()), at(3)), [""; 0]);
        assert_eq!(agents.of("c"), Agent::Replaced(at(3)), "it was bound in between");
        agents.take(Change::Applied(AgentPod { name: "c-2".into(), ..unbound() }), at(4));
        assert_eq!(agents.take(Change::Gone("c-2".into()), at(5)), [""; 0]);
        assert_eq!(agents.of("c"), Agent::Replaced(at(5)), "one ran here before");
    }

    #[test]
    fn a_node_whose_next_pod_comes_in_time_is_waited_for_no_longer() {
        let next = || pod("a-2", "a");
        for comes in [Change::Applied(next()), Change::Listed(vec![next(), pod("b-1", "b")])] {
            let mut agents = agents();
            agents.take(Change::Gone("a-1".into()), at(10));
            assert_eq!(agents.take(comes, at(20)), ["a"]);
            assert_eq!((agents.of("a"), agents.next(), agents.pass(at(99)).len()), (Agent::There, None, 0));
        }
    }
}
