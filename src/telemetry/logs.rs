//! Structured logs on stderr, for people or for machines.

use std::io;

use clap::ValueEnum;
use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use super::metrics::CallTimes;

/// How a line of the log is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object a line.
    #[default]
    Json,
}

/// The least important lines that are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// What went wrong.
    Error,
    /// What may need a person.
    Warn,
    /// Every removal.
    #[default]
    Info,
    /// Every call.
    Debug,
}

impl From<Level> for LevelFilter {
    fn from(level: Level) -> Self {
        match level {
            Level::Error => Self::ERROR,
            Level::Warn => Self::WARN,
            Level::Info => Self::INFO,
            Level::Debug => Self::DEBUG,
        }
    }
}

/// Starts the log of this process. `times` takes the time of every call to containerd, at whatever level is written.
pub fn start(format: Format, level: Level, times: Option<CallTimes>) {
    let own =
        Targets::new().with_target("secateur", LevelFilter::from(level)).with_default(LevelFilter::WARN);
    let calls = Targets::new().with_target(crate::node::CALLS, LevelFilter::DEBUG);
    let times = times.map(|times| times.with_filter(calls));
    tracing_subscriber::registry().with(lines(format).with_filter(own)).with(times).init();
}

fn lines<S>(format: Format) -> Box<dyn Layer<S> + Send + Sync>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    match format {
        Format::Text => layer.with_ansi(false).with_target(false).boxed(),
        Format::Json => layer.json().flatten_event(true).with_span_list(false).boxed(),
    }
}
