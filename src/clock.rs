//! What time it is for the API server.
//!
//! A deadline is the `creationTimestamp` of a deletion and some seconds, so it is the API server's clock that it is to be held
//! against; a node's own may be an hour off. Every answer of an API server says its time in whole seconds (`Date`). The time
//! here is that of the last answer, and between two answers it goes on with a clock that nobody sets. Before the first
//! answer it is this machine's. Nothing here knows what the time is for.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::Request;
use axum::http::header::DATE;
use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use kube::client::Body;
use tower::service_fn;

/// How far this machine's clock may be off before that is logged.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(30);
/// A `Date` may be so much earlier than the time that it tells of.
const RESOLUTION: SignedDuration = SignedDuration::from_secs(1);

/// The API server's clock, as its answers tell it. Clones are the same clock.
#[derive(Debug, Clone, Default)]
pub struct Clock(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    /// What time it was when.
    set: Option<(Timestamp, Instant)>,
    /// Whether this machine's clock was found to be off.
    is_off: bool,
}

/// The same client, and the clock of the API server that answers it.
pub fn timed(client: Client) -> (Client, Clock) {
    let clock = Clock::default();
    (clock.timing(client), clock)
}

fn read(date: &str) -> Option<Timestamp> {
    rfc2822::parse(date).ok().map(|date| date.timestamp())
}

impl Clock {
    /// The same client, whose answers set this clock.
    pub fn timing(&self, client: Client) -> Client {
        let (namespace, valid_until) = (client.default_namespace().to_owned(), *client.valid_until());
        let listener = self.clone();
        let service = service_fn(move |request: Request<Body>| {
            let (client, listener) = (client.clone(), listener.clone());
            async move {
                let answer = client.send(request).await?;
                let date = answer.headers().get(DATE).and_then(|date| date.to_str().ok());
                if let Some(date) = date.and_then(read) {
                    listener.hear(date, Instant::now(), Timestamp::now());
                }
                Ok::<_, kube::Error>(answer)
            }
        });
        Client::new(service, namespace).with_valid_until(valid_until)
    }

    /// What time it is now.
    pub fn now(&self) -> Timestamp {
        self.state().at(Instant::now()).unwrap_or_else(Timestamp::now)
    }

    /// How long it is until `time`; nothing if that has come.
    pub fn until(&self, time: Timestamp) -> Duration {
        time.duration_since(self.now()).try_into().unwrap_or_default()
    }

    /// An answer came at `instant` that says `date`, and this machine's clock says `own`.
    fn hear(&self, date: Timestamp, instant: Instant, own: Timestamp) {
        let mut state = self.state();
        let time = agreed(state.at(instant), date);
        state.set = Some((time, instant));
        let off = own.duration_since(time);
        let is_off = off.abs() > TOLERANCE;
        if is_off != state.is_off {
            state.is_off = is_off;
            let seconds = off.as_secs();
            match is_off {
                true => tracing::warn!(
                    seconds,
                    "this machine's clock is off by so much: deadlines are held against the API server's"
                ),
                false => tracing::info!(seconds, "this machine's clock agrees with the API server's again"),
            }
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn at(&self, instant: Instant) -> Option<Timestamp> {
        let (time, set) = self.set?;
        time.checked_add(instant.saturating_duration_since(set)).ok()
    }
}

/// The time when an answer says `date`: what was expected, if it can be that.
fn agreed(expected: Option<Timestamp>, date: Timestamp) -> Timestamp {
    let latest = date.checked_add(RESOLUTION).unwrap_or(date);
    expected.unwrap_or(date).clamp(date, latest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i64) -> Timestamp {
        Timestamp::from_millisecond(milliseconds).unwrap()
    }

    #[test]
    fn a_date_is_read_as_servers_write_it() {
        assert_eq!(read("Sun, 06 Nov 1994 08:49:37 GMT"), Some(at(784_111_777_000)));
        assert_eq!(read("yesterday"), None);
    }

    #[test]
    fn an_answer_corrects_what_was_expected_as_far_as_it_knows() {
        let rows = [
            (None, 5_000, 5_000),
            (Some(5_400), 5_000, 5_400),
            (Some(6_000), 5_000, 6_000),
            (Some(4_900), 5_000, 5_000),
            (Some(6_700), 5_000, 6_000),
            (Some(3_605_000), 5_000, 6_000),
            (Some(5_000), 3_605_000, 3_605_000),
        ];
        for (expected, date, time) in rows {
            assert_eq!(agreed(expected.map(at), at(date)), at(time), "{expected:?}, {date}");
        }
    }

    #[test]
    fn it_is_the_api_servers_time_however_far_off_this_machine_is() {
        for hour in [-3_600_000, 0, 3_600_000] {
            let (clock, instant) = (Clock::default(), Instant::now());
            let own = clock.now();
            clock.hear(at(own.as_millisecond() + hour), instant, own);
            let off = clock.now().as_millisecond() - Timestamp::now().as_millisecond();
            assert!((hour - 1_500..=hour + 1_500).contains(&off), "{off} is not {hour}");
            assert_eq!(clock.state().is_off, hour != 0);
            let soon = clock.until(at(clock.now().as_millisecond() + 5_000));
            assert!(soon > Duration::from_secs(4) && soon <= Duration::from_secs(5), "{soon:?}");
            assert_eq!(clock.until(at(0)), Duration::ZERO);
        }
    }

    #[test]
    fn it_goes_on_between_answers() {
        let (clock, instant) = (Clock::default(), Instant::now());
        clock.hear(at(10_000), instant, at(10_000));
        assert_eq!(clock.state().at(instant + Duration::from_secs(90)), Some(at(100_000)));
    }
}
