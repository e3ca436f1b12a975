//! A deletion that has come to its end: nothing is left to do but to remove it when it has expired. No I/O.

use jiff::Timestamp;

use super::attempts::Attempts;
use super::order::{Order, Target};
use crate::api::deletion::ImageDeletion;
use crate::api::status::Phase;

/// What is kept of a deletion that is over. Its status is not: there may be thousands.
#[derive(Debug)]
pub(super) struct Settled {
    target: Target,
    phase: Phase,
    /// When it goes; `None` if it is already going.
    expires: Option<Timestamp>,
    attempts: Attempts,
}

impl Settled {
    /// What is kept of this deletion, if its last status has been written.
    pub(super) fn of(deletion: &ImageDeletion) -> Option<Self> {
        let status = deletion.status.as_ref()?;
        let is_written = deletion.is_finished() && status.observed_generation == deletion.metadata.generation;
        let is_going = deletion.metadata.deletion_timestamp.is_some();
        is_written.then(|| Self {
            target: Target::of(deletion),
            phase: status.phase,
            expires: deletion.expires().filter(|_| !is_going),
            attempts: Attempts::default(),
        })
    }

    /// Which deletion this is.
    pub(super) fn target(&self) -> &Target {
        &self.target
    }

    /// How it ended.
    pub(super) fn phase(&self) -> Phase {
        self.phase
    }

    /// When there is something to do next.
    pub(super) fn next(&self) -> Option<Timestamp> {
        self.attempts.earliest(self.expires?)
    }

    /// What is to be done now.
    pub(super) fn step(&mut self, now: Timestamp) -> Option<Order> {
        self.next().filter(|time| *time <= now)?;
        self.attempts.begin();
        Some(Order::Remove(self.target.clone()))
    }

    /// The requests about it.
    pub(super) fn attempts(&mut self) -> &mut Attempts {
        &mut self.attempts
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    use super::*;
    use crate::api::deletion::ImageDeletionSpec;
    use crate::api::status::ImageDeletionStatus;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    /// A deletion that completed at 100 and lives on for 10 seconds.
    fn finished() -> ImageDeletion {
        let mut deletion = ImageDeletion::new("drop", ImageDeletionSpec::of(["app:v1"]));
        deletion.spec.ttl_seconds_after_finished = 10;
        deletion.metadata.generation = Some(2);
        deletion.status = Some(ImageDeletionStatus {
            phase: Phase::Complete,
            observed_generation: Some(2),
            completion_time: Some(Time(at(100))),
            ..ImageDeletionStatus::default()
        });
        deletion
    }

    #[test]
    fn it_is_removed_once_when_it_has_expired_and_again_after_a_failure() {
        let mut settled = Settled::of(&finished()).unwrap();
        assert_eq!(settled.next(), Some(at(110)));
        assert_eq!(settled.step(at(109)), None);
        assert_eq!(settled.step(at(110)), Some(Order::Remove(Target::of(&finished()))));
        assert_eq!((settled.next(), settled.step(at(111))), (None, None));
        settled.attempts().failed(at(111));
        assert!(settled.step(at(112)).is_some());
    }

    #[test]
    fn one_that_is_already_going_is_left_to_it() {
        let mut deletion = finished();
        deletion.metadata.deletion_timestamp = Some(Time(at(105)));
        assert_eq!(Settled::of(&deletion).unwrap().next(), None);
    }

    #[test]
    fn one_with_a_status_to_write_is_not_settled() {
        let mut deletion = finished();
        deletion.metadata.generation = Some(3);
        assert!(Settled::of(&deletion).is_none());
        let mut deletion = finished();
        deletion.status.as_mut().unwrap().phase = Phase::Active;
        assert!(Settled::of(&deletion).is_none());
        deletion.status = None;
        assert!(Settled::of(&deletion).is_none());
    }
}
