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
    /// It is tried again at this time.
    Again(Instant),
    /// It was tried at this time, and something holds its images, until perhaps its deadline comes.
    Held(Instant, Option<Instant>),
    /// Nothing is left to do here.
    Done,
}

#[derive(Debug)]
struct Entry {
    state: State,
    /// Which of its versions has been seen: its deadline may change.
    generation: i64,
    /// When to try again because of what happened while it was being tried, should something hold its images.
    meanwhile: Option<Instant>,
}

/// What is known of a deletion that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sighting {
    /// It was never seen before.
    New,
    /// What may change of it has changed.
    Changed,
    /// It is as it was.
    Known,
}

impl Entry {
    /// What held its images may have let go of them, or what it says has changed.
    fn release(&mut self, now: Instant) {
        match self.state {
            State::Held(tried, _) => self.state = State::Again(now.max(tried + SPACING)),
            State::Trying => self.meanwhile = self.meanwhile.or(Some(now + SPACING)),
            State::New | State::Again(_) | State::Done => {}
        }
    }

    /// Since when it is due to be tried again.
    fn due(&self, now: Instant) -> Option<Instant> {
        match self.state {
            State::Again(at) | State::Held(_, Some(at)) if at <= now => Some(at),
            _ => None,
        }
    }
}

/// The deletions that have not come to their end in the cluster.
#[derive(Debug, Default)]
pub struct Queue(BTreeMap<Key, Entry>);

impl Queue {
    /// The deletion exists in this version. Says whether that is news; one that waits is tried again then.
    pub fn see(&mut self, key: Key, generation: i64, now: Instant) -> Sighting {
        let Some(entry) = self.0.get_mut(&key) else {
            self.0.insert(key, Entry { state: State::New, generation, meanwhile: None });
            return Sighting::New;
        };
        if entry.generation == generation {
            return Sighting::Known;
        }
        entry.generation = generation;
        entry.release(now);
        Sighting::Changed
    }

    /// The deletion was removed, or has come to its end.
    pub fn forget(&mut self, key: &Key) {
        self.0.remove(key);
    }

    /// Only these exist.
    pub fn keep(&mut self, existing: &HashSet<Key>) {
        self.0.retain(|key, _| existing.contains(key));
    }

    /// Whether the deletion is there.
    pub fn contains(&self, key: &Key) -> bool {
        self.0.contains_key(key)
    }

    /// The deletion to try now: the oldest new one, else the one that has waited longest for its next try.
    pub fn next(&mut self, now: Instant) -> Option<Key> {
        let new = self.0.iter().find(|(_, entry)| entry.state == State::New).map(|(key, _)| key);
        let due = || self.0.iter().filter_map(|(key, entry)| entry.due(now).map(|at| (at, key))).min();
        let key = new.or_else(|| due().map(|(_, key)| key))?.clone();
        self.set(&key, State::Trying);
        Some(key)
    }

    /// When there is something to try again.
    pub fn wakes(&self) -> Option<Instant> {
        self.0
            .values()
            .filter_map(|entry| match entry.state {
                State::Again(at) | State::Held(_, Some(at)) => Some(at),
                _ => None,
            })
            .min()
    }

    /// The deletion that was tried is done here.
    pub fn done(&mut self, key: &Key) {
        self.set(key, State::Done);
    }

    /// The deletion that was tried is to be tried again.
    pub fn again(&mut self, key: &Key, at: Instant) {
        self.set(key, State::Again(at));
    }

    /// Something holds images of the deletion that was tried from `tried` on. It is not waited for longer than to its deadline.
    pub fn held(&mut self, key: &Key, tried: Instant, deadline: Option<Instant>) {
        let meanwhile = self.0.get(key).and_then(|entry| entry.meanwhile);
        self.set(key, meanwhile.map_or(State::Held(tried, deadline), State::Again));
    }

    /// What held images may have let go of them.
    pub fn released(&mut self, now: Instant) {
        self.0.values_mut().for_each(|entry| entry.release(now));
    }

    fn set(&mut self, key: &Key, state: State) {
        if let Some(entry) = self.0.get_mut(key) {
            *entry = Entry { state, meanwhile: None, ..*entry };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(age: &str) -> Key {
        let created = Timestamp::from_second(age.bytes().map(i64::from).sum()).unwrap();
        Key { created, name: age.into(), uid: format!("uid-{age}") }
    }

    fn queue(names: &[&str]) -> (Queue, Instant) {
        let mut queue = Queue::default();
        let now = Instant::now();
        names.iter().for_each(|name| assert_eq!(queue.see(key(name), 1, now), Sighting::New));
        (queue, now)
    }

    #[test]
    fn the_oldest_comes_first_and_each_comes_once() {
        let (mut queue, now) = queue(&["c", "a", "b"]);
        let order: Vec<_> = std::iter::from_fn(|| queue.next(now)).collect();
        assert_eq!(order, [key("a"), key("b"), key("c")]);
    }

    #[test]
    fn what_fails_waits_and_keeps_nobody_waiting() {
        let (mut queue, now) = queue(&["a", "b"]);
        let later = now + Duration::from_secs(5);
        let tried = queue.next(now).unwrap();
        queue.again(&tried, later);
        assert_eq!(queue.next(now), Some(key("b")));
        assert_eq!(queue.next(now), None);
        assert_eq!(queue.wakes(), Some(later));
        queue.see(key("c"), 1, later);
        assert_eq!(queue.next(later), Some(key("c")), "a new one goes before one that is tried again");
        assert_eq!(queue.next(later), Some(key("a")));
    }

    #[test]
    fn what_is_held_is_tried_when_something_is_released_but_not_too_often() {
        let (mut queue, now) = queue(&["a"]);
        let tried = queue.next(now).unwrap();
        queue.held(&tried, now, None);
        assert_eq!((queue.next(now + SPACING * 9), queue.wakes()), (None, None));
        queue.released(now);
        assert_eq!(queue.next(now), None);
        assert_eq!(queue.wakes(), Some(now + SPACING));
        assert_eq!(queue.next(now + SPACING), Some(key("a")));
    }

    #[test]
    fn what_is_always_due_again_keeps_nobody_from_its_turn() {
        let (mut queue, now) = queue(&["a", "b", "c"]);
        let tries = (0..9).map(|turn| {
            // Each try takes longer than the spacing, and something is released meanwhile.
            let begin = now + SPACING * 3 * turn;
            let tried = queue.next(begin).unwrap();
            queue.released(begin + SPACING);
            queue.held(&tried, begin, None);
            tried.name
        });
        assert_eq!(tries.collect::<String>(), "abcabcabc");
    }

    #[test]
    fn what_is_released_while_it_is_tried_is_no_more_missed() {
        let (mut queue, now) = queue(&["a"]);
        let tried = queue.next(now).unwrap();
        queue.released(now);
        queue.held(&tried, now, None);
        assert_eq!((queue.next(now), queue.wakes()), (None, Some(now + SPACING)));
        assert_eq!(queue.next(now + SPACING), Some(key("a")));
        queue.held(&tried, now + SPACING, None);
        assert_eq!(queue.wakes(), None);
    }

    #[test]
    fn what_is_held_is_tried_at_its_deadline_and_when_that_changes() {
        let (mut queue, now) = queue(&["a"]);
        let (tried, deadline) = (queue.next(now).unwrap(), now + SPACING * 60);
        queue.held(&tried, now, Some(deadline));
        assert_eq!((queue.next(now + SPACING * 59), queue.wakes()), (None, Some(deadline)));
        assert_eq!(queue.next(deadline), Some(key("a")));
        queue.held(&tried, now, Some(deadline));
        assert_eq!(queue.see(key("a"), 1, now), Sighting::Known);
        assert_eq!(queue.next(now + SPACING), None);
        assert_eq!(queue.see(key("a"), 2, now), Sighting::Changed);
        assert_eq!(queue.next(now + SPACING), Some(key("a")));
    }

    #[test]
    fn what_was_removed_is_forgotten() {
        let (mut queue, now) = queue(&["a", "b", "c"]);
        queue.forget(&key("a"));
        queue.keep(&HashSet::from([key("c")]));
        assert!(!queue.contains(&key("b")));
        assert_eq!((queue.next(now), queue.next(now)), (Some(key("c")), None));
        queue.forget(&key("c"));
        queue.done(&key("c"));
        assert!(
            !queue.contains(&key("c")),
            "a deletion that was removed while it was tried does not come back"
        );
    }
}
