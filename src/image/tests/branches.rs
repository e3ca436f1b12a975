//! "Choose the branch" and "Same references" on whole nodes; `same.rs` has the table of names alone.

use super::fixture::*;
use crate::image::*;

fn node() -> Node {
    Node::default()
}

/// The node `a1` with these records, used by a running container.
fn used(names: &[&str]) -> Node {
    node().image("a1", names).container(running("0d3f", by_config("a1")))
}

#[test]
fn branch_1_by_id_deletes_the_image() {
    let id = || digest("a1").to_string();
    check([
        ("one tag", node().image("a1", &["app:v1"]), id(), "-app:v1 !a1"),
        (
            "a tag and its digest",
            node().image("a1", &["app:v1", "app@", "identity"]),
            id(),
            "-identity -app:v1 -app@ !a1",
        ),
        (
            "a tag with its digest in one name",
            node().image("a1", &["app:v1", "app:v1@"]),
            id(),
            "-app:v1 -app:v1@ !a1",
        ),
        (
            "two tags",
            node().image("a1", &["app:v1", "app:v2"]),
            id(),
            "conflict: unable to delete a1a1a1a1a1a1 (must be forced) - image is referenced in multiple repositories",
        ),
        (
            "two repositories",
            node().image("a1", &["app:v1", "x.io/app:v1", "identity"]),
            id(),
            "conflict: unable to delete a1a1a1a1a1a1 (must be forced) - image is referenced in multiple repositories",
        ),
        (
            "two repositories, forced",
            node().image("a1", &["app@", "app:v1", "x.io/app:v1", "identity"]).force(),
            id(),
            "-identity -app:v1 -x.io/app:v1 -app@ !a1",
        ),
        (
            "two tags by prefix, forced",
            node().image("a1", &["app:v1", "app:v2"]).force(),
            "a1a1".into(),
            "-app:v1 -app:v2 !a1",
        ),
        (
            "names that are none go too",
            node().image("a1", &["=odd", "app:v1", "dangling"]),
            id(),
            "-app:v1 -dangling -odd !a1",
        ),
        ("only such a name", node().image("a1", &["=odd"]), id(), "-odd !a1"),
    ]);
}

#[test]
fn branch_2_by_name_with_other_names_untags() {
    check([
        ("another tag", node().image("a1", &["app:v1", "app:v2", "identity"]), "app:v1".into(), "-app:v1"),
        (
            "another tag keeps the digest",
            node().image("a1", &["app:v1", "app:v2", "app@"]),
            "app:v1".into(),
            "-app:v1",
        ),
        (
            "another repository",
            node().image("a1", &["app:v1", "app@", "x.io/a:1"]),
            "app:v1".into(),
            "-app:v1 -app@",
        ),
        (
            "another registry of one path",
            node().image("a1", &["app:v1", "ghcr.io/library/app:v1"]),
            "app:v1".into(),
            "-app:v1",
        ),
        (
            "a digest takes all tags",
            node().image("a1", &["app:v1", "app:v2", "app@", "x.io/a:1"]),
            format!("app@{}", digest("a1")),
            "-app:v1 -app:v2 -app@",
        ),
        (
            "a name with both is its tag",
            node().image("a1", &["app:v1@", "app:v2"]),
            format!("app:v1@{}", digest("a1")),
            "-app:v1@",
        ),
        (
            "odd names join",
            node().image("a1", &["=odd", "app:v1", "app:v2", "dangling"]),
            "app:v2".into(),
            "-app:v2 -dangling -odd",
        ),
        ("a container does not matter", used(&["app:v1", "app:v2"]), "app:v1".into(), "-app:v1"),
        ("nor does forcing", used(&["app:v1", "app:v2"]).force(), "app:v1".into(), "-app:v1"),
        (
            "nor does a pod that waits",
            node().image("a1", &["app:v1", "app:v2"]).pod("shop/cart", &["app:v1"]),
            "app:v1".into(),
            "-app:v1",
        ),
    ]);
    let plan = used(&["app:v1", "app:v2", "=odd"]).verdict("app:v1").unwrap();
    assert_eq!(plan.fate, Fate::Untagged);
    let reasons: Vec<_> = plan.reasons.iter().map(ToString::to_string).collect();
    assert_eq!(
        reasons,
        ["only the name goes: the image is also app:v2", "\"odd\" is no reference and goes with the image"]
    );
}

#[test]
fn branch_3_by_a_digest_that_is_no_record_deletes_the_image() {
    let by_digest = || format!("app@{}", digest("a1"));
    check([
        (
            "all tags of the repository",
            node().image("a1", &["app:v1", "app:v2", "identity"]),
            by_digest(),
            "-identity -app:v1 -app:v2 !a1",
        ),
        (
            "the table of conflicts decides, not the used name",
            used(&["app:v1"]),
            by_digest(),
            "conflict: unable to delete a1a1a1a1a1a1 (cannot be forced) - image is being used by running container 0d3f0d3f0d3f",
        ),
        (
            "and forcing is no soft delete",
            used(&["app:v1"]).force(),
            by_digest(),
            "conflict: unable to delete a1a1a1a1a1a1 (cannot be forced) - image is being used by running container 0d3f0d3f0d3f",
        ),
        ("not all: untag", used(&["app:v1", "x.io/a:1"]), by_digest(), "-app:v1"),
        (
            "children do not matter",
            node().image("a1", &["app:v1"]).child("a1", "b2", &["web:v1"]),
            by_digest(),
            "-app:v1 !a1",
        ),
    ]);
}

#[test]
fn branch_4_by_the_last_name_of_an_image_in_use() {
    let by = |id, state| container(id, state, by_config("a1"));
    check([
        (
            "not forced",
            used(&["app:v1", "identity"]),
            "app:v1".into(),
            "conflict: unable to delete app:v1 (must be forced) - container 0d3f0d3f0d3f is using its referenced image a1a1a1a1a1a1",
        ),
        (
            "every container is told, running ones first",
            node()
                .image("a1", &["app:v1"])
                .container(by("b0", State::Stopped))
                .container(by("e0", State::Running))
                .container(by("d0", State::Running)),
            "app:v1".into(),
            "conflict: unable to delete app:v1 (must be forced) - container d0d0d0d0d0d0 is using its referenced image a1a1a1a1a1a1; \
             conflict: unable to delete app:v1 (must be forced) - container e0e0e0e0e0e0 is using its referenced image a1a1a1a1a1a1; \
             conflict: unable to delete app:v1 (must be forced) - container b0b0b0b0b0b0 is using its referenced image a1a1a1a1a1a1",
        ),
        ("forced: under a dangling record", used(&["app:v1"]).force(), "app:v1".into(), "+dangling -app:v1"),
        (
            "forced: under its identity record",
            used(&["app:v1", "identity"]).force(),
            "app:v1".into(),
            "-app:v1",
        ),
        ("forced: under its digest", used(&["app:v1", "app@"]).force(), "app:v1".into(), "-app:v1"),
        (
            "forced: under the dangling record it has",
            used(&["app:v1", "dangling"]).force(),
            "app:v1".into(),
            "-app:v1",
        ),
        ("forced: under an odd name", used(&["app:v1", "=odd"]).force(), "app:v1".into(), "-app:v1"),
        (
            "forced: the digest's own name",
            used(&["app@"]).force(),
            format!("app@{}", digest("a1")),
            "+dangling -app@",
        ),
        (
            "forced: a stopped container keeps the content too",
            node().image("a1", &["app:v1"]).container(stopped("0d3f", by_config("a1"))).force(),
            "app:v1".into(),
            "+dangling -app:v1",
        ),
        (
            "not in use",
            node().image("a1", &["app:v1", "app@", "identity"]),
            "app:v1".into(),
            "-identity -app:v1 -app@ !a1",
        ),
        (
            "another image in use",
            node()
                .image("a1", &["app:v1"])
                .image("b2", &["api:v1"])
                .container(running("0d3f", by_config("b2"))),
            "app:v1".into(),
            "-app:v1 !a1",
        ),
    ]);
    let plan = used(&["app:v1"]).force().verdict("app:v1").unwrap();
    assert_eq!(plan.fate, Fate::Untagged);
    assert_eq!(plan.report(), [Removal::Untagged("app:v1".into())]);
    assert_eq!(plan.reasons, [Reason::KeptForContainer("0d3f0d3f0d3f".into())]);
}

#[test]
fn the_kept_record_has_the_labels_of_the_name() {
    let node = Node::default()
        .labelled("a1", &["app:v1"], &[("org.mobyproject.image.parent", digest("d4").as_str())])
        .container(running("0d3f", by_config("a1")))
        .force();
    let plan = node.verdict("app:v1").unwrap();
    let mut inventory = node.inventory();
    inventory.apply(&plan);
    let left: Vec<_> = inventory.records().collect();
    assert_eq!(left.len(), 1);
    assert_eq!(&*left[0].name, dangling_name(&image("a1")));
    assert_eq!(left[0].kind, Kind::Dangling);
    assert_eq!(left[0].target, image("a1"));
    assert_eq!(left[0].parent, Some(image("d4")));
    assert_eq!(inventory.is_dangling(&image("a1")), Ok(true));
}

/// Rule 5 shows only in what happens to children: the check is on for one record found by its exact name.
#[test]
fn rule_5_says_when_several_references_block() {
    let with_child = |names: &[&str]| node().image("a1", names).child("a1", "b2", &["web:v1"]);
    check([
        ("one record by its exact name", with_child(&["app:v1"]), "app:v1".into(), "+dangling -app:v1"),
        ("more than one record", with_child(&["app:v1", "app@"]), "app:v1".into(), "-app:v1 -app@ !a1"),
        ("by ID", with_child(&["app:v1"]), "a1a1".into(), "-app:v1 !a1"),
        ("forced", with_child(&["app:v1"]).force(), "app:v1".into(), "-app:v1 !a1"),
    ]);
}
