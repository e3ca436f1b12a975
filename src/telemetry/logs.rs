//! Structured logs on stderr, for people or for machines. Each event is one line, whatever names are in it.

use std::borrow::Cow;
use std::io::{self, Write};

use clap::ValueEnum;
use tracing::Subscriber;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use super::metrics::CallTimes;
use crate::plain::{plain, plain_json};

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
    let layer = tracing_subscriber::fmt::layer();
    match format {
        Format::Text => {
            layer.with_writer(|| Plain::text(io::stderr())).with_ansi(false).with_target(false).boxed()
        }
        Format::Json => {
            let layer = layer.with_writer(|| Plain::json(io::stderr()));
            layer.json().flatten_event(true).with_span_list(false).boxed()
        }
    }
}

/// Takes the text of one event at a time and writes it as one line of what prints.
#[derive(Debug)]
pub struct Plain<W> {
    format: Format,
    to: W,
}

impl<W> Plain<W> {
    /// A writer of text without colours.
    pub const fn text(to: W) -> Self {
        Self { format: Format::Text, to }
    }

    /// A writer of JSON.
    pub const fn json(to: W) -> Self {
        Self { format: Format::Json, to }
    }
}

impl<W: Write> Write for Plain<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = text.strip_suffix('\n').unwrap_or(&text);
        let line: Cow<'_, str> = match self.format {
            Format::Text => plain(line),
            Format::Json => plain_json(line),
        };
        self.to.write_all(format!("{line}\n").as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    const HOSTILE: &str = "odd\nINFO removed name=fake \u{1b}[2J\u{9b}31m\u{202e}\u{7}";
    const WRITTEN: &str = r"odd\nINFO removed name=fake \u{1b}[2J\u{9b}31m\u{202e}\u{7}";

    #[derive(Clone, Default)]
    struct Buffer(Arc<Mutex<Vec<u8>>>);

    impl Write for Buffer {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Buffer {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    /// Every way in which a name gets into an event.
    fn log_it() {
        tracing::info!(name = %HOSTILE, "shown");
        tracing::info!(name = HOSTILE, "a value");
        tracing::info!(error = &io::Error::other(HOSTILE) as &(dyn std::error::Error + 'static), "an error");
        tracing::info!("in the message: {HOSTILE}");
    }

    #[test]
    fn a_hostile_name_stays_in_its_line_of_text() {
        let buffer = Buffer::default();
        let to = buffer.clone();
        let layer = tracing_subscriber::fmt::layer().with_ansi(false).without_time();
        let layer = layer.with_writer(move || Plain::text(to.clone()));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log_it);
        let text = buffer.text();
        assert_eq!(text.lines().count(), 4, "{text}");
        assert!(text.lines().all(|line| plain(line) == line), "{text}");
        assert!(
            text.lines().all(|line| line.trim_start().starts_with("INFO secateur::telemetry::logs")),
            "{text}"
        );
    }

    #[test]
    fn a_hostile_name_stays_in_its_line_of_json() {
        let buffer = Buffer::default();
        let to = buffer.clone();
        let layer = tracing_subscriber::fmt::layer().json().flatten_event(true);
        let layer = layer.with_writer(move || Plain::json(to.clone()));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), log_it);
        let text = buffer.text();
        assert_eq!(text.lines().count(), 4, "{text}");
        for line in text.lines() {
            assert_eq!(plain(line), line);
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            let told = ["name", "error", "message"].iter().any(|field| {
                event[*field].as_str().is_some_and(|value| value.contains(HOSTILE) || value.contains(WRITTEN))
            });
            assert!(told, "{line}");
        }
    }
}
