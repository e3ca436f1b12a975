//! Which deletion comes next on this node: a pure state machine, without a clock.
//!
//! New ones go before those that are tried again, and of each the oldest goes first, so neither a deletion that waits for
//! its image nor one that fails can keep another from its turn.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::owner::Owner;

/// What something holds is tried again at most this often, however many containers end.
pub const SPACING: Duration = Duration::from_secs(1);

/// After a look at what is held nobody looks for as long as that took, so however many deletions wait, that is half of the time; and
/// for this long at most. What was removed at once may have taken longer than any look.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// How many deletions are remembered that are done here and of which the watch tells no more.
const REMEMBERED: usize = 1_000;

/// One deletion; the order is by age.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    /// When it was created.
    pub created: Timestamp,
    /// Its name.
    pub name: String,
    /// Its UID: a later deletion of the same name is another.
    pub uid: String,
}

impl Key {
    /// What its operations on the node are known by.
    pub fn owner(&self) -> Owner {
        Owner { name: self.name.clone(), uid: self.uid.clone() }
    }
}

/// What is to be done about a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It was never tried.
    New,
    /// It is being tried.
    Trying,
    /// It is being tried because something may have let go of its images.
    Looking,
    /// It is tried again at this time.
    Again(Instant),
    /// It was tried, and something holds its images.
    Held(Hold),
    /// Something may have let go of them, so it is tried again from this time on, and when the wait is over.
    Released(Instant, Option<Instant>),
    /// Nothing is left to do here.
    Done,
}

/// A wait for whatever holds images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hold {
    /// When the deletion was tried.
    tried: Instant,
    /// When the wait is over.
    until: Option<Instant>,
}

#[derive(Debug)]
struct Entry {
    state: State,
    /// Whether the watch tells no more of it.
    has_left: bool,
    /// When to try again because of what happened while it was being tried, should something hold its images.
    meanwhile: Option<Instant>,
}

impl Entry {
    /// A deletion that is not known yet.
    const NEW: Self = Self { state: State::New, has_left: false, meanwhile: None };

    /// When it is to be tried again whatever happens, where nobody looks for what is held before `pause` is over.
    fn again(&self, pause: Option<Instant>) -> Option<Instant> {
        match self.state {
            State::Again(at) => Some(at),
            State::Held(hold) => hold.until,
            State::Released(from, until) => {
                let look = from.max(pause.unwrap_or(from));
                Some(until.map_or(look, |until| until.min(look)))
            }
            State::New | State::Trying | State::Looking | State::Done => None,
        }
    }

    /// Since when it waits for its turn, if that has come.
    fn due(&self, now: Instant, pause: Option<Instant>) -> Option<Instant> {
        let at = self.again(pause).filter(|at| *at <= now)?;
        match self.state {
            State::Released(from, _) => Some(from.min(at)),
            _ => Some(at),
        }
    }

    /// What it is while it is tried.
    const fn tried(&self) -> State {
        match self.state {
            State::Released(..) => State::Looking,
            _ => State::Trying,
        }
    }
}

/// The deletions that have not come to their end in the cluster.
#[derive(Debug, Default)]
pub struct Queue {
    entries: BTreeMap<Key, Entry>,
    /// Until when nobody looks for what is held.
    pause: Option<Instant>,
}

impl Queue {
    /// The deletion exists. Says whether that is news.
    pub fn see(&mut self, key: Key) -> bool {
        let is_new = !self.entries.contains_key(&key);
        self.entries.entry(key).or_insert(Entry::NEW);
        is_new
    }

    /// The watch tells no more of the deletion, not even that it is gone. Once it is done here it is remembered for as long as the
    /// next list may have it, so that it is no news then.
    pub fn leave(&mut self, key: &Key) {
        if let Some(entry) = self.entries.get_mut(key) {
            entry.has_left = true;
        }
        self.forget_oldest();
    }

    fn forget_oldest(&mut self) {
        let done = || self.entries.iter().filter(|(_, entry)| entry.has_left && entry.state == State::Done);
        if let Some(excess) = done().count().checked_sub(REMEMBERED).filter(|excess| *excess > 0) {
            let oldest: Vec<Key> = done().take(excess).map(|(key, _)| key.clone()).collect();
            for key in oldest {
                self.entries.remove(&key);
            }
        }
    }

    /// Only these exist.
    pub fn keep(&mut self, existing: &HashSet<Key>) {
        self.entries.retain(|key, _| existing.contains(key));
    }

    /// Whether something is left to do for the deletion.
    pub fn is_open(&self, key: &Key) -> bool {
        self.entries.get(key).is_some_and(|entry| entry.state != State::Done)
    }

    /// The deletion to try now: the oldest new one, else the one that has waited longest for its next try.
    pub fn next(&mut self, now: Instant) -> Option<Key> {
        let new = self.entries.iter().find(|(_, entry)| entry.state == State::New).map(|(key, _)| key);
        let due = |entry: &Entry| entry.due(now, self.pause);
        let due =
            || self.entries.iter().filter_map(|(key, entry)| due(entry).map(|since| (since, key))).min();
        let key = new.or_else(|| due().map(|(_, key)| key))?.clone();
        let state = self.entries.get(&key)?.tried();
        self.set(&key, state);
        Some(key)
    }

    /// When there is something to try again.
    pub fn wakes(&self) -> Option<Instant> {
        self.entries.values().filter_map(|entry| entry.again(self.pause)).min()
    }

    /// The deletion that was tried is done here.
    pub fn done(&mut self, key: &Key) {
        self.set(key, State::Done);
        self.forget_oldest();
    }

    /// The deletion that was tried is to be tried again.
    pub fn again(&mut self, key: &Key, at: Instant) {
        self.set(key, State::Again(at));
    }

    /// Something holds images of the deletion that was tried from `tried` on until `now`. It is waited for `until` then, if that is
    /// known.
    pub fn held(&mut self, key: &Key, tried: Instant, now: Instant, until: Option<Instant>) {
        let Some(entry) = self.entries.get(key) else { return };
        if entry.state == State::Looking {
            self.pause = Some(now + now.duration_since(tried).min(LONGEST_PAUSE));
        }
        let held = State::Held(Hold { tried, until });
        let state = entry.meanwhile.map_or(held, |meanwhile| State::Released(meanwhile, until));
        self.set(key, state);
    }

    /// What held images may have let go of them.
    pub fn released(&mut self, now: Instant) {
        for entry in self.entries.values_mut() {
            match entry.state {
                State::Held(hold) => {
                    entry.state = State::Released(now.max(hold.tried + SPACING), hold.until);
                }
                State::Trying | State::Looking => entry.meanwhile = entry.meanwhile.or(Some(now + SPACING)),
                State::New | State::Again(_) | State::Released(..) | State::Done => {}
            }
        }
    }

    fn set(&mut self, key: &Key, state: State) {
        if let Some(entry) = self.entries.get_mut(key) {
            *entry = Entry { state, meanwhile: None, has_left: entry.has_left };
        }
    }
}

#[cfg(test)]
mod tests;
