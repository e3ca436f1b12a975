//! Who may hold the Lease, and what it says when one does. No I/O and no clock.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::ResourceExt;
use tokio::time::Instant;

use crate::lenient::Lenient;

/// How long a Lease is valid that was not renewed, in seconds.
pub(super) const LEASE_SECONDS: i32 = 10;

/// When a Lease was last seen to change. Its own times are of another clock, which may be wrong.
#[derive(Debug, Default)]
pub(super) struct Sighting {
    last: Option<(Option<String>, Instant)>,
    /// Who held it when it was last there.
    holder: Holder,
}

#[derive(Debug, Default)]
enum Holder {
    #[default]
    Nobody,
    Known(String),
    /// What the Lease says can't be understood.
    Unknown,
}

impl Holder {
    fn of(lease: &Lenient<Lease>) -> Self {
        match lease {
            Lenient::Understood(lease) => {
                holder(lease).map_or(Self::Nobody, |holder| Self::Known(holder.to_owned()))
            }
            Lenient::Strange { .. } => Self::Unknown,
        }
    }
}

impl Sighting {
    /// Whether `identity` may claim this Lease `now`: it is its own or nobody's, or its holder has not renewed it in time.
    /// One that was removed is its last holder's for as long as if it had not been renewed: that one may lead on for a while.
    pub(super) fn may_claim(&mut self, lease: &Lenient<Lease>, identity: &str, now: Instant) -> bool {
        let version = lease.resource_version();
        let since = match &self.last {
            Some((seen, since)) if *seen == version => *since,
            _ => now,
        };
        if version.is_some() {
            self.holder = Holder::of(lease);
        }
        self.last = Some((version, since));
        match &self.holder {
            Holder::Nobody => true,
            Holder::Known(holder) if holder == identity => true,
            Holder::Known(_) | Holder::Unknown => now.duration_since(since) >= validity(lease),
        }
    }
}

/// For how long a Lease is its holder's that is not renewed.
fn validity(lease: &Lenient<Lease>) -> Duration {
    let spec = match lease {
        Lenient::Understood(lease) => lease.spec.as_ref(),
        Lenient::Strange { .. } => None,
    };
    let seconds = spec.and_then(|spec| spec.lease_duration_seconds).unwrap_or(LEASE_SECONDS);
    Duration::from_secs(u64::try_from(seconds).unwrap_or_default())
}

/// The Lease, held by `identity` as of `now`.
pub(super) fn claimed(mut lease: Lease, identity: &str, now: Timestamp) -> Lease {
    let is_renewal = holder(&lease) == Some(identity);
    let before = lease.spec.take().unwrap_or_default();
    let now = Some(MicroTime(now));
    lease.spec = Some(LeaseSpec {
        holder_identity: Some(identity.to_owned()),
        lease_duration_seconds: Some(LEASE_SECONDS),
        acquire_time: before.acquire_time.clone().filter(|_| is_renewal).or_else(|| now.clone()),
        renew_time: now,
        lease_transitions: match is_renewal {
            true => before.lease_transitions,
            false => Some(before.lease_transitions.map_or(0, |changes| changes.saturating_add(1))),
        },
        ..before
    });
    lease
}

/// The Lease, held by nobody.
pub(super) fn released(mut lease: Lease) -> Lease {
    if let Some(spec) = &mut lease.spec {
        spec.holder_identity = None;
    }
    lease
}

/// Who holds it, or did before it expired.
pub(super) fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn held_by(identity: &str, version: &str) -> Lease {
        let mut lease = claimed(Lease::default(), identity, at(0));
        lease.metadata.resource_version = Some(version.into());
        lease
    }

    fn found(lease: Lease) -> Lenient<Lease> {
        Lenient::Understood(lease)
    }

    fn none() -> Lenient<Lease> {
        found(Lease::default())
    }

    #[test]
    fn a_lease_is_ones_own_or_nobodys_or_expired() {
        let mut empty = held_by("", "1");
        empty.spec.as_mut().unwrap().holder_identity = Some(String::new());
        let free = [Lease::default(), released(held_by("other", "1")), empty, held_by("me", "1")];
        for lease in free.map(Lenient::Understood) {
            assert!(Sighting::default().may_claim(&lease, "me", Instant::now()), "{lease:?}");
        }
    }

    #[test]
    fn it_expires_when_it_was_not_seen_to_change_for_its_duration() {
        let start = Instant::now();
        let after = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut sighting = Sighting::default();
        let rows = [
            (0, "1", false),
            (9_000, "1", false),
            (9_500, "2", false),
            (10_001, "2", false),
            (19_499, "2", false),
            (19_500, "2", true),
        ];
        for (milliseconds, version, expected) in rows {
            let may = sighting.may_claim(&found(held_by("other", version)), "me", after(milliseconds));
            assert_eq!(may, expected, "{version} at {milliseconds} ms");
        }
        let mut short = held_by("other", "3");
        short.spec.as_mut().unwrap().lease_duration_seconds = Some(1);
        let short = found(short);
        assert!(!sighting.may_claim(&short, "me", after(30_000)));
        assert!(sighting.may_claim(&short, "me", after(31_000)));
    }

    #[test]
    fn one_that_was_removed_is_its_holders_until_it_would_have_expired() {
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        let mut sighting = Sighting::default();
        assert!(!sighting.may_claim(&found(held_by("other", "1")), "me", start));
        for (seconds, expected) in [(9, false), (18, false), (19, true)] {
            assert_eq!(sighting.may_claim(&none(), "me", after(seconds)), expected, "{seconds} s");
        }
        for lease in [held_by("me", "2"), released(held_by("other", "2"))] {
            let lease = found(lease);
            assert!(sighting.may_claim(&lease, "me", start));
            assert!(sighting.may_claim(&none(), "me", start), "{lease:?}");
        }
    }

    #[test]
    fn one_that_is_not_understood_may_be_anybodys() {
        let start = Instant::now();
        let strange = |version: &str| Lenient::Strange {
            metadata: Box::new(held_by("me", version).metadata),
            reason: "a time that is none".into(),
        };
        for mine_before in [true, false] {
            let mut sighting = Sighting::default();
            if mine_before {
                assert!(sighting.may_claim(&found(held_by("me", "1")), "me", start));
            }
            let rows = [(0, "2", false), (9, "2", false), (9, "3", false), (18, "3", false), (19, "3", true)];
            for (seconds, version, expected) in rows {
                let may = sighting.may_claim(&strange(version), "me", start + Duration::from_secs(seconds));
                assert_eq!(may, expected, "{version} at {seconds} s");
            }
        }
    }

    #[test]
    fn a_claim_says_who_since_when_and_how_often_it_changed_hands() {
        let said = |lease: &Lease| {
            let spec = lease.spec.clone().unwrap();
            let [acquired, renewed] =
                [spec.acquire_time, spec.renew_time].map(|time| time.unwrap().0.as_second());
            (spec.holder_identity.unwrap(), acquired, renewed, spec.lease_transitions.unwrap())
        };
        let first = claimed(Lease::default(), "a", at(1));
        assert_eq!(said(&first), ("a".into(), 1, 1, 0));
        let renewed = claimed(first, "a", at(4));
        assert_eq!(said(&renewed), ("a".into(), 1, 4, 0));
        let taken = claimed(renewed.clone(), "b", at(9));
        assert_eq!(said(&taken), ("b".into(), 9, 9, 1));
        let again = claimed(released(renewed), "a", at(9));
        assert_eq!(said(&again), ("a".into(), 9, 9, 1));
    }
}
