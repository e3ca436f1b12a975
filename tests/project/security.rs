//! `docs/security.md`: every claim has its test, and every test that it names is there.

use crate::page::{quoted, read, rows};

/// `file::test`, with the file from the root of the repository.
fn tests_of(text: &str) -> Vec<(&str, &str)> {
    quoted(text)
        .into_iter()
        .filter_map(|word| word.split_once("::"))
        .filter(|(file, _)| file.ends_with(".rs"))
        .collect()
}

/// Whether a file has a test of that name: marked as one, or listed for the harness of the cluster or of both containerds.
fn has_test(source: &str, test: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let signature = |line: &str| {
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.strip_prefix("fn ")
            .and_then(|rest| rest.strip_prefix(test))
            .is_some_and(|rest| rest.starts_with('('))
    };
    let Some(at) = lines.iter().position(|line| signature(line)) else { return false };
    let is_marked = lines[..at]
        .iter()
        .rev()
        .take_while(|line| line.starts_with("#[") || line.starts_with("//"))
        .any(|line| ["#[test]", "#[tokio::test]"].contains(line));
    is_marked
        || [("tests![", ']'), ("both!(", ')')].iter().any(|(begin, end)| lists(source, begin, *end, test))
}

/// Whether a list of tests has that name.
fn lists(source: &str, begin: &str, end: char, test: &str) -> bool {
    source.split(begin).skip(1).any(|rest| {
        let listed = rest.split(end).next().unwrap_or_default();
        listed
            .split(|character: char| !character.is_alphanumeric() && character != '_')
            .any(|name| name == test)
    })
}

#[test]
fn every_test_that_the_page_names_is_there() {
    let page = read("docs/security.md");
    let named = tests_of(&page);
    assert!(named.len() >= 30, "the page names {} tests", named.len());
    for (file, test) in named {
        assert!(
            has_test(&read(file), test),
            "docs/security.md names {file}::{test}, and there is no such test"
        );
    }
}

#[test]
fn every_claim_names_a_test() {
    let page = read("docs/security.md");
    let mut claims = rows(&page, &["what they try", "what stops it", "shown by"]);
    claims.extend(rows(
        &page,
        &["what somebody tries who has got into a process", "what stops it", "shown by"],
    ));
    assert!(claims.len() >= 25, "the page makes {} claims", claims.len());
    for claim in claims {
        let [tried, _, shown] = claim[..] else { panic!("not three cells: {claim:?}") };
        assert!(!tests_of(shown).is_empty(), "nothing shows: {tried}");
    }
}

#[test]
fn a_function_that_is_no_test_is_told_apart() {
    let source = "\
        tests![Shared: on_cluster, not_here];\nboth!(\n    on_both,\n);\n\
        async fn on_cluster(cluster: &Cluster) {}\nasync fn on_both(version: Version) {}\n\
        #[test]\n/// Marked.\nfn marked() {}\nfn helper() {}\n";
    let rows = [
        ("on_cluster", true),
        ("on_both", true),
        ("marked", true),
        ("helper", false),
        ("not_here", false),
        ("mark", false),
    ];
    for (name, expected) in rows {
        assert_eq!(has_test(source, name), expected, "{name}");
    }
}
