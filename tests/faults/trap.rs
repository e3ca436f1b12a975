//! What goes wrong at a call, and at which: both boundaries ask here before they pass a call on.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::FutureExt;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::bed::Version;

/// How late a delayed call is.
const DELAY: Duration = Duration::from_millis(150);
/// How long nothing answers in an outage.
const OUTAGE: Duration = Duration::from_millis(700);

/// After so long without a call an agent has nothing to do.
const QUIET: Duration = Duration::from_millis(100);

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// The call does not arrive, and the caller learns that the other side is away.
    Break,
    /// The call is done, and the caller learns that the other side is away.
    Lose,
    /// The call is refused for good.
    Refuse,
    /// The call is late.
    Delay,
    /// The call arrives twice.
    Repeat,
    /// From this call on nothing arrives for a while.
    Outage,
    /// The agent is killed before the call arrives.
    KillBefore,
    /// The agent is killed when the call is done, before it hears of that.
    KillAfter,
    /// Somebody else does something on the node just before the call.
    Meddle,
    /// The same, and the call does not arrive.
    MeddleAndBreak,
    /// The same, and then the agent is killed before the call arrives.
    MeddleAndKill,
    /// The API server has not done it, and answers with this status.
    Answer(u16),
    /// The API server has done it, and answers with this status all the same.
    AnswerAfter(u16),
}

impl Kind {
    /// What goes wrong where nobody else is at work.
    pub(crate) const ALONE: [Self; 8] = [
        Self::Break,
        Self::Lose,
        Self::Refuse,
        Self::Delay,
        Self::Repeat,
        Self::Outage,
        Self::KillBefore,
        Self::KillAfter,
    ];
    /// What goes wrong where somebody else is.
    pub(crate) const MEDDLED: [Self; 3] = [Self::Meddle, Self::MeddleAndBreak, Self::MeddleAndKill];

    /// What else goes wrong at a request to the API server: the token or a right is not known yet, another writer was faster, what
    /// is watched from is too old, it has too much to do, it ends, and its etcd does not answer in time.
    pub(crate) const OF_REQUESTS: [Self; 8] = [
        Self::Answer(401),
        Self::Answer(403),
        Self::Answer(409),
        Self::Answer(410),
        Self::Answer(429),
        Self::Answer(503),
        Self::AnswerAfter(500),
        Self::AnswerAfter(504),
    ];

    /// Whether the call may be done, and the caller does not learn that.
    pub(crate) fn hides_the_answer(self) -> bool {
        matches!(self, Self::Lose | Self::Repeat | Self::AnswerAfter(_))
    }

    /// Whether the agent ends with it.
    pub(crate) fn kills(self) -> bool {
        matches!(self, Self::KillBefore | Self::KillAfter | Self::MeddleAndKill)
    }
}

/// A call: its name, and how many of that name came before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Site {
    pub(crate) call: String,
    pub(crate) earlier: usize,
}

impl Site {
    /// Whether it is a request to the API server: those have a method.
    pub(crate) fn is_request(&self) -> bool {
        self.call.contains(' ')
    }
}

/// One fault.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) site: Site,
    pub(crate) kind: Kind,
}

impl Fault {
    /// Whether others act between the look at a record and its removal. containerd 1.6 does not look itself.
    pub(crate) fn is_after_the_look(&self, version: Version) -> bool {
        version == Version::V1 && self.kind == Kind::Meddle && self.site.call == "Images/Delete"
    }

    /// Whether the same call can succeed later, so that the outcome is as without a fault. Of the API server nothing is taken for final.
    pub(crate) fn passes(&self) -> bool {
        self.kind != Kind::Refuse || self.site.is_request()
    }

    /// Whether the daemon says that what was asked for had been done before, and by nobody knows whom: such a removal is not
    /// claimed.
    pub(crate) fn hides_a_removal(&self) -> bool {
        self.kind == Kind::Repeat && self.site.call == "Images/Delete"
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { site: Site { call, earlier }, kind } = self;
        write!(f, "{kind:?} at {call} #{}", earlier + 1)
    }
}

/// What a boundary does with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// Passes it on.
    Pass,
    /// Passes it on twice, and the second answer back.
    PassTwice,
    /// Says that the other side is away.
    Break,
    /// Passes it on, and says that the other side is away.
    Lose,
    /// Says no.
    Refuse,
    /// Does nothing ever.
    Hang,
    /// Passes it on, tells [`Trap::die`], and does nothing ever.
    PassAndHang,
    /// Answers with this status.
    Answer(u16),
    /// Passes it on, and answers with this status.
    AnswerAfter(u16),
}

/// A call that has not been answered.
pub(crate) struct Open<'a>(&'a Trap);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.open = state.open.saturating_sub(1);
    }
}

/// Where calls come by. It is set for one fault, and tells when that has happened.
#[derive(Debug, Default)]
pub(crate) struct Trap {
    state: Mutex<State>,
    fired: Notify,
    resumed: Notify,
    broken: Notify,
}

#[derive(Debug, Default)]
struct State {
    is_watching: bool,
    seen: Vec<Site>,
    /// The calls that have not been answered yet.
    open: usize,
    counts: HashMap<String, usize>,
    fault: Option<Fault>,
    has_fired: bool,
    is_dead: bool,
    away_until: Option<Instant>,
    refused: Option<&'static str>,
}

impl Trap {
    /// Counts calls from here on, and waits for that of the fault.
    pub(crate) fn set(&self, fault: Option<Fault>) {
        // An earlier fault may have happened when nobody waited for it any more.
        let _ = self.fired.notified().now_or_never();
        let mut state = self.state();
        *state = State { is_watching: true, fault, open: state.open, ..State::default() };
    }

    /// Refuses every call of that name from here on.
    #[allow(dead_code, reason = "a sweep makes one fault at a time")]
    pub(crate) fn refuse(&self, call: &'static str) {
        self.state().refused = Some(call);
    }

    /// Waits until nothing has come by for a while and everything is answered: an agent that is ready may still end what was killed
    /// before it.
    pub(crate) async fn quiet(&self) {
        self.set(None);
        let mut seen = 0;
        loop {
            sleep(QUIET).await;
            let (now, open) = {
                let state = self.state();
                (state.seen.len(), state.open)
            };
            if now == seen && open == 0 {
                return;
            }
            seen = now;
        }
    }

    /// A call that is open until this is dropped.
    pub(crate) fn open(&self) -> Open<'_> {
        self.state().open += 1;
        Open(self)
    }

    /// Lets everything pass, and returns the calls since it was set, and whether the fault has happened.
    pub(crate) fn clear(&self) -> (Vec<Site>, bool) {
        let mut now = self.state();
        let state = State { open: now.open, ..State::default() };
        let state = std::mem::replace(&mut *now, state);
        drop(now);
        self.resumed.notify_waiters();
        (state.seen, state.has_fired)
    }

    /// Lets everything pass that comes, but keeps count.
    pub(crate) fn revive(&self) {
        self.state().is_dead = false;
    }

    /// Returns when the fault has happened that needs somebody: the agent is to be killed, or somebody to meddle.
    pub(crate) async fn fired(&self) {
        self.fired.notified().await;
    }

    /// Somebody has meddled: the call goes on.
    pub(crate) fn resume(&self) {
        self.resumed.notify_waiters();
    }

    /// What is to be done with a call that comes by.
    pub(crate) async fn enter(&self, call: &str) -> Way {
        let Some(kind) = self.note(call) else { return self.usual() };
        match kind {
            Kind::Break => Way::Break,
            Kind::Outage => {
                self.broken.notify_waiters();
                Way::Break
            }
            Kind::Lose => Way::Lose,
            Kind::Refuse => Way::Refuse,
            Kind::Repeat => Way::PassTwice,
            Kind::Delay => {
                sleep(DELAY).await;
                self.usual()
            }
            Kind::KillBefore => {
                self.die();
                Way::Hang
            }
            Kind::KillAfter => Way::PassAndHang,
            Kind::Answer(status) => Way::Answer(status),
            Kind::AnswerAfter(status) => Way::AnswerAfter(status),
            Kind::Meddle | Kind::MeddleAndBreak | Kind::MeddleAndKill => {
                let resumed = self.resumed.notified();
                if kind.kills() {
                    self.state().is_dead = true;
                }
                self.fired.notify_one();
                resumed.await;
                match kind {
                    Kind::Meddle => Way::Pass,
                    Kind::MeddleAndBreak => Way::Break,
                    _ => Way::Hang,
                }
            }
        }
    }

    /// Returns when everything breaks off that is open.
    pub(crate) async fn broken(&self) {
        self.broken.notified().await;
    }

    /// Whether nothing comes through, also of what began before.
    pub(crate) fn is_dead(&self) -> bool {
        self.state().is_dead
    }

    /// Nothing comes through any more, and the agent is to be killed.
    pub(crate) fn die(&self) {
        self.state().is_dead = true;
        self.fired.notify_one();
    }

    fn usual(&self) -> Way {
        let state = self.state();
        match state.away_until {
            _ if state.is_dead => Way::Hang,
            Some(until) if Instant::now() < until => Way::Break,
            _ => Way::Pass,
        }
    }

    /// Counts a call, and says what goes wrong at it.
    fn note(&self, call: &str) -> Option<Kind> {
        let mut state = self.state();
        if state.refused == Some(call) {
            return Some(Kind::Refuse);
        }
        if !state.is_watching || state.is_dead {
            return None;
        }
        let count = state.counts.entry(call.to_owned()).or_default();
        let site = Site { call: call.to_owned(), earlier: *count };
        *count += 1;
        let kind = state.fault.as_ref().filter(|fault| fault.site == site).map(|fault| fault.kind);
        state.seen.push(site);
        state.has_fired |= kind.is_some();
        if kind == Some(Kind::Outage) {
            state.away_until = Some(Instant::now() + OUTAGE);
        }
        kind
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
