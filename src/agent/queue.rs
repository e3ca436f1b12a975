//! Which deletion comes next on this node: a pure state machine, without a clock.
//!
//! New ones go before those that are tried again, and of each the oldest goes first, so neither a deletion that waits for
//! its image nor one that fails can keep another from its turn.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

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

/// What is to be done about a deletion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It was never tried, or its spec has changed since.
    New,
    /// It is being tried.
    Trying,
    /// It is tried again at this time.
    Again(Instant),
    /// It was tried at this time, and something holds its images.
    Held(Instant),
    /// Nothing is left to do here.
    Done,
}

#[derive(Debug)]
struct Entry {
    generation: i64,
    state: State,
    /// What happened while it was being tried and makes it worth another try, should something hold its images.
    meanwhile: Option<State>,
}

/// The deletions that have not come to their end in the cluster.
#[derive(Debug, Default)]
pub struct Queue(BTreeMap<Key, Entry>);

impl Queue {
    /// The deletion exists, with a spec of this generation. A spec that has changed is tried again, unless the deletion is
    /// done here.
    pub fn see(&mut self, key: Key, generation: i64) {
        let entry = self.0.entry(key).or_insert(Entry { generation, state: State::New, meanwhile: None });
        if entry.generation == generation {
            return;
        }
        entry.generation = generation;
        match entry.state {
            State::Again(_) | State::Held(_) => entry.state = State::New,
            State::Trying => entry.meanwhile = Some(State::New),
            State::New | State::Done => {}
        }
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

    /// The deletion to try now.
    pub fn next(&mut self, now: Instant) -> Option<Key> {
        let is_due = |state: State| matches!(state, State::Again(at) if at <= now);
        let new = self.0.iter_mut().find(|(_, entry)| entry.state == State::New).map(|(key, _)| key.clone());
        let key =
            new.or_else(|| self.0.iter().find(|(_, entry)| is_due(entry.state)).map(|(key, _)| key.clone()))?;
        self.set(&key, State::Trying);
        Some(key)
    }

    /// When there is something to try again.
    pub fn wakes(&self) -> Option<Instant> {
        self.0
            .values()
            .filter_map(|entry| match entry.state {
                State::Again(at) => Some(at),
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

    /// Something holds images of the deletion that was tried from `tried` on.
    pub fn held(&mut self, key: &Key, tried: Instant) {
        let meanwhile = self.0.get(key).and_then(|entry| entry.meanwhile);
        self.set(key, meanwhile.unwrap_or(State::Held(tried)));
    }

    /// What held images may have let go of them.
    pub fn released(&mut self, now: Instant) {
        for entry in self.0.values_mut() {
            match entry.state {
                State::Held(tried) => entry.state = State::Again(now.max(tried + SPACING)),
                State::Trying => entry.meanwhile = entry.meanwhile.or(Some(State::Again(now + SPACING))),
                State::New | State::Again(_) | State::Done => {}
            }
        }
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
        names.iter().for_each(|name| queue.see(key(name), 1));
        (queue, Instant::now())
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
        queue.see(key("c"), 1);
        assert_eq!(queue.next(later), Some(key("c")), "a new one goes before one that is tried again");
        assert_eq!(queue.next(later), Some(key("a")));
    }

    #[test]
    fn what_is_held_is_tried_when_something_is_released_but_not_too_often() {
        let (mut queue, now) = queue(&["a"]);
        let tried = queue.next(now).unwrap();
        queue.held(&tried, now);
        assert_eq!((queue.next(now + SPACING * 9), queue.wakes()), (None, None));
        queue.released(now);
        assert_eq!(queue.next(now), None);
        assert_eq!(queue.wakes(), Some(now + SPACING));
        assert_eq!(queue.next(now + SPACING), Some(key("a")));
    }

    #[test]
    fn a_changed_spec_is_looked_at_again_unless_all_is_done() {
        let (mut queue, now) = queue(&["a", "b"]);
        for held in [true, false] {
            let tried = queue.next(now).unwrap();
            if held { queue.held(&tried, now) } else { queue.done(&tried) }
        }
        for (name, expected) in [("a", Some(key("a"))), ("b", None)] {
            queue.see(key(name), 1);
            assert_eq!(queue.next(now), None, "{name}: the same spec again is no news");
            queue.see(key(name), 2);
            assert_eq!(queue.next(now), expected);
        }
    }

    #[test]
    fn what_is_released_while_it_is_tried_is_no_more_missed() {
        let (mut queue, now) = queue(&["a"]);
        let tried = queue.next(now).unwrap();
        queue.released(now);
        queue.held(&tried, now);
        assert_eq!((queue.next(now), queue.wakes()), (None, Some(now + SPACING)));
        assert_eq!(queue.next(now + SPACING), Some(key("a")));
        queue.held(&tried, now + SPACING);
        assert_eq!(queue.wakes(), None);
    }

    #[test]
    fn a_spec_that_changes_while_it_is_tried_is_no_more_missed() {
        let (mut queue, now) = queue(&["a"]);
        let tried = queue.next(now).unwrap();
        queue.see(key("a"), 2);
        assert_eq!(queue.next(now), None);
        queue.held(&tried, now);
        assert_eq!(queue.next(now), Some(key("a")));
        queue.held(&tried, now);
        assert_eq!(queue.next(now), None);
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
