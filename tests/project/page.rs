//! A page of the project, as its tests read it.

use std::fs;
use std::path::{Path, PathBuf};

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file of the project.
pub(crate) fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Every page that people read.
pub(crate) fn pages() -> Vec<PathBuf> {
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    ["README.md", "charts/secateur/README.md"]
        .map(|page| root().join(page))
        .into_iter()
        .chain(pages)
        .collect()
}

/// What stands between backticks, within one line each.
pub(crate) fn quoted(text: &str) -> Vec<&str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2)).collect()
}

/// The cells of the tables of a text whose heads are these, row by row.
pub(crate) fn rows<'a>(text: &'a str, head: &[&str]) -> Vec<Vec<&'a str>> {
    let cells = |line: &'a str| {
        let inner = line.strip_prefix('|')?.strip_suffix('|')?;
        Some(inner.split(" | ").map(str::trim).collect::<Vec<_>>())
    };
    let mut rows = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if cells(line).is_some_and(|found| found == head) {
            lines.next();
            rows.extend(lines.by_ref().map_while(cells));
        }
    }
    rows
}
