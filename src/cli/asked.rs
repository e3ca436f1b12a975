//! What was asked for, entry by entry: some of it may not be valid, which does not stop the rest.

use super::answer::Answered;
use super::exit::Exit;
use crate::api::result::{ImageResult, Outcome};
use crate::conversion::image_result;
use crate::image::{Entry, InvalidEntry, Selector};
use crate::node::EntryResult;

/// The entries as written, in order.
#[derive(Debug)]
pub struct Asked {
    entries: Vec<Result<Entry, InvalidEntry>>,
    /// What an image counts for that is not there.
    absent: Exit,
}

impl Asked {
    /// Reads the entries.
    pub fn read(texts: &[impl AsRef<str>]) -> Self {
        Self { entries: texts.iter().map(|text| text.as_ref().parse()).collect(), absent: Exit::Absent }
    }

    /// Entries that were found on the node: one that has gone meanwhile is no error.
    pub fn found(entries: Vec<Entry>) -> Self {
        Self { entries: entries.into_iter().map(Ok).collect(), absent: Exit::Done }
    }

    /// The valid ones.
    pub fn entries(&self) -> Vec<Entry> {
        self.entries.iter().filter_map(|entry| entry.as_ref().ok().cloned()).collect()
    }

    /// Whether one of them is a pattern.
    pub fn has_pattern(&self) -> bool {
        self.entries.iter().flatten().any(|entry| matches!(entry.selector, Selector::Pattern(_)))
    }

    /// Why the others are not valid.
    pub fn refused(&self) -> impl Iterator<Item = String> {
        let invalid = self.entries.iter().filter_map(|entry| entry.as_ref().err());
        invalid.map(|invalid| format!("{}: {invalid}", invalid.text().escape_debug()))
    }

    /// A result for every entry, in order; `results` are those of the valid ones.
    pub fn answer(&self, results: &[EntryResult]) -> Vec<Answered> {
        let mut results = results.iter();
        let answer = |entry: &Result<Entry, InvalidEntry>| match entry {
            Ok(_) => results.next().map(|result| self.answered(image_result(result))),
            Err(invalid) => Some(Answered { exit: Exit::Usage, result: invalid_result(invalid) }),
        };
        self.entries.iter().filter_map(answer).collect()
    }

    fn answered(&self, result: ImageResult) -> Answered {
        let exit = match result.outcome {
            Outcome::Absent => self.absent,
            outcome => outcome.into(),
        };
        Answered { exit, result }
    }
}

fn invalid_result(invalid: &InvalidEntry) -> ImageResult {
    ImageResult {
        image: invalid.text().to_owned(),
        outcome: Outcome::Failed,
        records: Vec::new(),
        conflicts: Vec::new(),
        reclaimed_bytes: 0,
        message: Some(invalid.to_string()),
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
