//! What people read: refusals of what was written, and the reasons behind a plan.

use std::collections::HashMap;
use std::sync::Arc;

use super::fixture::*;
use crate::image::*;

#[test]
fn an_invalid_entry_says_why_and_what_to_write() {
    let rows = [
        ("App", "not a valid image reference: repository name must be lowercase"),
        ("", "not a valid image reference: it is empty: write a name such as app:v1"),
        ("app:", "not a valid image reference: write it as [registry[:port]/]repository[:tag][@digest]"),
        (
            "app@sha256:abc",
            "not a valid image reference: write it as [registry[:port]/]repository[:tag][@digest]",
        ),
        (
            "app@sha256:0123456789abcdef0123456789abcdef",
            "not a valid image reference: \
             invalid digest length: sha256 has 64 hex digits",
        ),
        ("app *", "not a valid image pattern: a reference has no ' ' in it"),
        (
            "ghcr.io/acme**",
            "not a valid image pattern: `**` stands for whole path components: \
             write it between slashes, as in ghcr.io/acme/**",
        ),
    ];
    for (text, message) in rows {
        assert_eq!(text.parse::<Entry>().map(|_| ()).map_err(|error| error.to_string()), Err(message.into()));
    }
}

#[test]
fn reasons_are_sentences() {
    let others = |count: usize| {
        let record = |tag: usize| {
            Arc::new(Record::new(&format!("docker.io/library/app:v{tag}"), image("a1"), &HashMap::new()))
        };
        Reason::OtherReferences(Others::of(&(0..count).map(record).collect::<Vec<_>>()))
    };
    let rows = [
        (others(2), "only the name goes: the image is also app:v0, app:v1"),
        (
            others(1_000),
            "only the name goes: the image is also app:v0, app:v1, app:v2, app:v3, app:v4 and 995 more",
        ),
        (Reason::KeptForContainer("0d3f".into()), "only the name goes: container 0d3f uses the image"),
        (Reason::KeptForChildren, "only the name goes: other images were built on this one"),
        (Reason::Unparsable("odd name".into()), "\"odd name\" is no reference and goes with the image"),
        (Reason::ParentNamed(image("a1")), "pruning stops at parent a1a1a1a1a1a1: it has a name"),
    ];
    for (reason, sentence) in rows {
        assert_eq!(reason.to_string(), sentence);
    }
}
