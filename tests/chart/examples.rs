//! `docs/examples`: a cluster would take each.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use secateur::api::validate;

use crate::helm::{Rendered, root};

fn yaml_files(folder: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(root().join(folder))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.sort();
    assert!(!files.is_empty(), "{folder} is empty");
    files
}

/// The examples of values.
pub(crate) fn values() -> Vec<PathBuf> {
    yaml_files("docs/examples/values")
}

#[test]
fn a_cluster_takes_every_deletion() {
    let mut names = BTreeSet::new();
    for path in yaml_files("docs/examples") {
        let text = fs::read_to_string(&path).unwrap();
        let deletion = validate::parse(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(text.starts_with("# "), "{} does not say what it is for", path.display());
        let metadata = deletion.metadata;
        let name = metadata
            .name
            .or(metadata.generate_name.map(|name| name.trim_end_matches('-').to_owned()))
            .unwrap();
        assert_eq!(path.file_stem().unwrap(), name.as_str(), "a file is called as what is in it");
        assert!(names.insert(name));
    }
}

#[test]
fn values_change_what_they_speak_of() {
    let by_default = Rendered::by_default();
    for path in values() {
        let mut arguments = vec!["--values", path.to_str().unwrap()];
        arguments.extend(crate::helm::MONITORING_KINDS);
        assert_ne!(Rendered::with(&arguments).objects(), by_default.objects(), "{}", path.display());
    }
}
