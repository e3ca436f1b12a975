//! Who is asked by one deletion, and who has yet to answer. No I/O.

use std::collections::{BTreeSet, HashSet};

use super::cluster::Selected;
use crate::api::aggregate::Stage;

/// The nodes that a deletion asks.
#[derive(Debug, Default)]
pub(super) struct Roster {
    selected: Selected,
    /// The desired nodes without a final report, so that nobody has to count.
    awaited: HashSet<String>,
    /// Nodes that were part of it and are not now. Their labels may come back.
    gone: HashSet<String>,
    /// The desired nodes that ran no agent at first, or had one that was being replaced.
    late: HashSet<String>,
}

impl Roster {
    /// These nodes, none of which has reported.
    pub(super) fn new(mut selected: Selected) -> Self {
        let awaited = selected.desired.iter().cloned().collect();
        let late = std::mem::take(&mut selected.replaced).into_iter().collect();
        Self { selected, awaited, gone: HashSet::new(), late }
    }

    /// The nodes whose reports count.
    pub(super) fn desired(&self) -> &BTreeSet<String> {
        &self.selected.desired
    }

    /// The number of selected nodes without an agent.
    pub(super) fn without_agent(&self) -> usize {
        self.selected.without_agent.len()
    }

    /// Whether every desired node has made its final report.
    pub(super) fn is_complete(&self) -> bool {
        self.awaited.is_empty()
    }

    /// The node has reported. It is one of the desired nodes by that, also if it seemed to run no agent.
    pub(super) fn reported(&mut self, node: &str, stage: Stage) {
        self.selected.without_agent.remove(node);
        self.gone.remove(node);
        self.selected.desired.insert(node.to_owned());
        match stage {
            Stage::Done => self.awaited.remove(node),
            Stage::Waiting => self.awaited.insert(node.to_owned()),
        };
    }

    /// The node's report is gone.
    pub(super) fn unreported(&mut self, node: &str) {
        if self.selected.desired.contains(node) {
            self.awaited.insert(node.to_owned());
        }
    }

    /// The node is no part of it any more. Says whether it was.
    pub(super) fn gone(&mut self, node: &str) -> bool {
        self.awaited.remove(node);
        let was_part = self.selected.desired.remove(node) | self.selected.without_agent.remove(node);
        if was_part {
            self.gone.insert(node.to_owned());
        }
        was_part
    }

    /// The node is selected, and has not reported. If it was part of it and is not, it is again; one that ran no agent at first,
    /// or had one that was being replaced, is awaited as long as it runs one. Says whether anything is new by that.
    pub(super) fn asked(&mut self, node: &str, runs_agent: impl FnOnce() -> bool) -> bool {
        let Selected { desired, without_agent, .. } = &mut self.selected;
        let was_gone = self.gone.remove(node);
        if !was_gone && !without_agent.contains(node) && !self.late.contains(node) {
            return false;
        }
        match runs_agent() {
            true => {
                if without_agent.remove(node) {
                    self.late.insert(node.to_owned());
                }
                self.awaited.insert(node.to_owned());
                desired.insert(node.to_owned())
            }
            false => {
                self.late.remove(node);
                self.awaited.remove(node);
                desired.remove(node);
                without_agent.insert(node.to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roster() -> Roster {
        let names = |names: [&str; 2]| names.map(str::to_owned).into();
        let (desired, without_agent) = (names(["a", "b"]), names(["c", "d"]));
        Roster::new(Selected { desired, without_agent, ..Selected::default() })
    }

    #[test]
    fn it_is_complete_once_every_desired_node_has_made_its_final_report() {
        let mut roster = roster();
        roster.reported("a", Stage::Done);
        roster.reported("b", Stage::Waiting);
        assert!(!roster.is_complete());
        roster.reported("b", Stage::Done);
        assert!(roster.is_complete());
        roster.unreported("a");
        assert!(!roster.is_complete());
        assert!(Roster::default().is_complete());
    }

    #[test]
    fn a_node_that_reports_runs_an_agent() {
        let mut roster = roster();
        roster.reported("c", Stage::Done);
        roster.reported("stranger", Stage::Done);
        assert_eq!((roster.desired().len(), roster.without_agent()), (4, 1));
    }

    #[test]
    fn a_node_that_is_gone_is_not_awaited() {
        let mut roster = roster();
        roster.reported("a", Stage::Done);
        assert!(roster.gone("b") && roster.gone("d") && !roster.gone("e"));
        assert!(roster.is_complete());
        assert_eq!((roster.desired().len(), roster.without_agent()), (1, 1));
        roster.unreported("b");
        assert!(roster.is_complete());
    }

    #[test]
    fn a_node_that_is_asked_again_or_runs_an_agent_now_is_awaited() {
        let mut roster = roster();
        roster.reported("a", Stage::Done);
        roster.gone("b");
        assert!(roster.asked("b", || true) && !roster.is_complete());
        assert!(!roster.asked("b", || true), "it is no news");
        roster.reported("b", Stage::Done);
        assert!(roster.asked("c", || true) && !roster.is_complete());
        assert!(roster.asked("c", || false) && roster.is_complete(), "its agent is gone again");
        assert!(roster.asked("c", || true) && !roster.is_complete());
        assert_eq!((roster.desired().len(), roster.without_agent()), (3, 1));
        roster.gone("d");
        assert!(roster.asked("d", || false));
        assert_eq!((roster.desired().len(), roster.without_agent()), (3, 1));
        assert!(!roster.asked("stranger", || true), "its agent may have looked at other labels");
    }

    #[test]
    fn a_node_whose_agent_is_being_replaced_is_awaited_as_long_as_that_may_take() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let mut roster = Roster::new(Selected {
            desired: names(&["a", "b"]),
            replaced: names(&["b"]),
            without_agent: names(&[]),
        });
        roster.reported("a", Stage::Done);
        assert!(!roster.asked("b", || true) && !roster.is_complete());
        assert!(roster.asked("b", || false) && roster.is_complete());
        assert_eq!((roster.desired().len(), roster.without_agent()), (1, 1));
        assert!(!roster.asked("a", || false), "who was asked of its agent is awaited until the deadline");
    }
}
