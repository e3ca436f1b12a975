//! What was asked for, entry by entry: some of it may not be valid, which does not stop the rest.

use super::answer::Answered;
use super::exit::Exit;
use crate::api::result::{ImageResult, Outcome};
use crate::conversion::{self, Validity};
use crate::image::{Entry, Selector};
use crate::node::EntryResult;

/// The entries as written, in order.
#[derive(Debug)]
pub struct Asked {
    entries: conversion::Asked,
    /// What an image counts for that is not there.
    absent: Exit,
}

impl Asked {
    /// Reads the entries.
    pub fn read(texts: &[impl AsRef<str>]) -> Self {
        Self { entries: conversion::Asked::read(texts), absent: Exit::Absent }
    }

    /// Entries that were found on the node: one that has gone meanwhile is no error.
    pub fn found(entries: Vec<Entry>) -> Self {
        Self { entries: entries.into(), absent: Exit::Done }
    }

    /// The valid ones.
    pub fn entries(&self) -> Vec<Entry> {
        self.entries.entries()
    }

    /// Whether one of them is a pattern.
    pub fn has_pattern(&self) -> bool {
        self.entries.valid().any(|entry| matches!(entry.selector, Selector::Pattern(_)))
    }

    /// Why the others are not valid.
    pub fn refused(&self) -> impl Iterator<Item = String> {
        self.entries.invalid().map(|invalid| format!("{}: {invalid}", invalid.text()))
    }

    /// A result for every entry, in order; `results` are those of the valid ones.
    pub fn answer(&self, results: &[EntryResult]) -> Vec<Answered> {
        let answered = |(result, validity): (ImageResult, Validity)| {
            let exit = match (validity, result.outcome) {
                (Validity::Invalid, _) => Exit::Usage,
                (Validity::Valid, Outcome::Absent) => self.absent,
                (Validity::Valid, outcome) => outcome.into(),
            };
            Answered { exit, result }
        };
        self.entries.results(results).into_iter().map(answered).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node;

    #[test]
    fn an_invalid_entry_is_answered_in_its_place() {
        let asked = Asked::read(&["App:v1", "app:v1", "a***", "a\tb"]);
        let deleted =
            EntryResult { entry: "app:v1".into(), outcome: node::Outcome::Deleted, ..EntryResult::default() };
        let answers = asked.answer(&[deleted]);
        let told: Vec<_> = answers
            .iter()
            .map(|answer| (&*answer.result.image, answer.exit, answer.result.message.as_deref()))
            .collect();
        let expected = [
            ("App:v1", Exit::Usage, Some("not a valid image reference: repository name must be lowercase")),
            ("app:v1", Exit::Done, None),
            (
                "a***",
                Exit::Usage,
                Some(
                    "not a valid image pattern: `**` stands for whole path components: write it between slashes, as in ghcr.io/acme/**",
                ),
            ),
            (
                "a\tb",
                Exit::Usage,
                Some("not a valid image reference: write it as [registry[:port]/]repository[:tag][@digest]"),
            ),
        ];
        assert_eq!(told, expected);
        assert!(!asked.has_pattern());
        assert!(Asked::read(&["app:*"]).has_pattern());
    }
}
