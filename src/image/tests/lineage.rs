//! "Delete the image": its order, children, and parents that are pruned.

use super::fixture::*;
use crate::image::*;

#[test]
fn the_identity_goes_first_then_tags_then_digests() {
    let node = Node::default().image("a1", &["app@", "identity", "dangling", "=odd", "app:v1@", "app:v1"]);
    assert_eq!(node.outcome("app:v1"), "-identity -app:v1 -app:v1@ -dangling -odd -app@ !a1");
    let plan = node.verdict("app:v1").unwrap();
    let untagged = |name: &str| Removal::Untagged(name.replace('@', &format!("@{}", image("a1"))));
    assert_eq!(
        plan.report(),
        [
            untagged("app:v1"),
            untagged("app:v1@"),
            untagged("odd"),
            untagged("app@"),
            Removal::Deleted(image("a1")),
        ]
    );
    assert_eq!(plan.reasons, [Reason::Unparsable("odd".into())]);
}

#[test]
fn a_digest_name_that_is_no_config_is_a_name_like_any_other() {
    let node = Node::default().image("a1", &["app:v1", &format!("={}", digest("d4"))]);
    let plan = node.verdict("app:v1").unwrap();
    assert_eq!(
        plan.report(),
        [
            Removal::Untagged("app:v1".into()),
            Removal::Untagged(digest("d4").to_string()),
            Removal::Deleted(image("a1")),
        ]
    );
}

#[test]
fn a_parent_keeps_its_content_for_its_children() {
    let parent = |names: &[&str]| Node::default().image("a1", names).child("a1", "b2", &["web:v1"]);
    check([
        ("its last name", parent(&["app:v1"]), "app:v1".into(), "+dangling -app:v1"),
        ("under its identity record", parent(&["app:v1", "identity"]), "app:v1".into(), "-app:v1"),
        ("already dangling: it goes", parent(&["dangling"]), "a1a1".into(), "-dangling !a1"),
        (
            "an image that names itself as parent has no child",
            Node::default().child("a1", "a1", &["app:v1"]),
            "app:v1".into(),
            "-app:v1 !a1",
        ),
        (
            "layers in common make no child",
            Node::default()
                .image("a1", &["app:v1"])
                .layers("a1", &["1"])
                .image("b2", &["web:v1"])
                .layers("b2", &["1", "2"]),
            "app:v1".into(),
            "-app:v1 !a1",
        ),
    ]);
    let plan = parent(&["app:v1"]).verdict("app:v1").unwrap();
    assert_eq!((plan.fate, plan.reasons), (Fate::Untagged, vec![Reason::KeptForChildren]));
    assert_eq!(plan.steps[0].report(), None);
}

/// An image `a1` on dangling parents by label: `b2`, then `d4`.
fn written() -> Node {
    Node::default()
        .child("b2", "a1", &["app:v1"])
        .child("d4", "b2", &["dangling"])
        .image("d4", &["dangling"])
        .prune()
}

/// An image `a1` of three layers, on dangling parents of two (`b2`) and of one (`d4`).
fn layered() -> Node {
    Node::default()
        .image("a1", &["app:v1"])
        .layers("a1", &["1", "2", "3"])
        .image("b2", &["dangling"])
        .layers("b2", &["1", "2"])
        .image("d4", &["identity"])
        .layers("d4", &["1"])
        .prune()
}

#[test]
fn dangling_parents_go_nearest_first() {
    let not_asked = |mut node: Node| {
        node.rules.prune = false;
        node
    };
    check([
        ("by label", written(), "app:v1".into(), "-app:v1 !a1 -dangling !b2 -dangling !d4"),
        ("by layers", layered(), "app:v1".into(), "-app:v1 !a1 -dangling !b2 -identity !d4"),
        ("by ID", layered(), "a1a1".into(), "-app:v1 !a1 -dangling !b2 -identity !d4"),
        ("forced", layered().force(), "app:v1".into(), "-app:v1 !a1 -dangling !b2 -identity !d4"),
        ("not asked", not_asked(written()), "app:v1".into(), "-app:v1 !a1"),
        ("an untagged image keeps them", layered().image("a1", &["app:v2"]), "app:v1".into(), "-app:v1"),
        (
            "labels first, then layers, each once",
            layered().child("d4", "a1", &["app@"]),
            "app:v1".into(),
            "-app:v1 -app@ !a1 -identity !d4 -dangling !b2",
        ),
        (
            "a child with two names",
            layered().image("a1", &["app@", "identity"]),
            "app:v1".into(),
            "-identity -app:v1 -app@ !a1 -dangling !b2 -identity !d4",
        ),
        (
            "labels in a circle",
            written().child("a1", "d4", &["identity"]),
            "a1a1".into(),
            "-app:v1 !a1 -dangling !b2 -identity -dangling !d4",
        ),
        (
            "a label of an image that is not here, then layers",
            layered().child("e5", "a1", &["app@"]),
            "app:v1".into(),
            "-app:v1 -app@ !a1 -dangling !b2 -identity !d4",
        ),
        (
            "several platforms",
            layered().platforms("a1", &[("ca1", &["7"]), ("cb3", &["1", "2", "3"])]),
            "app:v1".into(),
            "-app:v1 !a1 -dangling !b2 -identity !d4",
        ),
    ]);
}

#[test]
fn pruning_stops_quietly() {
    let named = || layered().image("b2", &["base:v1"]);
    check([
        ("a parent with a name", named(), "app:v1".into(), "-app:v1 !a1"),
        (
            "a parent with a name that is none",
            layered().image("b2", &["=odd"]),
            "app:v1".into(),
            "-app:v1 !a1",
        ),
        (
            "a parent in use",
            layered().container(running("0d", by_config("b2"))),
            "app:v1".into(),
            "-app:v1 !a1",
        ),
        (
            "the second in use",
            layered().container(running("0d", by_config("d4"))),
            "app:v1".into(),
            "-app:v1 !a1 -dangling !b2",
        ),
        (
            "a stopped container, forced",
            layered().container(stopped("0d", by_config("b2"))).force(),
            "app:v1".into(),
            "-app:v1 !a1",
        ),
        (
            "a pinned parent, forced",
            layered().pinned("b2", &["identity"]).force(),
            "app:v1".into(),
            "-app:v1 !a1",
        ),
        (
            "a pod needs it",
            layered().pod("shop/cart", &[config("b2").as_str()]),
            "app:v1".into(),
            "-app:v1 !a1",
        ),
        (
            "no proper prefix: the same layers",
            layered().layers("b2", &["1", "2", "3"]),
            "app:v1".into(),
            "-app:v1 !a1 -identity !d4",
        ),
        (
            "no prefix: other layers",
            layered().layers("b2", &["2", "3"]),
            "app:v1".into(),
            "-app:v1 !a1 -identity !d4",
        ),
        (
            "no prefix: more layers",
            layered().layers("b2", &["1", "2", "3", "4"]),
            "app:v1".into(),
            "-app:v1 !a1 -identity !d4",
        ),
        (
            "no layers: nothing is known of it",
            layered().layers("d4", &[]),
            "app:v1".into(),
            "-app:v1 !a1 -dangling !b2",
        ),
        ("an image without layers", layered().layers("a1", &[]), "app:v1".into(), "-app:v1 !a1"),
        ("an image that cannot be read", layered().unreadable("a1"), "app:v1".into(), "-app:v1 !a1"),
    ]);
    let reasons = |node: Node| node.verdict("app:v1").unwrap().reasons;
    assert_eq!(reasons(named()), [Reason::ParentNamed(image("b2"))]);
    let held = reasons(layered().container(running("0d", by_config("b2"))));
    assert_eq!(
        held.iter().map(ToString::to_string).collect::<Vec<_>>(),
        ["pruning stops at a parent: conflict: unable to delete b2b2b2b2b2b2 (cannot be forced) - \
          image is being used by running container 0d0d0d0d0d0d"]
    );
}

#[test]
fn without_a_dangling_image_pruning_reads_nothing_more() {
    let node = Node::default()
        .image("a1", &["app:v1"])
        .layers("a1", &["1", "2"])
        .image("b2", &["base:v1"])
        .layers("b2", &["1"])
        .prune();
    let mut inventory = node.unread();
    let request = node.request(&["app:v1"]);
    assert_eq!(decide(&inventory, &request), Err(Unread::content(&image("a1"))));
    inventory.learn(image("a1"), node.contents[&image("a1")].clone().into());
    assert_eq!(decide(&inventory, &request).unwrap(), node.decide(&["app:v1"]));
}
