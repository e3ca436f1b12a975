//! The entries of a deletion as the node understands them: some may not be valid, which does not stop the rest.

use super::image_result;
use crate::api::result::{ImageResult, Outcome};
use crate::image::{Entry, InvalidEntry};
use crate::node::EntryResult;

/// The entries as written, in order.
#[derive(Debug, Clone)]
pub struct Asked(Vec<Result<Entry, InvalidEntry>>);

impl Asked {
    /// Reads the entries.
    pub fn read(texts: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        Self(texts.into_iter().map(|text| text.as_ref().parse()).collect())
    }

    /// The valid ones.
    pub fn entries(&self) -> Vec<Entry> {
        self.valid().cloned().collect()
    }

    /// The valid ones.
    pub fn valid(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter().flatten()
    }

    /// Why the others are not valid.
    pub fn invalid(&self) -> impl Iterator<Item = &InvalidEntry> {
        self.0.iter().filter_map(|entry| entry.as_ref().err())
    }

    /// A result for every entry, in order; `results` are those of the valid ones.
    pub fn results(&self, results: &[EntryResult]) -> Vec<(ImageResult, Validity)> {
        let mut results = results.iter();
        let result = |entry: &Result<Entry, InvalidEntry>| match entry {
            Ok(_) => results.next().map(|result| (image_result(result), Validity::Valid)),
            Err(invalid) => Some((refused(invalid), Validity::Invalid)),
        };
        self.0.iter().filter_map(result).collect()
    }
}

/// Whether an entry means anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Validity {
    /// It does.
    Valid,
    /// It can't be read.
    Invalid,
}

impl From<Vec<Entry>> for Asked {
    fn from(entries: Vec<Entry>) -> Self {
        Self(entries.into_iter().map(Ok).collect())
    }
}

fn refused(invalid: &InvalidEntry) -> ImageResult {
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
    use proptest::collection::btree_set;
    use proptest::prelude::*;

    use super::*;
    use crate::api::deletion::{ImageDeletion, ImageDeletionSpec};
    use crate::api::validate::problems;
    use crate::image::Pattern;

    proptest! {
        #![proptest_config(ProptestConfig { cases: 8, ..ProptestConfig::default() })]

        /// What a cluster takes, every node can read; of patterns it takes nothing less. Rules are compiled anew for each entry, so
        /// there are few.
        #[test]
        fn an_entry_is_valid_in_a_cluster_as_it_is_on_a_node(
            entries in btree_set("(\\[:\\]|[aA0])?([aA0./:@*?{},\\[+-]|\\*\\*){1,12}", 16),
        ) {
            let deletion = ImageDeletion::new("drop", ImageDeletionSpec::of(entries.iter().map(|entry| &**entry)));
            let problems = problems(&deletion).unwrap();
            for (index, entry) in entries.iter().enumerate() {
                let path = format!("spec.images[{index}]");
                let refused: Vec<_> = problems.iter().filter(|problem| problem.path == path).collect();
                let read = entry.parse::<Entry>();
                if Pattern::is_pattern(entry) || refused.is_empty() {
                    prop_assert_eq!(refused.is_empty(), read.is_ok(), "{}: {:?}, {:?}", entry, refused, read);
                }
            }
        }
    }
}
