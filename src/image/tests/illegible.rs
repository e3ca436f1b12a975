//! Images of which something is there and can't be read: who uses them is not certain, and nothing else is held up by them.

use super::fixture::*;
use crate::image::*;

const UNCERTAIN: &str = ", for its content cannot be read: \
    sha256:a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1 is no JSON object in UTF-8";

/// An image of which nothing can be read, and one that is as it should be.
fn node() -> Node {
    Node::default()
        .image("a1", &["app:v1"])
        .unreadable("a1")
        .illegible("a1")
        .image("b2", &["web:v1", "identity"])
}

fn users(node: &Node, id: &str) -> usize {
    let inventory = node.inventory();
    inventory.usage().containers(&inventory, &image(id)).unwrap().len()
}

#[test]
fn whoever_no_image_accounts_for_may_use_it() {
    let of = |evidence: Evidence| node().container(running("0d", evidence));
    let rows = [
        ("a config that nothing has", of(Evidence::Config(digest("d4"))), 1),
        ("a root that nothing has", of(by_chain(&["7"], "")), 1),
        ("a root that nothing has, and the name of another image", of(by_chain(&["7"], "web:v1")), 1),
        ("its own name", of(by_chain(&["7"], "app:v1")), 1),
        ("a name that is gone", of(by_name("gone:v1")), 1),
        ("a digest that is gone", of(by_name(digest("d4").as_str())), 1),
        ("another image's config", of(by_config("b2")), 0),
        ("another image's root", of(by_chain(&["b20"], "")), 0),
        ("another image's name", of(by_name("web:v1")), 0),
        ("another image's digest", of(by_name(digest("b2").as_str())), 0),
        (
            "an identity record that tells the config of an image that can't be read either",
            of(Evidence::Config(digest("d4"))).image("e5", &[&format!("={}", digest("d4"))]).unreadable("e5"),
            0,
        ),
        (
            "a record that is no identity: its image has another config",
            of(Evidence::Config(digest("d4"))).image("e5", &[&format!("={}", digest("d4"))]),
            1,
        ),
        (
            "the named image hides its roots too",
            of(by_chain(&["7"], "api:v1")).image("e5", &["api:v1"]).unreadable("e5"),
            0,
        ),
    ];
    for (case, node, expected) in rows {
        assert_eq!(users(&node, "a1"), expected, "{case}");
        assert_eq!(users(&node, "b2"), usize::from(case.starts_with("another")), "{case}");
    }
    let volume = running("0d", by_config("b2")).with_volume(Evidence::Config(digest("d4")));
    assert_eq!(users(&node().container(volume), "a1"), 1, "an image volume");
}

#[test]
fn it_is_not_deleted_while_a_running_container_may_use_it() {
    let held = || node().container(running("0d3f", Evidence::Config(digest("d4"))));
    let hard = "conflict: unable to delete a1a1a1a1a1a1 (cannot be forced) - \
                image may be used by running container 0d3f0d3f0d3f";
    check([
        ("by ID", held(), "a1a1".into(), &*format!("{hard}{UNCERTAIN}").leak()),
        ("by ID, forced", held().force(), "a1a1".into(), format!("{hard}{UNCERTAIN}").leak()),
        (
            "by name",
            held(),
            "app:v1".into(),
            format!(
                "conflict: unable to delete app:v1 (must be forced) - container 0d3f0d3f0d3f may be using its \
                 referenced image a1a1a1a1a1a1{UNCERTAIN}"
            )
            .leak(),
        ),
        ("by name, forced: the content stays", held().force(), "app:v1".into(), "+dangling -app:v1"),
        (
            "stopped",
            node().container(stopped("e1", Evidence::Config(digest("d4")))),
            "a1a1".into(),
            format!(
                "conflict: unable to delete a1a1a1a1a1a1 (must be forced) - image may be used by stopped container \
                 e1e1e1e1e1e1{UNCERTAIN}"
            )
            .leak(),
        ),
        (
            "stopped, forced",
            node().force().container(stopped("e1", Evidence::Config(digest("d4")))),
            "a1a1".into(),
            "-app:v1 !a1",
        ),
    ]);
}

#[test]
fn it_goes_where_nobody_can_use_it_and_holds_up_nothing() {
    let others = || node().container(running("0d3f", by_config("b2")));
    check([
        ("it goes", others(), "app:v1".into(), "-app:v1 !a1"),
        ("by its ID", others(), "a1a1".into(), "-app:v1 !a1"),
        ("one of its names goes", others().image("a1", &["app:v2"]), "app:v2".into(), "-app:v2"),
        ("another image goes", node(), "web:v1".into(), "-identity -web:v1 !b2"),
        (
            "another image goes, whoever may use this one",
            node().container(running("0d3f", Evidence::Config(digest("d4")))),
            "web:v1".into(),
            "-identity -web:v1 !b2",
        ),
    ]);
    let warned = |name: &str| others().verdict(name).unwrap().warnings().collect::<Vec<_>>();
    assert_eq!(
        warned("app:v1"),
        [format!(
            "not all of the image could be read, so not all that it had is counted{}",
            &UNCERTAIN[32..]
        )]
    );
    assert_eq!(node().verdict("web:v1").unwrap().warnings().count(), 0);
}

#[test]
fn what_was_read_of_it_counts() {
    let partly = || Node::default().image("a1", &["app:v1"]).illegible("a1").image("b2", &["web:v1"]);
    let rows = [
        ("a config that is known", partly().container(running("0d", by_config("a1"))), 1),
        ("a root that is known", partly().container(running("0d", by_chain(&["a10"], "web:v1"))), 1),
        (
            "a name, for it may have more roots",
            partly().container(running("0d", by_chain(&["7"], "app:v1"))),
            1,
        ),
        ("another image", partly().container(running("0d", by_config("b2"))), 0),
    ];
    for (case, node, expected) in rows {
        assert_eq!(users(&node, "a1"), expected, "{case}");
    }
}

#[test]
fn it_is_not_pruned_from_the_node_while_somebody_may_use_it() {
    let node = || node().container(stopped("0d", Evidence::Config(digest("d4"))));
    let idle = |node: &Node| {
        let found = idle(&node.inventory(), Scope::Unused, &node.rules, |_| true).unwrap();
        found.into_iter().map(|idle| idle.image).collect::<Vec<_>>()
    };
    assert_eq!(idle(&node()), [image("b2")]);
    let mut free = node();
    free.containers.clear();
    assert_eq!(idle(&free), [image("a1"), image("b2")]);
}
