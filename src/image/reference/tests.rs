//! The grammar, by hand, by what the distribution project's own library says, and on arbitrary input.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::image::{Entry, Pattern, Query};

fn digest() -> String {
    format!("sha256:{}", "a1".repeat(32))
}

#[test]
fn a_reference_has_a_canonical_and_a_familiar_form() {
    let digest = digest();
    let rows = [
        ("app", "docker.io/library/app", "app"),
        ("app:v1", "docker.io/library/app:v1", "app:v1"),
        ("acme/app", "docker.io/acme/app", "acme/app"),
        ("docker.io/app", "docker.io/library/app", "app"),
        ("index.docker.io/library/app:v1", "docker.io/library/app:v1", "app:v1"),
        ("docker.io/library/a/b", "docker.io/library/a/b", "library/a/b"),
        ("ghcr.io/acme/api:2", "ghcr.io/acme/api:2", "ghcr.io/acme/api:2"),
        ("ghcr.io/library/api", "ghcr.io/library/api", "ghcr.io/library/api"),
        ("localhost/app", "localhost/app", "localhost/app"),
        ("localhost:5000", "docker.io/library/localhost:5000", "localhost:5000"),
        ("localhost:5000/app:v1", "localhost:5000/app:v1", "localhost:5000/app:v1"),
        ("[::1]:5000/app", "[::1]:5000/app", "[::1]:5000/app"),
        ("Registry/app", "Registry/app", "Registry/app"),
        ("a_b.c/app", "a_b.c/app", "a_b.c/app"),
    ];
    for (text, canonical, familiar) in rows {
        for suffix in ["".to_owned(), format!("@{digest}")] {
            let reference = Reference::normalize(&format!("{text}{suffix}")).unwrap();
            assert_eq!(reference.to_string(), format!("{canonical}{suffix}"));
            assert_eq!(reference.familiar().to_string(), format!("{familiar}{suffix}"));
        }
    }
}

#[test]
fn the_parts_can_be_asked_for() {
    let reference = Reference::normalize(&format!("localhost:5000/app:v1@{}", digest())).unwrap();
    assert_eq!(reference.repository().to_string(), "localhost:5000/app");
    assert_eq!(reference.tag(), Some("v1"));
    assert_eq!(reference.digest().map(ToString::to_string), Some(digest()));
    let bare = Reference::normalize("library/app").unwrap();
    assert_eq!((bare.tag(), bare.digest()), (None, None));
    assert_eq!(bare.repository().familiar().to_string(), "app");
}

#[test]
fn latest_is_added_only_where_nothing_was_written() {
    let complete = |text: &str| Reference::normalize(text).unwrap().or_latest().familiar().to_string();
    assert_eq!(complete("app"), "app:latest");
    assert_eq!(complete("app:v1"), "app:v1");
    assert_eq!(complete(&format!("app@{}", digest())), format!("app@{}", digest()));
}

#[test]
fn what_is_no_reference_is_refused_with_the_reason() {
    use InvalidReference::*;
    let digest = digest();
    let rows = [
        (String::new(), Empty),
        ("App".into(), Uppercase),
        ("acme/App:v1".into(), Uppercase),
        ("ghcr.io/acme/App".into(), Uppercase),
        (digest[7..].into(), HexName),
        ("a".repeat(248), TooLong),
        (format!("x.io/{}", "a".repeat(256)), TooLong),
        (format!("app:{}", "t".repeat(129)), Format),
        ("app:".into(), Format),
        ("app@".into(), Format),
        ("a..b".into(), Format),
        ("/app".into(), Format),
        ("app:v1 ".into(), Format),
        ("https://ghcr.io/acme/app".into(), Format),
        ("caf\u{e9}".into(), Format),
        (
            format!("app@{}", &digest[..39]),
            Digest(InvalidDigest::Length { algorithm: "sha256", expected: 64 }),
        ),
        (format!("app@blake3:{}", &digest[7..]), Digest(InvalidDigest::Algorithm)),
        (format!("app@{}", digest.to_uppercase()), Digest(InvalidDigest::Format)),
        (format!("app@sha256:{}", digest[7..].to_uppercase()), Digest(InvalidDigest::Format)),
    ];
    for (text, reason) in rows {
        assert_eq!(Reference::normalize(&text), Err(reason), "{text}");
    }
}

#[test]
fn a_stored_name_must_be_canonical_as_it_is() {
    let stored = |text: &str| Reference::canonical(text).is_some();
    assert!(stored("docker.io/library/app:v1"));
    assert!(stored("docker.io/library/app"));
    assert!(stored(&format!("ghcr.io/a/b:1@{}", digest())));
    for text in
        ["app:v1", "docker.io/app:v1", "index.docker.io/library/app:v1", "import-2024-01-01", &digest()]
    {
        assert!(!stored(text), "{text}");
    }
}

/// One line of `tests/tools/reference/vectors.jsonl`.
#[derive(serde::Deserialize)]
struct Vector {
    input: String,
    valid: bool,
    #[serde(default)]
    canonical: String,
    #[serde(default)]
    familiar: String,
    #[serde(default)]
    stored: bool,
}

#[test]
fn the_distribution_library_says_the_same() {
    let lines = include_str!("../../../tests/tools/reference/vectors.jsonl").lines();
    let mut valid = 0;
    for line in lines {
        let vector: Vector = serde_json::from_str(line).unwrap();
        let input = &vector.input;
        let verdict = Reference::normalize(input);
        assert_eq!(verdict.is_ok(), vector.valid, "{input:?}: {verdict:?}");
        assert_eq!(Reference::canonical(input).is_some(), vector.stored, "{input:?}");
        if let Ok(reference) = verdict {
            assert_eq!(reference.to_string(), vector.canonical, "{input:?}");
            assert_eq!(reference.familiar().to_string(), vector.familiar, "{input:?}");
            valid += 1;
        }
    }
    assert!(valid > 100, "only {valid} valid references were compared");
}

/// Text that is a reference more often than not, or nearly one.
fn near_the_grammar() -> impl Strategy<Value = String> {
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
            "A",
            "a1",
            "_",
            "__",
            "-",
            ".",
            "/",
            "/",
            ":",
            ":",
            "@",
            "5000",
            "v1",
            "latest",
            "sha256:",
            "sha512:",
            "\u{e9}",
            " ",
            "*",
            "**",
            "{",
            "}",
            ",",
            "?",
        ][..],
    );
    let hex =
        select(&[4_usize, 31, 32, 63, 64, 65, 96, 128, 255, 256][..]).prop_map(|length| "a".repeat(length));
    let whole =
        "([a-z0-9.]{1,9}(:[0-9]{1,3})?/)?[a-z0-9]{1,4}([._-]{1,2}[a-z]{1,3}){0,2}(:[a-zA-Z0-9._-]{1,5})?";
    prop_oneof![
        2 => vec(prop_oneof![9 => piece.prop_map(str::to_owned), 1 => hex], 0..10).prop_map(|pieces| pieces.concat()),
        1 => whole,
        1 => (whole, "@(sha256|sha512|sha1):[a-f0-9]{62,66}").prop_map(|(name, digest)| name + &digest),
    ]
}

fn check(text: &str) -> Result<(), TestCaseError> {
    if let Ok(reference) = Reference::normalize(text) {
        let canonical = reference.to_string();
        prop_assert_eq!(Reference::canonical(&canonical), Some(reference.clone()));
        prop_assert_eq!(Reference::canonical(text).is_some(), canonical == text);
        prop_assert!(!Pattern::is_pattern(text), "a reference is no pattern");
    }
    let _ = text.parse::<Reference>();
    let _ = text.parse::<Query>();
    let _ = text.parse::<Entry>();
    Ok(())
}

// `PROPTEST_CASES` sets how many inputs each tries.
proptest! {
    #[test]
    fn text_near_the_grammar_is_read_or_refused(text in near_the_grammar()) {
        check(&text)?;
    }

    #[test]
    fn arbitrary_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..80)) {
        check(&String::from_utf8_lossy(&bytes))?;
    }

    #[test]
    fn arbitrary_text_is_read_or_refused(text in any::<String>()) {
        check(&text)?;
    }
}
