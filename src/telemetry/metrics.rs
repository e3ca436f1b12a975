//! The metrics, by the names that users query. No label has values that a user can make without bound.

mod agent;
mod calls;
mod controller;

pub use agent::AgentMetrics;
pub use calls::CallTimes;
pub use controller::ControllerMetrics;

use prometheus::{IntCounterVec, IntGaugeVec, Opts, Registry, Result};

/// The commit that this binary was built from, if the build said so.
const REVISION: &str = match option_env!("SECATEUR_REVISION") {
    Some(revision) => revision,
    None => "unknown",
};

/// A registry that says what is running.
pub fn registry() -> Result<Registry> {
    let registry = Registry::new();
    let options = Opts::new("secateur_build_info", "The version and revision that is running; always 1.");
    let build = IntGaugeVec::new(options, &["version", "revision"])?;
    build.with_label_values(&[env!("CARGO_PKG_VERSION"), REVISION]).set(1);
    registry.register(Box::new(build))?;
    Ok(registry)
}

/// `secateur_errors_total`, of the agent and of the controller.
fn errors<const N: usize>(registry: &Registry, kinds: [&str; N]) -> Result<IntCounterVec> {
    let (name, help) = ("secateur_errors_total", "What went wrong and is tried again, by kind.");
    family(registry, (name, help), "kind", kinds.map(str::to_owned))
}

fn family<const N: usize>(
    registry: &Registry,
    (name, help): (&str, &str),
    label: &str,
    values: [String; N],
) -> Result<IntCounterVec> {
    let counters = IntCounterVec::new(Opts::new(name, help), &[label])?;
    registry.register(Box::new(counters.clone()))?;
    values.iter().for_each(|value| counters.with_label_values(&[value]).reset());
    Ok(counters)
}
