//! What nodes report while their reports are being listed, in as little as says the same: whoever may write a report may write it
//! many times. No I/O.

use std::collections::BTreeMap;

use super::change::{Change, ReportChange};

/// What nodes have reported since a list was asked for: of each the last, behind that an earlier report is gone.
#[derive(Debug, Default)]
pub(super) struct Since(BTreeMap<String, Vec<ReportChange>>);

impl Since {
    /// Notes what may be newer than the list. A final report is final: an older one that comes late does not undo it.
    pub(super) fn note(&mut self, change: ReportChange) {
        let node = match &change {
            Change::Applied(report) => &report.node_name,
            Change::Gone(node) => node,
            Change::Listed(_) => return,
        };
        let of_node = self.0.entry(node.clone()).or_default();
        match (of_node.last_mut(), &change) {
            (_, Change::Gone(_)) => *of_node = vec![change],
            (Some(last), Change::Applied(_)) if is_final(last) && !is_final(&change) => {}
            (Some(last @ Change::Applied(_)), _) => *last = change,
            _ => of_node.push(change),
        }
    }

    /// What is to be told behind the list.
    pub(super) fn changes(self) -> impl Iterator<Item = ReportChange> {
        self.0.into_values().flatten()
    }
}

fn is_final(change: &ReportChange) -> bool {
    matches!(change, Change::Applied(report) if report.completion_time.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::fixture;

    #[test]
    fn of_each_node_the_last_is_kept_and_that_one_was_gone_before_it() {
        let rows = [
            (&["a waits", "a waits"][..], &["a waits"][..]),
            (&["a waits", "b waits", "a ends"], &["a ends", "b waits"]),
            (&["a ends", "a waits"], &["a ends"]),
            (&["a ends", "a gone"], &["a gone"]),
            (&["a ends", "a gone", "a waits", "a waits"], &["a gone", "a waits"]),
            (&["a gone", "a ends", "a gone", "a ends", "a waits"], &["a gone", "a ends"]),
        ];
        for (noted, expected) in rows {
            let mut since = Since::default();
            noted.iter().for_each(|words| since.note(change(words)));
            assert_eq!(since.changes().map(words).collect::<Vec<_>>(), expected, "{noted:?}");
        }
    }

    fn change(words: &str) -> ReportChange {
        let (node, what) = words.split_once(' ').unwrap();
        let mut report = fixture::report(node).spec;
        match what {
            "gone" => return Change::Gone(node.to_owned()),
            "waits" => report.completion_time = None,
            _ => {}
        }
        Change::Applied(report)
    }

    fn words(change: ReportChange) -> String {
        let ends = is_final(&change);
        match change {
            Change::Applied(report) if ends => format!("{} ends", report.node_name),
            Change::Applied(report) => format!("{} waits", report.node_name),
            Change::Gone(node) => format!("{node} gone"),
            Change::Listed(_) => "all".to_owned(),
        }
    }
}
