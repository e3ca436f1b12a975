//! References, compared live with the distribution project's own library (`tests/tools/reference`, built with Go) on generated
//! text near the grammar. `PROPTEST_CASES` sets how many; 10,000 by default.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use secateur::image::Reference;

const CASES: usize = 10_000;

/// What the library makes of a text.
#[derive(Debug, PartialEq, serde::Deserialize)]
struct Verdict {
    input: String,
    valid: bool,
    #[serde(default)]
    canonical: String,
    #[serde(default)]
    familiar: String,
    #[serde(default)]
    stored: bool,
}

impl Verdict {
    fn ours(input: &str) -> Self {
        let reference = Reference::normalize(input).ok();
        let shown = |form: fn(&Reference) -> String| reference.as_ref().map(form).unwrap_or_default();
        Self {
            input: input.to_owned(),
            valid: reference.is_some(),
            canonical: shown(Reference::to_string),
            familiar: shown(|reference| reference.familiar().to_string()),
            stored: Reference::canonical(input).is_some(),
        }
    }
}

fn text() -> impl Strategy<Value = String> {
    let piece = select(
        &[
            "app",
            "acme",
            "library",
            "docker.io",
            "index.docker.io",
            "localhost",
            "ghcr.io",
            "[::1]",
            "[",
            "]",
            "A",
            "b",
            "1",
            "_",
            "__",
            "-",
            ".",
            "/",
            "/",
            "/",
            ":",
            ":",
            "@",
            "5000",
            "v1",
            "V",
            "sha256:",
            "sha512:",
            "sha1:",
            "\u{e9}",
            "\u{3a3}",
            "\u{212a}",
            " ",
            "\n",
            "+",
        ][..],
    );
    let hex = select(&[12_usize, 31, 32, 63, 64, 65, 96, 127, 128, 129, 246, 255, 256][..])
        .prop_map(|length| "a".repeat(length));
    let domain = "([a-zA-Z0-9]{1,3}(-[a-z0-9]{1,2})?(\\.[a-zA-Z0-9]{1,3}){0,2}|\\[[0-9a-fA-F:]{0,6}\\]|localhost)(:[0-9]{0,3})?/";
    let path = "[a-z0-9]{1,3}(([._/]|__|-{1,3})[a-z0-9]{1,2}){0,4}";
    let tag = "(:[a-zA-Z0-9._-]{0,6})?";
    let digest =
        "(@(sha256|sha384|sha512|md5|a\\+b):([0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128}|[0-9a-fA-F]{30,70}))?";
    prop_oneof![
        2 => vec(prop_oneof![12 => piece.prop_map(str::to_owned), 1 => hex], 0..10).prop_map(|pieces| pieces.concat()),
        2 => (domain, path, tag, digest).prop_map(|(domain, path, tag, digest)| domain + &path + &tag + &digest),
        1 => (path, tag, digest).prop_map(|(path, tag, digest)| path + &tag + &digest),
        1 => any::<String>(),
    ]
}

/// The library's verdicts, in order.
fn theirs(inputs: &[String]) -> Vec<Verdict> {
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/reference");
    let mut judge = Command::new("go")
        .args(["run", "."])
        .current_dir(tool)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("go is needed to build tests/tools/reference");
    let lines: String = inputs.iter().map(|input| serde_json::to_string(input).unwrap() + "\n").collect();
    let mut stdin = judge.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = judge.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success(), "tests/tools/reference failed: {}", output.status);
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn the_distribution_library_agrees_on_generated_text() {
    let cases = std::env::var("PROPTEST_CASES").map_or(CASES, |cases| cases.parse().unwrap());
    let mut runner = TestRunner::default();
    let inputs: Vec<String> = (0..cases).map(|_| text().new_tree(&mut runner).unwrap().current()).collect();
    let theirs = theirs(&inputs);
    assert_eq!(theirs.len(), inputs.len());
    for (input, verdict) in inputs.iter().zip(&theirs) {
        assert_eq!(Verdict::ours(input), *verdict);
    }
    let valid = theirs.iter().filter(|verdict| verdict.valid).count();
    println!("{cases} texts, {valid} of them references");
    assert!(valid * 10 > cases, "only {valid} of {cases} were references: too few to say much");
}
