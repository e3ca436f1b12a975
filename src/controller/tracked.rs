//! One deletion whose last status has not been written: what is known of it, and when what is to be written. No I/O and
//! no clock.
//!
//! A status is written at once when it is the last, and otherwise at most once a second, or less often where many deletions are
//! under way or many nodes are asked. The first one waits for a second, because many a deletion is over by then. Reports cost a
//! look at a set each; they are folded only when a write is due.

use std::collections::BTreeSet;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::attempts::{Attempts, after};
use super::change::{Change, ReportChange};
use super::cluster::{Cluster, Selected};
use super::note::notes;
use super::order::{Order, StatusWrite, Target};
use super::pace::{BETWEEN_LISTS, BETWEEN_WRITES, between_writes};
use super::recount::Recount;
use super::roster::Roster;
use crate::api::aggregate::{Reports, Stage, aggregate};
use crate::api::deletion::ImageDeletion;
use crate::api::selector::NodeSelector;
use crate::api::status::{ImageDeletionStatus, NodeCounts, Phase};

/// A deletion that is under way, or one that is over and whose status is of an earlier generation.
#[derive(Debug)]
pub(super) struct Tracked {
    /// As the API server has it, with the last status that was written. Before the first one its status has a start.
    deletion: ImageDeletion,
    /// Its `nodeSelector`, made once: it is held against every node that changes, and thousands may at once.
    selector: NodeSelector,
    /// `None` until the cluster is known and the reports are.
    roster: Option<Roster>,
    /// `None` until they have been listed.
    reports: Option<Reports>,
    recount: Recount,
    /// Whether anything happened since the last fold.
    changed: bool,
    /// Before that no status but the last is written.
    write_from: Timestamp,
    /// Before that no reports are listed for what nodes say in words.
    list_from: Timestamp,
    attempts: Attempts,
}

impl Tracked {
    /// Starts with this deletion, which is seen for the first time `now`.
    pub(super) fn new(mut deletion: ImageDeletion, now: Timestamp) -> Self {
        let write_from = match stored(&deletion) {
            Some(_) => now,
            None => {
                deletion.status = Some(begun(Timestamp::from_second(now.as_second()).map(Time).ok()));
                after(now, BETWEEN_WRITES)
            }
        };
        Self {
            selector: NodeSelector::of(&deletion.spec),
            deletion,
            roster: None,
            reports: None,
            recount: Recount::Due,
            changed: true,
            write_from,
            list_from: Timestamp::MIN,
            attempts: Attempts::default(),
        }
    }

    /// The deletion with the last status that is known to be written.
    pub(super) fn deletion(&self) -> &ImageDeletion {
        &self.deletion
    }

    /// Where it stands, as far as has been written.
    pub(super) fn phase(&self) -> Phase {
        self.deletion.status.as_ref().map(|status| status.phase).unwrap_or_default()
    }

    /// Whether its nodes' reports still matter.
    pub(super) fn wants_reports(&self) -> bool {
        !self.deletion.is_finished()
    }

    /// The requests about it.
    pub(super) fn attempts(&mut self) -> &mut Attempts {
        &mut self.attempts
    }

    /// The deletion is now this.
    pub(super) fn update(&mut self, mut deletion: ImageDeletion) {
        let known = &self.deletion;
        if stored(&deletion).is_none() {
            let start_time = known.status.as_ref().and_then(|status| status.start_time.clone());
            deletion.status = Some(begun(start_time));
        }
        let is_another_generation = deletion.metadata.generation != known.metadata.generation;
        if is_another_generation && self.recount.is_done() {
            self.recount = Recount::Due;
        }
        if deletion.spec.node_selector != known.spec.node_selector {
            self.selector = NodeSelector::of(&deletion.spec);
        }
        self.changed |= is_another_generation || deletion.status != known.status;
        self.deletion = deletion;
        self.forget_if_over();
    }

    /// Decides who is asked, if that can be said by now and has not been.
    pub(super) fn start(&mut self, cluster: &Cluster) {
        let is_due = self.roster.is_none() && self.wants_reports() && cluster.is_known();
        if let Some(reports) = self.reports.as_ref().filter(|_| is_due) {
            let selected = cluster.select(&self.deletion, &self.selector);
            let mut roster = Roster::new(match asks_all(&self.deletion, &selected) {
                true => selected.all_asked(),
                false => selected,
            });
            for (node, stage) in reports.stages() {
                count(&mut roster, node, stage, &self.deletion, cluster);
            }
            self.roster = Some(roster);
            self.changed = true;
        }
    }

    /// Takes in what the nodes report. A final report is final: an older one that comes late does not undo it.
    pub(super) fn report(&mut self, change: ReportChange, cluster: &Cluster) {
        self.recount.note(&change);
        self.take_in(change, cluster);
    }

    fn take_in(&mut self, change: ReportChange, cluster: &Cluster) {
        match change {
            Change::Listed(reports) => self.list(reports, cluster),
            Change::Applied(report) => {
                let Some(reports) = &mut self.reports else { return };
                let node = report.node_name.clone();
                if reports.stage(&node) == Some(Stage::Done) && report.completion_time.is_none() {
                    return;
                }
                if !reports.insert(report) {
                    return;
                }
                if let (Some(roster), Some(stage)) = (&mut self.roster, reports.stage(&node)) {
                    count(roster, &node, stage, &self.deletion, cluster);
                }
            }
            Change::Gone(node) => {
                if !self.reports.as_mut().is_some_and(|reports| reports.remove(&node)) {
                    return;
                }
                forget(&mut self.roster, &node, cluster);
            }
        }
        self.changed = true;
    }

    fn list(&mut self, reports: Reports, cluster: &Cluster) {
        for (node, _) in self.reports.iter().flat_map(Reports::stages) {
            if reports.stage(node).is_none() {
                forget(&mut self.roster, node, cluster);
            }
        }
        if let Some(roster) = &mut self.roster {
            for (node, stage) in reports.stages() {
                count(roster, node, stage, &self.deletion, cluster);
            }
        }
        self.reports = Some(reports);
        self.start(cluster);
    }

    /// The node has left the cluster, is another one by its name, has other labels, or runs an agent now. Without its final report
    /// it counts only while it is there, and without any only while it is selected: its agent looks at the labels once, when its
    /// turn comes. An agent that starts does what is under way, so it is waited for; one that was being replaced when the deletion was
    /// seen, and has not come since, is not.
    pub(super) fn node_changed(&mut self, node: &str, cluster: &Cluster) {
        let Some(roster) = &mut self.roster else { return };
        self.changed |= match self.reports.as_ref().and_then(|reports| reports.stage(node)) {
            Some(Stage::Done) => false,
            Some(Stage::Waiting) => {
                let is_there = cluster.has(node) && !cluster.is_too_late(node, &self.deletion);
                !is_there && roster.gone(node)
            }
            None if cluster.is_asked(node, &self.deletion, &self.selector) => {
                roster.asked(node, || cluster.runs_agent(node))
            }
            None => roster.gone(node),
        };
    }

    /// When there is something to do next; `None`: not before something happens.
    pub(super) fn next(&self) -> Option<Timestamp> {
        if self.wants_reports() && self.roster.is_none() {
            return None;
        }
        let wanted = match self.is_decided() {
            true => self.changed.then_some(Timestamp::MIN),
            false => {
                let write = self.changed.then_some(self.write_from);
                write.into_iter().chain(self.deletion.gives_up()).min()
            }
        };
        self.attempts.earliest(wanted?)
    }

    /// What is to be done now, where so many deletions are under way.
    pub(super) fn step(&mut self, now: Timestamp, under_way: usize) -> Option<Order> {
        self.next().filter(|time| *time <= now)?;
        if !self.is_decided() && (self.is_given_up(now) || self.lacks_words(now)) {
            self.list_from = after(now, BETWEEN_LISTS);
            self.attempts.begin();
            self.recount = Recount::begun(now);
            return Some(Order::Recount(Target::of(&self.deletion)));
        }
        let status = self.fold(now);
        self.changed = false;
        let before = stored(&self.deletion);
        if before == Some(&status) {
            return None;
        }
        let notes = notes(before, &status);
        self.attempts.begin();
        let asked = self.roster.as_ref().map_or(0, |roster| roster.desired().len());
        self.write_from = after(now, between_writes(under_way, asked));
        Some(Order::Write(Box::new(StatusWrite { target: Target::of(&self.deletion), status, notes })))
    }

    /// The status was written, and the deletion has this version by that.
    pub(super) fn written(&mut self, write: &StatusWrite, version: Option<String>) {
        self.attempts.succeeded();
        // The watch may have been faster, and know more.
        if self.deletion.metadata.resource_version == write.target.resource_version {
            self.deletion.metadata.resource_version = version;
            self.deletion.status = Some(write.status.clone());
            self.forget_if_over();
        }
    }

    /// The reports were counted again, and these are all.
    pub(super) fn recounted(&mut self, reports: Reports, cluster: &Cluster) {
        self.attempts.succeeded();
        // The list is as old as its first page.
        let since = self.recount.end(self.deletion.gives_up());
        for change in std::iter::once(Change::Listed(reports)).chain(since) {
            self.take_in(change, cluster);
        }
    }

    fn is_given_up(&self, now: Timestamp) -> bool {
        self.deletion.gives_up().is_some_and(|time| time <= now)
    }

    /// Of many nodes that hold an image only some are kept in words, and by now others are to be shown.
    fn lacks_words(&self, now: Timestamp) -> bool {
        self.list_from <= now && self.reports.as_ref().is_some_and(Reports::lacks_words)
    }

    /// A request about it failed or was given up, so what it was to say is still to be said.
    pub(super) fn unsaid(&mut self) {
        self.changed = true;
        self.recount.give_up();
    }

    fn forget_if_over(&mut self) {
        if !self.wants_reports() {
            self.roster = None;
            self.reports = None;
        }
    }

    /// Whether the next status is the last.
    fn is_decided(&self) -> bool {
        !self.wants_reports()
            || self.recount.is_done()
            || self.roster.as_ref().is_some_and(Roster::is_complete)
    }

    fn fold(&self, now: Timestamp) -> ImageDeletionStatus {
        let nobody = BTreeSet::new();
        let (desired, without_agent) = match &self.roster {
            Some(roster) => (roster.desired(), roster.without_agent()),
            None => (&nobody, 0),
        };
        let none = Reports::default();
        let reports = self.reports.as_ref().unwrap_or(&none);
        // Who was given up stays so, whatever an answer of another API server says of the time.
        let given_up = self.deletion.gives_up().filter(|_| self.recount.is_done());
        let now = given_up.map_or(now, |time| time.max(now));
        aggregate(&self.deletion, desired, without_agent, reports, now)
    }
}

/// The status of a deletion before one is written.
fn begun(start_time: Option<Time>) -> ImageDeletionStatus {
    ImageDeletionStatus { start_time, ..ImageDeletionStatus::default() }
}

/// The status that has been written. Each one that was speaks of a generation.
fn stored(deletion: &ImageDeletion) -> Option<&ImageDeletionStatus> {
    deletion.status.as_ref().filter(|status| status.observed_generation.is_some())
}

/// Whether an earlier leader has asked every node that is selected now, and found an agent on each. One that is missing now is to come
/// back, and is waited for by whoever saw it.
fn asks_all(deletion: &ImageDeletion, selected: &Selected) -> bool {
    let count = selected.desired.len() + selected.without_agent.len();
    let had_asked = |nodes: &NodeCounts| nodes.without_agent == 0 && count <= nodes.desired as usize;
    stored(deletion).is_some_and(|status| had_asked(&status.nodes))
}

/// Counts the report of a node that is part of the deletion: it is final, also if its node is gone or came back since, or the
/// node may still end what it waits for.
fn count(roster: &mut Roster, node: &str, stage: Stage, deletion: &ImageDeletion, cluster: &Cluster) {
    if stage == Stage::Done || (cluster.has(node) && !cluster.is_too_late(node, deletion)) {
        roster.reported(node, stage);
    }
}

fn forget(roster: &mut Option<Roster>, node: &str, cluster: &Cluster) {
    if let Some(roster) = roster {
        if cluster.has(node) {
            roster.unreported(node);
        } else {
            roster.gone(node);
        }
    }
}

#[cfg(test)]
mod tests;
