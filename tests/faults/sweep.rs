//! One run after another, each with another fault.

use std::time::Instant;

use super::trap::{Fault, Kind, Site};

/// How much a sweep does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Extent {
    /// Every fault at every call.
    All,
    /// So many calls for each kind of fault, others for each kind.
    Some(usize),
}

/// What can be run again and again.
pub(crate) trait Subject {
    /// What there is to be judged afterwards.
    type Run;

    /// What is run, for people.
    fn title(&self) -> String;

    /// Runs it once, perhaps with a fault.
    async fn run(&mut self, fault: Option<&Fault>) -> Result<Made<Self::Run>, String>;

    /// Which faults there are to be made, where these are the calls without one.
    fn faults(&self, calls: &[Site], extent: Extent) -> Vec<Fault>;

    /// Whether everything is as it must be after a run with a fault; `clean` is the one without.
    fn judge(&self, made: &Made<Self::Run>, clean: &Made<Self::Run>, fault: &Fault) -> Result<(), String>;
}

/// A run that has ended.
pub(crate) struct Made<R> {
    pub(crate) run: R,
    pub(crate) calls: Vec<Site>,
    /// Whether the call was made at which the fault was to be.
    pub(crate) has_fired: bool,
}

/// Runs it without a fault, and then with each; says what was wrong, a line each.
pub(crate) async fn sweep(subject: &mut impl Subject, extent: Extent) -> Vec<String> {
    let title = subject.title();
    let clean = match subject.run(None).await {
        Ok(made) => made,
        Err(error) => return vec![format!("{title}: without a fault: {error}")],
    };
    let mut wrong = Vec::new();
    let faults = subject.faults(&clean.calls, extent);
    let (mut met, begin) = (0, Instant::now());
    for fault in &faults {
        let result = match subject.run(Some(fault)).await {
            Ok(made) => {
                met += usize::from(made.has_fired);
                subject.judge(&made, &clean, fault)
            }
            Err(error) => Err(error),
        };
        if let Err(error) = result {
            wrong.push(format!("{title}: {fault}: {error}"));
        }
    }
    println!(
        "{title}: {} calls, {} faults, {met} of them met, {} wrong, {:.0} s",
        clean.calls.len(),
        faults.len(),
        wrong.len(),
        begin.elapsed().as_secs_f64()
    );
    // What runs at the same time has no order, so now and then a call is not made again.
    if met * 10 < faults.len() * 8 {
        wrong.push(format!("{title}: only {met} of {} faults were met", faults.len()));
    }
    wrong
}

impl Extent {
    /// Faults of each kind at these calls.
    pub(crate) fn faults(self, calls: &[Site], kinds: &[Kind]) -> Vec<Fault> {
        let step = match self {
            Self::All => 1,
            Self::Some(sites) => calls.len().div_ceil(sites).max(1),
        };
        let of_kind = |(number, kind): (usize, &Kind)| {
            let kind = *kind;
            calls.iter().skip(number % step).step_by(step).map(move |site| Fault { site: site.clone(), kind })
        };
        kinds.iter().enumerate().flat_map(of_kind).collect()
    }
}

/// The last of the calls, for people.
pub(crate) fn last(calls: &[Site]) -> String {
    let names: Vec<_> = calls.iter().rev().take(12).rev().map(|site| site.call.as_str()).collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
