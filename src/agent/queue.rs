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

/// However many deletions wait, the node is looked at for them for a tenth of the time.
const IDLE_SHARE: u32 = 9;
/// That long at most nobody looks. What was removed at once may have taken longer than any look.
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
            self.pause = Some(now + (now.duration_since(tried) * IDLE_SHARE).min(LONGEST_PAUSE));
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
mod tests {
    use super::*;

    fn key(age: &str) -> Key {
        let created = Timestamp::from_second(age.bytes().map(i64::from).sum()).unwrap();
        Key { created, name: age.into(), uid: format!("uid-{age}") }
    }

    fn queue(names: &[&str]) -> (Queue, Instant) {
        let mut queue = Queue::default();
        names.iter().for_each(|name| assert!(queue.see(key(name))));
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
        queue.see(key("c"));
        assert_eq!(queue.next(later), Some(key("c")), "a new one goes before one that is tried again");
        assert_eq!(queue.next(later), Some(key("a")));
    }

    #[test]
    fn what_is_held_is_tried_when_something_is_released_but_not_too_often() {
        let (mut queue, now) = queue(&["a"]);
        let tried = queue.next(now).unwrap();
        queue.held(&tried, now, now, None);
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
            let begin = now + (SPACING * 3 + LONGEST_PAUSE) * turn;
            let tried = queue.next(begin).unwrap();
            queue.released(begin + SPACING);
            queue.held(&tried, begin, begin + SPACING * 2, None);
            tried.name
        });
        assert_eq!(tries.collect::<String>(), "abcabcabc");
    }

    /// Looks at what is held as often as it is due, each look taking `look`, while something is released all the time.
    fn looks(queue: &mut Queue, now: Instant, look: Duration, during: Duration) -> u32 {
        let (mut time, mut looks) = (now, 0);
        while time < now + during {
            queue.released(time);
            match queue.next(time) {
                Some(tried) => {
                    looks += 1;
                    queue.held(&tried, time, time + look, None);
                    time += look;
                }
                None => time += Duration::from_millis(1),
            }
        }
        looks
    }

    #[test]
    fn however_many_wait_the_node_is_looked_at_for_a_tenth_of_the_time() {
        for (waiting, look, fewest, most) in [(1, 10, 95, 100), (9, 10, 800, 910), (200, 50, 180, 201)] {
            let names: Vec<_> = (0..waiting).map(|name| format!("{name:04}")).collect();
            let (mut queue, now) = queue(&names.iter().map(String::as_str).collect::<Vec<_>>());
            while let Some(tried) = queue.next(now) {
                queue.held(&tried, now, now, None);
            }
            let (look, during) = (Duration::from_millis(look), Duration::from_secs(100));
            let looks = looks(&mut queue, now, look, during);
            assert!((fewest..=most).contains(&looks), "{looks} looks of {look:?} for {waiting}");
        }
    }

    #[test]
    fn the_end_of_a_wait_is_waited_for_behind_no_look() {
        let (mut queue, now) = queue(&["a", "b"]);
        let until = now + SPACING * 3;
        while let Some(tried) = queue.next(now) {
            queue.held(&tried, now, now, Some(until));
        }
        queue.released(now);
        let tried = queue.next(now + SPACING).unwrap();
        queue.held(&tried, now + SPACING, now + SPACING * 2, Some(until));
        assert_eq!((queue.next(now + SPACING * 2), queue.wakes()), (None, Some(until)));
        assert_eq!(queue.next(until), Some(key("b")), "it has waited longer");
    }

    #[test]
    fn what_is_released_while_it_is_tried_is_no_more_missed() {
        let (mut queue, now) = queue(&["a"]);
        let tried = queue.next(now).unwrap();
        queue.released(now);
        queue.held(&tried, now, now, None);
        assert_eq!((queue.next(now), queue.wakes()), (None, Some(now + SPACING)));
        assert_eq!(queue.next(now + SPACING), Some(key("a")));
        queue.held(&tried, now + SPACING, now + SPACING, None);
        assert_eq!(queue.wakes(), None);
    }

    #[test]
    fn what_was_removed_is_forgotten() {
        let (mut queue, now) = queue(&["a", "b", "c"]);
        queue.keep(&HashSet::from([key("c")]));
        assert!(!queue.is_open(&key("a")) && !queue.is_open(&key("b")));
        assert_eq!((queue.next(now), queue.next(now)), (Some(key("c")), None));
        queue.keep(&HashSet::new());
        queue.again(&key("c"), now);
        assert!(
            !queue.is_open(&key("c")),
            "a deletion that was removed while it was tried does not come back"
        );
        assert!(queue.see(key("c")));
    }

    #[test]
    fn what_is_done_is_no_news_when_it_is_listed_again() {
        let (mut queue, now) = queue(&["a", "b"]);
        queue.leave(&key("a"));
        assert_eq!(queue.next(now), Some(key("a")), "it is not done yet");
        queue.held(&key("a"), now, now, None);
        assert!(queue.is_open(&key("a")));
        for name in ["a", "b"] {
            queue.done(&key(name));
            assert!(!queue.is_open(&key(name)));
        }
        queue.leave(&key("b"));
        queue.keep(&HashSet::from([key("a")]));
        assert!(!queue.see(key("a")), "no agent does it twice because the API server was away");
        assert!(queue.see(key("b")), "the list had it not, so it is another");
    }

    #[test]
    fn what_is_done_is_not_remembered_for_ever() {
        let mut queue = Queue::default();
        let key = |number: usize| Key {
            created: Timestamp::from_second(i64::try_from(number).unwrap()).unwrap(),
            name: format!("drop-{number}"),
            uid: format!("uid-{number}"),
        };
        for number in 0..REMEMBERED + 9 {
            queue.see(key(number));
            queue.done(&key(number));
            queue.leave(&key(number));
        }
        assert_eq!(queue.entries.len(), REMEMBERED);
        assert!(queue.see(key(8)) && !queue.see(key(9)));
    }

    #[test]
    fn what_is_held_is_looked_at_when_the_wait_is_over() {
        let (mut queue, now) = queue(&["a"]);
        let (tried, until) = (queue.next(now).unwrap(), now + SPACING * 9);
        queue.held(&tried, now, now, Some(until));
        assert_eq!((queue.next(now + SPACING), queue.wakes()), (None, Some(until)));
        assert_eq!(queue.next(until), Some(key("a")));
    }
}
