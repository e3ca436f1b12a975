//! When each deletion is to be looked at again. No clock.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;

use super::uid::Uid;

/// One time at most for each deletion.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    by_time: BTreeSet<(Timestamp, Uid)>,
    times: HashMap<Uid, Timestamp>,
}

impl Agenda {
    /// Looks at this deletion at `time` and at no other, or not at all.
    pub(super) fn set(&mut self, uid: &Uid, time: Option<Timestamp>) {
        if let Some(before) = self.times.remove(uid) {
            self.by_time.remove(&(before, uid.clone()));
        }
        if let Some(time) = time {
            self.times.insert(uid.clone(), time);
            self.by_time.insert((time, uid.clone()));
        }
    }

    /// The earliest time.
    pub(super) fn first(&self) -> Option<Timestamp> {
        self.by_time.first().map(|(time, _)| *time)
    }

    /// Takes one whose time has come.
    pub(super) fn take_due(&mut self, now: Timestamp) -> Option<Uid> {
        self.first().filter(|first| *first <= now)?;
        let (_, uid) = self.by_time.pop_first()?;
        self.times.remove(&uid);
        Some(uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_each_once() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let [a, b, c] = ["a", "b", "c"].map(Uid::from);
        let mut agenda = Agenda::default();
        agenda.set(&a, Some(at(3)));
        agenda.set(&b, Some(at(2)));
        agenda.set(&c, Some(at(1)));
        agenda.set(&a, Some(at(5)));
        agenda.set(&c, None);
        assert_eq!(agenda.first(), Some(at(2)));
        assert_eq!(agenda.take_due(at(1)), None);
        assert_eq!(agenda.take_due(at(9)), Some(b));
        assert_eq!(agenda.take_due(at(9)), Some(a));
        assert_eq!((agenda.take_due(at(9)), agenda.first()), (None, None));
    }
}
