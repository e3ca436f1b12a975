//! What nothing uses, and that asking for it deletes just that.

use proptest::prelude::*;

use super::arbitrary::{Case, case};
use super::fixture::*;
use crate::image::*;

fn selected(node: &Node, scope: Scope) -> Vec<Idle> {
    idle(&node.inventory(), scope, &node.rules, |_| true).unwrap()
}

/// The entries that are selected, and what is decided for each.
fn outcomes(node: &Node, scope: Scope) -> Vec<(String, String)> {
    let request = Request {
        entries: selected(node, scope).iter().map(Idle::entry).collect(),
        rules: node.rules.clone(),
    };
    let decisions = decide(&node.inventory(), &request).unwrap();
    let texts = request.entries.iter().map(|entry| entry.text.clone());
    texts.zip(decisions.iter().map(|decision| node.show(&decision.verdict))).collect()
}

fn check(rule: &str, node: &Node, scope: Scope, expected: &[(&str, &str)]) {
    let expected: Vec<_> =
        expected.iter().map(|(entry, outcome)| ((*entry).to_owned(), (*outcome).to_owned())).collect();
    assert_eq!(outcomes(node, scope), expected, "{rule}");
}

#[test]
fn dangling_images_are_selected_by_themselves() {
    let node = Node::default()
        .image("a1", &["dangling"])
        .image("a2", &["identity"])
        .image("a3", &["dangling", "identity"])
        .image("a4", &["app:v1", "identity"])
        .image("a5", &["=odd"]);
    let ids = ["a1", "a2", "a3"].map(|id| image(id).to_string());
    let expected =
        [(&*ids[0], "-dangling !a1"), (&*ids[1], "-identity !a2"), (&*ids[2], "-identity -dangling !a3")];
    check("the three kinds", &node, Scope::Dangling, &expected);
}

#[test]
fn unused_images_are_asked_for_with_all_their_names() {
    let node = Node::default()
        .image("a1", &["app:v1", "app:v2", "ghcr.io/acme/app:v1", "identity"])
        .image("a2", &["api:v1", "api@"])
        .image("a3", &["web@", "=odd"])
        .image("a4", &["=odder"]);
    let web = format!("web@{}", image("a3"));
    let odder = image("a4").to_string();
    let expected = [
        ("app:v1", "-identity -app:v1 -app:v2 -ghcr.io/acme/app:v1 !a1"),
        ("api:v1", "-api:v1 -api@ !a2"),
        (&*web, "-odd -web@ !a3"),
        (&*odder, "-odder !a4"),
    ];
    check("each shape of names", &node, Scope::Unused, &expected);
}

#[test]
fn what_is_used_or_held_is_not_selected() {
    let app = || Node::default().image("a1", &["app:v1", "app:v2"]);
    let rows = [
        ("running", app().container(running("d1", by_config("a1")))),
        ("stopped", app().container(stopped("d1", by_config("a1")))),
        ("a volume", app().container(running("d1", by_name("other")).with_volume(by_name("app:v2")))),
        ("needed by a pod", app().pod("shop/cart", &["app:v1"])),
        ("one name pinned", Node::default().image("a1", &["app:v1"]).pinned("a1", &["app:v2"])),
        ("one name protected", app().protect("app:v2")),
        ("forcing makes no difference", app().container(stopped("d1", by_config("a1"))).force()),
    ];
    for (rule, node) in rows {
        check(rule, &node, Scope::Unused, &[]);
    }
    check("control", &app(), Scope::Unused, &[("app:v1", "-app:v1 -app:v2 !a1")]);
}

#[test]
fn every_name_must_let_its_image_go_but_the_identity_counts_only_alone() {
    let node = Node::default()
        .image("a1", &["app:v1", "app:v2"])
        .image("a2", &["api:v1", "identity"])
        .image("a3", &["identity"]);
    let images = |may_go: &dyn Fn(&Record) -> bool| -> Vec<ImageId> {
        let found = idle(&node.inventory(), Scope::Unused, &node.rules, may_go).unwrap();
        found.into_iter().map(|idle| idle.image).collect()
    };
    let all = ["a1", "a2", "a3"].map(image);
    assert_eq!(images(&|_| true), all);
    assert_eq!(images(&|record| !record.name.ends_with("app:v2")), all[1..]);
    assert_eq!(images(&|record| record.reference().is_some()), all[..2]);
}

#[test]
fn what_changed_since_it_was_found_idle_is_safe() {
    let before = Node::default().image("a1", &["app:v1", "app:v2"]);
    let entries = selected(&before, Scope::Unused).iter().map(Idle::entry).collect();
    let request = Request { entries, rules: Rules::default() };
    let app = || Node::default().image("a1", &["app:v1", "app:v2"]);
    let rows = [
        ("control", app(), "-app:v1 -app:v2 !a1"),
        (
            "it is used",
            app().container(running("d1", by_config("a1"))),
            "image is being used by running container d1d1d1d1d1d1",
        ),
        ("a pod needs it", app().pod("shop/cart", &["app:v2"]), "image is needed by pod shop/cart"),
        (
            "it has a new name",
            app().image("a1", &["new:v1"]),
            "(cannot be forced) - image was given another name meanwhile",
        ),
        (
            "it has only a new name",
            Node::default().image("a1", &["new:v1"]),
            "(cannot be forced) - image was given another name meanwhile",
        ),
        ("a name moved", Node::default().image("a1", &["app:v1"]).image("a2", &["app:v2"]), "-app:v1 !a1"),
        (
            "it lost its names",
            Node::default().image("a1", &["identity"]).image("a2", &["app:v1"]),
            "-identity !a1",
        ),
        ("it is gone", Node::default().image("a2", &["app:v1"]), &*format!("No such image: {}", image("a1"))),
    ];
    for (rule, now, expected) in rows {
        let decisions = decide(&now.inventory(), &request).unwrap();
        let verdict = now.show(&decisions[0].verdict);
        assert!(verdict == expected || verdict.ends_with(expected), "{rule}: {verdict}");
    }
}

proptest! {
    #[test]
    fn deleting_what_is_idle_takes_those_images_whole_and_no_other(case in case(), unused in any::<bool>()) {
        let Case { mut node, .. } = case;
        node.rules.force = false;
        node.rules.prune = false;
        let scope = if unused { Scope::Unused } else { Scope::Dangling };
        let found = selected(&node, scope);
        let before = node.inventory();
        let mut after = before.clone();
        let entries = found.iter().map(Idle::entry).collect();
        let request = Request { entries, rules: node.rules.clone() };
        for decision in decide(&before, &request).unwrap() {
            after.apply(&decision.verdict.unwrap());
        }
        for image in before.images() {
            let selected = found.iter().any(|idle| idle.image == *image);
            prop_assert_eq!(after.has_image(image), !selected, "{}", image);
            prop_assert!(!selected || before.usage().containers(&before, image).unwrap().is_empty());
        }
        // What can't be read may be used by a container of which it is clear, without another image, that it does not.
        let is_legible = node.contents.values().all(|content| content.illegible.is_none());
        let nothing = idle(&after, scope, &node.rules, |_| true).unwrap();
        prop_assert!(nothing.is_empty() || !is_legible, "{:?}", nothing);
    }
}
