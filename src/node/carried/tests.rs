use std::collections::HashMap;

use tonic::Status;

use super::*;
use crate::image::{Fate, Meant, Removal};

fn image(digit: &str) -> ImageId {
    format!("sha256:{}", digit.repeat(64)).parse().unwrap()
}

fn record(name: &str, digit: &str) -> Arc<Record> {
    Arc::new(Record::new(name, image(digit), &HashMap::new()))
}

/// An image with a tag and an identity record goes, and then its dangling parent.
fn family() -> Carried {
    let remove = |name: &str, digit, untagged: Option<&str>| Step::Remove {
        record: record(name, digit),
        untagged: untagged.map(str::to_owned),
    };
    let steps = vec![
        remove("identity", "a", None),
        remove("docker.io/library/app:v1", "a", Some("app:v1")),
        Step::Deleted(image("a")),
        remove("dangling", "b", None),
        Step::Deleted(image("b")),
    ];
    let plan =
        Plan { image: image("a"), meant: Meant::Name, fate: Fate::Deleted, steps, reasons: Vec::new() };
    Carried::new(0, "app:v1".to_owned(), plan)
}

fn names(names: &[&str]) -> BTreeSet<Arc<str>> {
    names.iter().map(|name| (*name).into()).collect()
}

fn deleted(digit: &str) -> Removal {
    Removal::Deleted(image(digit))
}

fn untagged() -> Removal {
    Removal::Untagged("app:v1".to_owned())
}

const OWN: [&str; 2] = ["identity", "docker.io/library/app:v1"];

#[test]
fn what_is_told_is_what_went_by_this() {
    let refused = || Some(CallError::status("images.Delete", "dangling", &Status::internal("no")));
    let moved = || vec![("docker.io/library/app:v1".into(), image("c").to_string())];
    let all = [&OWN[..], &["dangling"]].concat();
    let rows = [
        (
            Carried { removed: names(&all), ..family() },
            Outcome::Deleted,
            vec![untagged(), deleted("a"), deleted("b")],
        ),
        // The parent could not go.
        (
            Carried { removed: names(&OWN), failed: refused(), ..family() },
            Outcome::Failed,
            vec![untagged(), deleted("a")],
        ),
        // The image itself could not go.
        (Carried { removed: names(&OWN[..1]), failed: refused(), ..family() }, Outcome::Failed, vec![]),
        // Others had removed it, and its parent went by this.
        (Carried { removed: names(&["dangling"]), ..family() }, Outcome::Deleted, vec![deleted("b")]),
        (family(), Outcome::Absent, vec![]),
        // Its only name was moved, and nothing else keeps it.
        (
            Carried { moved: moved(), removed: names(&["dangling"]), ..family() },
            Outcome::Deleted,
            vec![deleted("a"), deleted("b")],
        ),
    ];
    for (carried, outcome, removals) in rows {
        let result = Carried { begun: true, ..carried }.result();
        assert_eq!((result.outcome, &result.removals), (outcome, &removals), "{:?}", result.messages);
    }
}

#[test]
fn parents_that_are_spared_stay_with_the_image() {
    let mut carried = Carried { begun: true, removed: names(&OWN), ..family() };
    carried.spare_after(&image("a"));
    assert!(carried.went(&image("a")) && !carried.went(&image("b")));
    assert!(!carried.is_due(&record("dangling", "b")));
    assert!(carried.result().messages.is_empty(), "they are not what was asked for");

    let mut gone = Carried { begun: true, removed: names(&[&OWN[..], &["dangling"]].concat()), ..family() };
    gone.spare_after(&image("a"));
    assert!(gone.went(&image("b")), "it had gone already");
}
