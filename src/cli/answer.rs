//! What came of a deletion, as it is printed.

use anstyle::AnsiColor;
use serde::Serialize;

use super::exit::Exit;
use super::screen::{Screen, complain, say, warn};
use super::table::{Column, Table};
use crate::api::quantity;
use crate::api::result::{Conflict, ConflictKind, ImageResult, Outcome, Record};
use crate::conversion::image_result;
use crate::image::Digest;
use crate::node::Recovered;

/// What came of everything that was asked for.
#[derive(Debug, Default)]
pub struct Answer {
    /// Entry by entry.
    pub results: Vec<Answered>,
    /// What killed operations had begun and this one has ended.
    pub recovered: Vec<Ended>,
}

/// What came of one entry.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// What it counts for in the exit code.
    pub exit: Exit,
    /// The result.
    pub result: ImageResult,
}

/// A killed operation that was finished or put back.
#[derive(Debug, Serialize)]
pub struct Ended {
    /// The ImageDeletion that it was for; empty for a command line.
    pub owner: String,
    /// What became of its entries.
    pub results: Vec<ImageResult>,
}

/// The document that `-o json` and `-o yaml` print.
#[derive(Debug, Serialize)]
pub struct Document<'a> {
    results: Vec<&'a ImageResult>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    recovered: &'a [Ended],
}

impl From<&Recovered> for Ended {
    fn from(recovered: &Recovered) -> Self {
        Self { owner: recovered.owner.clone(), results: recovered.results.iter().map(image_result).collect() }
    }
}

impl Answer {
    /// What it says of the whole command.
    pub fn exit(&self) -> Exit {
        Exit::worst(self.results.iter().map(|answered| answered.exit))
    }

    /// What `-o json` and `-o yaml` print.
    pub fn document(&self) -> Document<'_> {
        Document {
            results: self.results.iter().map(|answered| &answered.result).collect(),
            recovered: &self.recovered,
        }
    }

    /// The results as a table.
    pub fn table(&self, screen: Screen) -> String {
        table(self.results.iter().map(|answered| &answered.result), screen)
    }

    /// Says on stderr what the table has no room for: what went wrong and why, and what was recovered.
    pub fn complain(&self) {
        for result in self.results.iter().map(|answered| &answered.result) {
            let is_done = matches!(result.outcome, Outcome::Deleted | Outcome::Untagged);
            problems(result).iter().for_each(if is_done { warn } else { complain });
        }
        self.say_recovered();
    }

    /// Says on stderr what was recovered.
    pub fn say_recovered(&self) {
        for ended in &self.recovered {
            let whose = match ended.owner.as_str() {
                "" => "a command line".to_owned(),
                owner => format!("ImageDeletion {owner}"),
            };
            for result in &ended.results {
                say(format_args!(
                    "recovered: {}, of {whose} that was killed: {}",
                    result.image,
                    in_full(result)
                ));
            }
        }
    }
}

/// Results as a table.
pub fn table<'a>(results: impl IntoIterator<Item = &'a ImageResult>, screen: Screen) -> String {
    let columns = [
        Column::text("IMAGE"),
        Column::word("OUTCOME"),
        Column::number("RECLAIMED"),
        Column::text("WHAT HAPPENED"),
    ];
    let mut table = Table::new(columns).paint("OUTCOME", colour);
    for result in results {
        table.add([
            short(&result.image).into(),
            word(result.outcome).into(),
            match result.reclaimed_bytes {
                0 => "-".into(),
                bytes => quantity::human(bytes).into(),
            },
            happened(result).into(),
        ]);
    }
    table.render(screen)
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Absent => "Absent",
        Outcome::Deleted => "Deleted",
        Outcome::Untagged => "Untagged",
        Outcome::Conflict => "Conflict",
        Outcome::Failed => "Failed",
    }
}

fn colour(outcome: &str) -> Option<AnsiColor> {
    match outcome {
        "Deleted" | "Untagged" => Some(AnsiColor::Green),
        "Conflict" => Some(AnsiColor::Yellow),
        "Failed" | "Absent" => Some(AnsiColor::Red),
        _ => None,
    }
}

/// What was done, or what stood in the way: a line each.
fn happened(result: &ImageResult) -> Vec<String> {
    let mut lines: Vec<String> = result.records.iter().map(went).collect();
    for conflict in &result.conflicts {
        let line = held(conflict);
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    lines
}

/// What was removed.
pub fn went(record: &Record) -> String {
    match record {
        Record::Untagged(name) => format!("untagged {}", short(name)),
        Record::Deleted(image) => format!("deleted {}", short(image)),
    }
}

fn held(conflict: &Conflict) -> String {
    match conflict.kind {
        ConflictKind::RunningContainer => format!("used by running container {}", holder(conflict)),
        ConflictKind::StoppedContainer => format!("used by stopped container {}", holder(conflict)),
        ConflictKind::MultipleReferences => "referenced in multiple repositories".to_owned(),
        ConflictKind::Pinned => "pinned".to_owned(),
        ConflictKind::Protected => "protected".to_owned(),
        ConflictKind::PendingPod => format!("needed by pod {}", holder(conflict)),
    }
}

/// `shop/cart-7d9/cart`, or the short ID of a container without a pod.
fn holder(conflict: &Conflict) -> String {
    let container = conflict.container.as_deref();
    match (&conflict.namespace, &conflict.pod) {
        (Some(namespace), Some(pod)) => {
            [namespace, pod].into_iter().map(String::as_str).chain(container).collect::<Vec<_>>().join("/")
        }
        _ => container.map(shorten).unwrap_or_default().to_owned(),
    }
}

/// What became of an entry, in one line with all that nobody can ask for later.
pub fn in_full(result: &ImageResult) -> String {
    let what = happened(result).join(", ");
    let why = other_message(result).unwrap_or_default();
    let told = [&what, why].into_iter().filter(|part| !part.is_empty());
    [word(result.outcome)].into_iter().chain(told).collect::<Vec<_>>().join(": ")
}

/// What is to be told of an entry beside its conflicts.
fn other_message(result: &ImageResult) -> Option<&str> {
    let message = result.message.as_deref()?;
    let repeats = result.conflicts.iter().any(|conflict| message.starts_with(&conflict.message));
    (!repeats).then_some(message)
}

/// What went wrong, why, and what to do: a line each.
fn problems(result: &ImageResult) -> Vec<String> {
    let is_told = |message: &str| result.outcome == Outcome::Absent || message.contains(&result.image);
    let other = other_message(result).map(|message| match is_told(message) {
        true => message.to_owned(),
        false => format!("{}: {message}", result.image),
    });
    let told = |conflict: &Conflict| {
        let holder = match conflict.pod {
            Some(_) if conflict.kind != ConflictKind::PendingPod => format!(" ({})", holder(conflict)),
            _ => String::new(),
        };
        format!("{}{holder}: {}", conflict.message, remedy(conflict))
    };
    other.into_iter().chain(result.conflicts.iter().map(told)).collect()
}

fn remedy(conflict: &Conflict) -> &'static str {
    match (conflict.kind, conflict.forcible) {
        (ConflictKind::RunningContainer, false) => "remove the container first",
        (ConflictKind::RunningContainer, true) => {
            "remove the container first, or take only the name away with --force"
        }
        (ConflictKind::StoppedContainer, _) => {
            "remove the container first, or use --force (by a name, only the name goes)"
        }
        (ConflictKind::MultipleReferences, false) => "prune again if that name is to go too",
        (ConflictKind::MultipleReferences, true) => "delete it name by name, or use --force",
        (ConflictKind::Pinned, _) => "it stays until its pin is removed",
        (ConflictKind::Protected, _) => "it stays as long as that rule is there",
        (ConflictKind::PendingPod, _) => "remove the pod first, or use --force",
    }
}

/// A digest as people read it; anything else as it is.
pub fn short(text: &str) -> &str {
    match text.parse::<Digest>() {
        Ok(_) => text.split_once(':').map_or(text, |(_, hex)| shorten(hex)),
        Err(_) => text,
    }
}

fn shorten(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}

#[cfg(test)]
mod tests;
