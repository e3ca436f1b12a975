//! `docs/why.md`: every statement about others has its source.

use std::collections::BTreeSet;

use crate::page::{read, rows};

const HEAD: [&str; 6] =
    ["", "kubelet", "`crictl rmi`", "`docker` and `nerdctl image prune`", "Eraser", "Secateur"];

/// The numbers of the sources that a text points to.
fn marks(text: &str) -> BTreeSet<usize> {
    text.split('[').skip(1).filter_map(|rest| rest.split_once(']')?.0.parse().ok()).collect()
}

/// The number and the text of each source.
fn sources(page: &str) -> Vec<(usize, String)> {
    let (_, list) = page.split_once("## Sources").unwrap();
    let mut sources: Vec<(usize, String)> = Vec::new();
    for line in list.lines() {
        match line.split_once(". ").and_then(|(number, text)| Some((number.parse().ok()?, text))) {
            Some((number, text)) => sources.push((number, text.to_owned())),
            None => sources.last_mut().into_iter().for_each(|(_, text)| text.push_str(line)),
        }
    }
    sources
}

#[test]
fn every_cell_about_others_has_a_source() {
    let page = read("docs/why.md");
    let rows = rows(&page, &HEAD);
    assert!(rows.len() >= 10, "{} rows", rows.len());
    for row in rows {
        let (what, cells) = row.split_first().unwrap();
        assert_eq!(cells.len(), HEAD.len() - 1, "{what}");
        let (ours, others) = cells.split_last().unwrap();
        assert!(marks(ours).is_empty(), "{what}: what we do is shown by tests");
        for (cell, whose) in others.iter().zip(&HEAD[1..]) {
            assert!(!marks(cell).is_empty(), "{what}, {whose}: {cell}");
        }
    }
}

#[test]
fn every_source_can_be_found_and_is_used() {
    let page = read("docs/why.md");
    let (text, list) = page.split_once("## Sources").unwrap();
    assert!(list.contains("All read on 20"), "it says when they were read");
    let sources = sources(&page);
    let numbers: Vec<usize> = sources.iter().map(|(number, _)| *number).collect();
    assert!(numbers.iter().copied().eq(1..=numbers.len()), "{numbers:?}");
    assert_eq!(marks(text), numbers.into_iter().collect());
    for (number, source) in sources {
        assert!(source.contains("](https://"), "source {number} has no address: {source}");
    }
}
