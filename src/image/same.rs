//! Which records of an image are the same reference (the algorithm's "Same references"). Only names decide.

use std::sync::Arc;

use super::record::{Kind, Record};
use super::reference::Reference;

/// The records of `all` that go with `named`, in the order in which they are removed: tags as listed, digest references
/// last. Without a name, the first reference in the list is the name.
///
/// - Same repository and same tag are the same.
/// - A digest reference of the same repository joins when no other tag of that repository is in `all`.
/// - If `named` has a digest and no tag, every tag of that repository joins.
/// - A different repository never joins; dangling and unparsable records do.
pub fn same_references(all: &[Arc<Record>], named: Option<&Reference>) -> Vec<Arc<Record>> {
    let Some(named) = named.or_else(|| all.iter().find_map(|record| record.reference())) else {
        return all.to_vec();
    };
    let of_repository = |record: &&Arc<Record>| {
        record.reference().is_some_and(|reference| reference.repository() == named.repository())
    };
    let tag = named.tag().or_else(|| match named.digest() {
        Some(_) => None,
        None => all.iter().filter(of_repository).find_map(|record| record.reference()?.tag()),
    });
    let is_other_tag =
        |reference: &Reference| tag.is_some() && reference.tag().is_some() && reference.tag() != tag;
    let other_tags =
        all.iter().filter(of_repository).filter_map(|record| record.reference()).any(is_other_tag);

    let joins = |record: &&Arc<Record>| match &record.kind {
        Kind::Reference(reference) => {
            reference.repository() == named.repository()
                && !is_other_tag(reference)
                && (!other_tags || reference.tag().is_some())
        }
        Kind::Dangling | Kind::Unparsable | Kind::Digest(_) => true,
    };
    in_removal_order(all.iter().filter(joins))
}

/// Tags as listed, digest references last.
pub(super) fn in_removal_order<'a>(records: impl Iterator<Item = &'a Arc<Record>>) -> Vec<Arc<Record>> {
    let is_last =
        |record: &&Arc<Record>| record.reference().is_some_and(|reference| reference.tag().is_none());
    let (last, first): (Vec<_>, Vec<_>) = records.partition(is_last);
    first.into_iter().chain(last).cloned().collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::image::ImageId;

    /// The target's digest is written `@` here.
    fn record(name: &str, target: &ImageId) -> Arc<Record> {
        Arc::new(Record::new(&name.replace('@', &format!("@{target}")), target.clone(), &HashMap::new()))
    }

    #[test]
    fn only_names_decide_what_is_the_same_reference() {
        let target: ImageId = format!("sha256:{}", "a1".repeat(32)).parse().unwrap();
        let rows: &[(&[&str], Option<&str>, &[&str])] = &[
            // Same repository and tag.
            (&["x.io/a:1"], Some("x.io/a:1"), &["x.io/a:1"]),
            (&["x.io/a:1", "x.io/a:2"], Some("x.io/a:1"), &["x.io/a:1"]),
            // A digest reference joins when no other tag is there, and comes last.
            (&["x.io/a:1", "x.io/a@"], Some("x.io/a:1"), &["x.io/a:1", "x.io/a@"]),
            (&["x.io/a:1", "x.io/a:2", "x.io/a@"], Some("x.io/a:1"), &["x.io/a:1"]),
            // An explicit digest takes every tag of its repository.
            (&["x.io/a:1", "x.io/a:2", "x.io/a@"], Some("x.io/a@"), &["x.io/a:1", "x.io/a:2", "x.io/a@"]),
            (&["x.io/a:1", "x.io/b:1"], Some("x.io/a@"), &["x.io/a:1"]),
            // A tag beside the digest decides.
            (&["x.io/a:1", "x.io/a:2"], Some("x.io/a:1@"), &["x.io/a:1"]),
            (&["x.io/a:1@", "x.io/a:2"], Some("x.io/a:1"), &["x.io/a:1@"]),
            // Another repository never joins.
            (&["x.io/a:1", "y.io/a:1"], Some("x.io/a:1"), &["x.io/a:1"]),
            (&["y.io/a:1"], Some("x.io/a@"), &[]),
            // Dangling and unparsable records do.
            (
                &["moby-dangling@", "odd name", "x.io/a:1"],
                Some("x.io/a:1"),
                &["moby-dangling@", "odd name", "x.io/a:1"],
            ),
            (&["odd name", "x.io/a:1", "x.io/a:2"], Some("x.io/a:2"), &["odd name", "x.io/a:2"]),
            // Without a name the first reference is the name.
            (&["x.io/a:1", "x.io/a:2"], None, &["x.io/a:1"]),
            (&["x.io/a:1", "x.io/a@", "y.io/b:1"], None, &["x.io/a:1", "x.io/a@"]),
            (&["x.io/a@", "y.io/b:1"], None, &["x.io/a@"]),
            (&["moby-dangling@"], None, &["moby-dangling@"]),
            (&[], None, &[]),
        ];
        for (all, named, expected) in rows {
            let all: Vec<_> = all.iter().map(|name| record(name, &target)).collect();
            let named = named.map(|name| record(name, &target).reference().unwrap().clone());
            let expected: Vec<_> = expected.iter().map(|name| record(name, &target)).collect();
            assert_eq!(same_references(&all, named.as_ref()), expected, "{named:?} of {all:?}");
        }
    }
}
