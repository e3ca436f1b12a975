//! Decisions on a part of the records: the same as on all of them, or none.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::arbitrary::{Case, case};
use super::fixture::*;
use crate::image::*;

/// Decides on as little as the decisions ask for, and says how far that reaches.
fn decide_on_little(node: &Node, request: &Request) -> (Vec<Decision>, Reach) {
    let mut inventory = node.without_records();
    let mut reach = Reach::NONE;
    let mut contents = BTreeSet::new();
    loop {
        let unread = match decide(&inventory, request) {
            Ok(decisions) => return (decisions, reach),
            Err(unread) => unread,
        };
        let before = (reach.clone(), contents.clone());
        reach.extend(unread.records.clone());
        contents.extend(unread.contents.iter().cloned());
        assert_ne!(before, (reach.clone(), contents.clone()), "it asks for {unread:?} again");
        let found = node.within(&unread.records);
        inventory.learn_records(unread.records, found);
        for image in unread.contents {
            inventory.learn(image.clone(), Arc::new(node.contents[&image].clone()));
        }
    }
}

proptest! {
    #[test]
    fn a_part_of_the_records_decides_as_all_of_them_do(case in case()) {
        let (decisions, _) = decide_on_little(&case.node, &case.request());
        prop_assert_eq!(decisions, case.node.decide(&case.entries.iter().map(String::as_str).collect::<Vec<_>>()));
    }

    #[test]
    fn names_take_no_look_at_all_records(case in case()) {
        let mut request = case.request();
        request.rules.prune = false;
        // Of an image that can't be read it takes all of them to say that nobody uses it.
        let is_legible = case.node.contents.values().all(|content| content.illegible.is_none());
        if is_legible && request.reach() != Reach::All {
            prop_assert_ne!(decide_on_little(&case.node, &request).1, Reach::All);
        }
    }

    #[test]
    fn pruning_only_adds_to_a_plan_what_can_be_left_out(case in case().prop_map(Case::first)) {
        let mut request = case.request();
        request.rules.prune = false;
        let alone = decide(&case.node.inventory(), &request).unwrap();
        request.rules.prune = true;
        let pruning = decide(&case.node.inventory(), &request).unwrap();
        for (alone, pruning) in alone.into_iter().zip(pruning).take(1) {
            match (alone.verdict, pruning.verdict) {
                (Ok(alone), Ok(mut pruning)) => {
                    pruning.spare_parents();
                    prop_assert_eq!(alone.steps, pruning.steps);
                }
                (alone, pruning) => prop_assert_eq!(alone, pruning),
            }
        }
    }
}

/// A node on which a name, a digest, a tag of another image and the name of a container lead elsewhere.
fn node() -> Node {
    Node::default()
        .image("a1", &["app:v1", "identity"])
        .image("b2", &["web:v1", "web:v2"])
        .child("b2", "e5", &["shop:v1"])
        .container(running("0d", by_name("web:v2")))
}

#[test]
fn only_what_is_named_or_in_use_is_read() {
    let in_use = ["web:v2", "docker.io/library/web:v2"];
    let id = digest("a1").to_string();
    let rows: &[(&str, Option<&str>, &[&str])] = &[
        ("app:v1", Some("docker.io/library/app:v1"), &["a1"]),
        ("web:v1", Some("docker.io/library/web:v1"), &["b2"]),
        ("none:v1", Some("docker.io/library/none:v1"), &[]),
        (&id, None, &["a1"]),
    ];
    for (entry, name, images) in rows {
        let mut expected = Reach::names(name.iter().copied().chain(in_use));
        images.iter().for_each(|id| expected.extend(Reach::image(&image(id))));
        let (_, reach) = decide_on_little(&node(), &node().request(&[entry]));
        assert_eq!(reach, expected, "{entry}");
    }
    let all = ["app:*", "a1a1", &config("a1").to_string()];
    for entry in all {
        assert_eq!(decide_on_little(&node(), &node().request(&[entry])).1, Reach::All, "{entry}");
    }
}

#[test]
fn what_was_not_read_is_never_taken_for_absent() {
    let mut inventory = node().without_records();
    let lacking = |reach: Reach| Some(Unread::records(reach));
    let name = "docker.io/library/app:v1";
    assert_eq!(inventory.record(name).err(), lacking(Reach::names([name])));
    assert_eq!(inventory.has_image(&image("a1")).err(), lacking(Reach::image(&image("a1"))));
    assert_eq!(inventory.records().err(), lacking(Reach::All));

    let named = Reach::names([name]);
    inventory.learn_records(named.clone(), node().within(&named));
    assert!(inventory.record(name).unwrap().is_some());
    assert_eq!(inventory.has_image(&image("a1")), Ok(true));
    assert_eq!(inventory.records_of(&image("a1")).err(), lacking(Reach::image(&image("a1"))));
    assert_eq!(inventory.has_image(&image("b2")).err(), lacking(Reach::image(&image("b2"))));

    let none = Reach::names(["odd"]);
    inventory.learn_records(none.clone(), node().within(&none));
    assert_eq!(inventory.record("odd"), Ok(None));
}

#[test]
fn a_record_that_moved_between_two_looks_is_unread_again() {
    let name = "docker.io/library/app:v1";
    let (named, of_image) = (Reach::names([name]), Reach::image(&image("a1")));
    let mut inventory = node().without_records();
    inventory.learn_records(named.clone(), node().within(&named));
    inventory.learn_records(of_image.clone(), Node::default().image("b2", &["app:v1"]).within(&of_image));
    assert_eq!(inventory.has_image(&image("a1")), Ok(false));
    assert_eq!(inventory.record(name).err(), Some(Unread::records(named.clone())));

    inventory.learn_records(named.clone(), Vec::new());
    assert_eq!(inventory.record(name), Ok(None));
}
