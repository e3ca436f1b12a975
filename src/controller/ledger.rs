//! Every deletion that there is, what is known of each, and what is due when. No I/O and no clock: whoever calls brings
//! the time, and carries out what comes back.

use std::collections::{BTreeMap, HashMap, HashSet};

use jiff::Timestamp;

use super::agenda::Agenda;
use super::agents::AgentPod;
use super::change::{Change, ReportChange};
use super::cluster::{Cluster, Node};
use super::order::{Order, StatusWrite, Target};
use super::settled::Settled;
use super::tracked::Tracked;
use super::uid::Uid;
use crate::api::aggregate::Reports;
use crate::api::deletion::ImageDeletion;
use crate::api::status::Phase;

/// A deletion, as a watch shows it.
#[derive(Debug)]
pub(super) enum Seen {
    /// There is still something to say about it.
    Open(Box<ImageDeletion>),
    /// There is not.
    Settled(Settled),
}

impl Seen {
    fn uid(&self) -> Uid {
        match self {
            Self::Open(deletion) => Uid::of(deletion),
            Self::Settled(settled) => settled.target().uid.clone(),
        }
    }
}

/// Whether a deletion's reports are to be watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Interest {
    /// From now on.
    Begins(Target),
    /// No longer.
    Ends(Uid),
}

#[derive(Debug)]
enum Entry {
    Open(Box<Tracked>),
    Settled(Settled),
}

/// Every deletion, and the cluster that they are about.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    cluster: Cluster,
    entries: HashMap<Uid, Entry>,
    agenda: Agenda,
    deletions_are_known: bool,
}

impl Ledger {
    /// Whether everything has been listed.
    pub(super) fn is_known(&self) -> bool {
        self.deletions_are_known && self.cluster.is_known()
    }

    /// Takes a change of the deletions in.
    pub(super) fn deletions(&mut self, change: Change<Seen>, now: Timestamp) -> Vec<Interest> {
        match change {
            Change::Listed(all) => {
                self.deletions_are_known = true;
                let listed: HashSet<_> = all.iter().map(Seen::uid).collect();
                let gone: Vec<_> = self.entries.keys().filter(|uid| !listed.contains(uid)).cloned().collect();
                let ended = gone.into_iter().map(|uid| self.remove(&uid)).collect::<Vec<_>>();
                let seen = all.into_iter().filter_map(|seen| self.see(seen, now));
                ended.into_iter().chain(seen.collect::<Vec<_>>()).collect()
            }
            Change::Applied(seen) => self.see(seen, now).into_iter().collect(),
            Change::Gone(uid) => vec![self.remove(&uid.as_str().into())],
        }
    }

    /// Takes a change of the nodes in.
    pub(super) fn nodes(&mut self, change: Change<Node>) {
        let was_known = self.cluster.is_known();
        let changed = self.cluster.nodes(change);
        self.nodes_changed(&changed);
        self.start_all(was_known);
    }

    /// Takes a change of the agents' pods in.
    pub(super) fn agents(&mut self, change: Change<AgentPod>, now: Timestamp) {
        let was_known = self.cluster.is_known();
        let changed = self.cluster.agents(change, now);
        self.nodes_changed(&changed);
        self.start_all(was_known);
    }

    fn nodes_changed(&mut self, changed: &[String]) {
        if !changed.is_empty() {
            self.each_open(|tracked, cluster| {
                changed.iter().for_each(|node| tracked.node_changed(node, cluster));
            });
        }
    }

    /// Takes a change of a deletion's reports in.
    pub(super) fn reports(&mut self, uid: &Uid, change: ReportChange) {
        if let Some(Entry::Open(tracked)) = self.entries.get_mut(uid) {
            tracked.report(change, &self.cluster);
            self.agenda.set(uid, tracked.next());
        }
    }

    /// When something is due; `None`: not before something happens.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.agenda.first().into_iter().chain(self.cluster.next()).min()
    }

    /// It is so late now: what is not due but happens by itself does. Also where nobody is to carry out what is due.
    pub(super) fn pass(&mut self, now: Timestamp) {
        let changed = self.cluster.pass(now);
        self.nodes_changed(&changed);
    }

    /// Everything that is due.
    pub(super) fn due(&mut self, now: Timestamp) -> Vec<Order> {
        self.pass(now);
        if self.next().is_none_or(|next| next > now) {
            return Vec::new();
        }
        let (mut orders, under_way) = (Vec::new(), self.under_way());
        while let Some(uid) = self.agenda.take_due(now) {
            let order = match self.entries.get_mut(&uid) {
                Some(Entry::Open(tracked)) => tracked.step(now, under_way),
                Some(Entry::Settled(settled)) => settled.step(now),
                None => None,
            };
            self.schedule(&uid);
            orders.extend(order);
        }
        orders
    }

    /// A status was written, and the deletion has this version by that.
    pub(super) fn written(&mut self, write: &StatusWrite, version: Option<String>) -> Option<Interest> {
        let uid = &write.target.uid;
        let Some(Entry::Open(tracked)) = self.entries.get_mut(uid) else { return None };
        tracked.written(write, version);
        let is_over = !tracked.wants_reports();
        if let Some(settled) = Settled::of(tracked.deletion()) {
            self.entries.insert(uid.clone(), Entry::Settled(settled));
        }
        self.schedule(uid);
        is_over.then(|| Interest::Ends(uid.clone()))
    }

    /// A deletion's reports were counted again, and these are all.
    pub(super) fn recounted(&mut self, uid: &Uid, reports: Reports) {
        if let Some(Entry::Open(tracked)) = self.entries.get_mut(uid) {
            tracked.recounted(reports, &self.cluster);
            self.agenda.set(uid, tracked.next());
        }
    }

    /// A request about this deletion failed.
    pub(super) fn failed(&mut self, uid: &Uid, now: Timestamp) {
        match self.entries.get_mut(uid) {
            Some(Entry::Open(tracked)) => {
                tracked.attempts().failed(now);
                tracked.unsaid();
            }
            Some(Entry::Settled(settled)) => settled.attempts().failed(now),
            None => {}
        }
        self.schedule(uid);
    }

    /// Nobody waits for answers to requests any more.
    pub(super) fn abandon(&mut self) {
        for entry in self.entries.values_mut() {
            match entry {
                Entry::Open(tracked) => {
                    tracked.attempts().abandon();
                    tracked.unsaid();
                }
                Entry::Settled(settled) => settled.attempts().abandon(),
            }
        }
        for uid in self.entries.keys().cloned().collect::<Vec<_>>() {
            self.schedule(&uid);
        }
    }

    /// How many deletions there are in each phase. Every phase is there.
    pub(super) fn phases(&self) -> BTreeMap<Phase, usize> {
        let mut phases: BTreeMap<_, _> = Phase::ALL.map(|phase| (phase, 0)).into();
        for entry in self.entries.values() {
            let phase = match entry {
                Entry::Open(tracked) => tracked.phase(),
                Entry::Settled(settled) => settled.phase(),
            };
            *phases.entry(phase).or_default() += 1;
        }
        phases
    }

    fn under_way(&self) -> usize {
        let is_under_way = |entry: &&Entry| matches!(entry, Entry::Open(tracked) if tracked.wants_reports());
        self.entries.values().filter(is_under_way).count()
    }

    fn see(&mut self, seen: Seen, now: Timestamp) -> Option<Interest> {
        let uid = seen.uid();
        let interest = match (self.entries.get_mut(&uid), seen) {
            (_, Seen::Settled(settled)) => {
                self.entries.insert(uid.clone(), Entry::Settled(settled));
                Some(Interest::Ends(uid.clone()))
            }
            (Some(Entry::Open(tracked)), Seen::Open(deletion)) => {
                tracked.update(*deletion);
                (!tracked.wants_reports()).then(|| Interest::Ends(uid.clone()))
            }
            (Some(Entry::Settled(_)) | None, Seen::Open(deletion)) => {
                let tracked = Box::new(Tracked::new(*deletion, now));
                let begins =
                    tracked.wants_reports().then(|| Interest::Begins(Target::of(tracked.deletion())));
                self.entries.insert(uid.clone(), Entry::Open(tracked));
                begins
            }
        };
        self.schedule(&uid);
        interest
    }

    fn remove(&mut self, uid: &Uid) -> Interest {
        self.entries.remove(uid);
        self.agenda.set(uid, None);
        Interest::Ends(uid.clone())
    }

    fn start_all(&mut self, was_known: bool) {
        if !was_known && self.cluster.is_known() {
            self.each_open(Tracked::start);
        }
    }

    fn each_open(&mut self, mut act: impl FnMut(&mut Tracked, &Cluster)) {
        for (uid, entry) in &mut self.entries {
            if let Entry::Open(tracked) = entry {
                act(tracked, &self.cluster);
                self.agenda.set(uid, tracked.next());
            }
        }
    }

    fn schedule(&mut self, uid: &Uid) {
        let next = match self.entries.get(uid) {
            Some(Entry::Open(tracked)) => tracked.next(),
            Some(Entry::Settled(settled)) => settled.next(),
            None => None,
        };
        self.agenda.set(uid, next);
    }
}

#[cfg(test)]
mod tests;
