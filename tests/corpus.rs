//! What the fuzz targets check, on every file of their corpus and of what they found: `fuzz/corpus/<target>`.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a check that fails stops and says why")]

use std::fs;
use std::path::Path;

#[path = "../fuzz/src/lib.rs"]
mod targets;

/// Runs a target on its corpus.
fn run(target: &str, check: fn(&[u8])) {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut count = 0;
    for file in fs::read_dir(&directory).expect("there is a corpus") {
        let path = file.unwrap().path();
        let data = fs::read(&path).unwrap();
        if std::panic::catch_unwind(|| check(&data)).is_err() {
            panic!("{} fails: the message is above", path.display());
        }
        count += 1;
    }
    assert!(count >= 10, "only {count} files in {}", directory.display());
}

#[test]
fn references() {
    run("reference", targets::reference::check);
}

#[test]
fn documents() {
    run("document", targets::document::check);
}

#[test]
fn plans() {
    run("plan", targets::plan::check);
}
