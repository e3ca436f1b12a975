//! "What counts as use": by identity, not by name.

use super::fixture::*;
use crate::image::*;

/// The short IDs of the containers that use an image.
fn users(node: &Node, id: &str) -> Vec<String> {
    let inventory = node.inventory();
    let containers = inventory.usage().containers(&inventory, &image(id)).unwrap();
    containers.iter().map(|container| container.short()[..2].to_owned()).collect()
}

/// Checks who uses which image, written `a1:0d,0e b2:`.
fn check_users(rows: impl IntoIterator<Item = (&'static str, Node, &'static str)>) {
    for (rule, node, expected) in rows {
        let shown = expected.split(' ').map(|uses| {
            let id = uses.split(':').next().unwrap();
            format!("{id}:{}", users(&node, id).join(","))
        });
        assert_eq!(shown.collect::<Vec<_>>().join(" "), expected, "{rule}");
    }
}

#[test]
fn the_config_counts_for_every_target_that_has_it() {
    let node = || {
        Node::default()
            .image("a1", &["app:v1", "identity"])
            .image("b2", &["app:zstd"])
            .platforms("b2", &[("d4", &["1"]), ("ca1", &["2"])])
            .image("e5", &["web:v1"])
    };
    check_users([
        ("by config", node().container(running("0d", by_config("a1"))), "a1:0d b2:0d e5:"),
        ("any platform's", node().container(running("0d", Evidence::Config(digest("d4")))), "a1: b2:0d"),
        (
            "some call the target an image ID",
            node().container(running("0d", Evidence::Config(digest("e5")))),
            "a1: e5:0d",
        ),
        (
            "content that is gone: the identity record tells",
            node().unreadable("a1").container(running("0d", by_config("a1"))),
            "a1:0d b2:0d",
        ),
        (
            "content of which the config is gone: the identity record tells",
            node().platforms("a1", &[("d4", &["1"])]).partial("a1").container(running("0d", by_config("a1"))),
            "a1:0d b2:0d",
        ),
        (
            "the order: running ones first, then by ID",
            node()
                .container(stopped("01", by_config("a1")))
                .container(running("0e", by_config("a1")))
                .container(stopped("00", by_config("a1")))
                .container(running("0d", by_config("a1"))),
            "a1:0d,0e,00,01",
        ),
    ]);
}

#[test]
fn the_root_file_system_counts_for_the_image_that_the_name_means() {
    // Two images with one root file system, and one with only its lower layer.
    let node = || {
        Node::default()
            .image("a1", &["app:v1"])
            .layers("a1", &["1", "2"])
            .image("b2", &["app:v2", "app@"])
            .layers("b2", &["1", "2"])
            .image("e5", &["base:v1"])
            .layers("e5", &["1"])
    };
    let of = |name: &str| running("0d", by_chain(&["1", "2"], name));
    check_users([
        ("the name tells", node().container(of("docker.io/library/app:v1")), "a1:0d b2: e5:"),
        ("the familiar name too", node().container(of("app:v2")), "a1: b2:0d"),
        ("a digest too", node().container(of(&format!("app@{}", digest("b2")))), "a1: b2:0d"),
        (
            "a digest without a record too",
            node().container(of(&format!("x.io/y@{}", digest("b2")))),
            "a1: b2:0d",
        ),
        ("no name: all", node().container(of("")), "a1:0d b2:0d e5:"),
        ("a name that is gone: all", node().container(of("app:v3")), "a1:0d b2:0d"),
        ("a tag that has moved: all", node().container(of("base:v1")), "a1:0d b2:0d e5:"),
        ("a root that no image has", node().container(running("0d", by_chain(&["7"], "app:v1"))), "a1: b2:"),
        (
            "an index counts by each of its platforms",
            node().platforms("e5", &[("d4", &["8"]), ("d5", &["1", "2"])]).container(of("base:v1")),
            "a1: b2: e5:0d",
        ),
        (
            "the named image is not all there: it may be meant, and so may the others",
            node().unreadable("a1").container(of("app:v1")),
            "a1:0d b2:0d",
        ),
        (
            "an image that is not all there and not named",
            node().unreadable("a1").container(of("app:v2")),
            "a1: b2:0d",
        ),
    ]);
}

#[test]
fn the_name_counts_where_nothing_else_is_known() {
    let node =
        || Node::default().image("a1", &["app:v1", "app@", "identity", "=odd"]).image("b2", &["api:latest"]);
    let of = |name: &str| node().container(running("0d", by_name(name)));
    check_users([
        ("canonical", of("docker.io/library/app:v1"), "a1:0d b2:"),
        ("familiar", of("app:v1"), "a1:0d"),
        ("completed", of("api"), "a1: b2:0d"),
        ("by a digest of which there is no record", of(&format!("x.io/y@{}", digest("b2"))), "a1: b2:0d"),
        ("by the target", of(digest("b2").as_str()), "a1: b2:0d"),
        ("by the config", of(config("b2").as_str()), "a1: b2:0d"),
        ("a name that is no reference", of("odd"), "a1:0d"),
        ("a name that is not there", of("web"), "a1: b2:"),
        ("no valid name", of("NOT VALID"), "a1: b2:"),
        (
            "a config digest counts for every target with it, also where one has the identity record",
            of(config("a1").as_str()).platforms("b2", &[("ca1", &["1"])]),
            "a1:0d b2:0d",
        ),
    ]);
}

#[test]
fn a_moved_tag_does_not_move_the_use() {
    // The container was started from app:v1 when that was a1.
    let node = Node::default()
        .image("a1", &["identity"])
        .image("b2", &["app:v1"])
        .container(running("0d", by_config("a1")));
    assert_eq!(node.outcome("app:v1"), "-app:v1 !b2");
    assert_eq!(
        node.outcome("a1a1"),
        "conflict: unable to delete a1a1a1a1a1a1 (cannot be forced) - image is being used by running container 0d0d0d0d0d0d"
    );
}

#[test]
fn sandboxes_and_image_volumes_are_use() {
    let node = Node::default()
        .image("a1", &["pause:3.9"])
        .image("b2", &["model:v1"])
        .image("d4", &["data:v1"])
        .image("e5", &["app:v1"])
        .container(running("0d", by_config("a1")).of_pod("shop/cart", None))
        .container(
            running("0e", by_config("e5"))
                .of_pod("shop/cart", Some("main"))
                .with_volume(by_config("b2"))
                .with_volume(by_name("data:v1")),
        );
    for (id, expected) in [("a1", "0d"), ("b2", "0e"), ("d4", "0e"), ("e5", "0e")] {
        assert_eq!(users(&node, id), [expected], "{id}");
    }
    assert_eq!(
        node.outcome("model:v1"),
        "conflict: unable to delete model:v1 (must be forced) - container 0e0e0e0e0e0e is using its referenced image b2b2b2b2b2b2"
    );
}

#[test]
fn a_container_counts_once() {
    let node = Node::default()
        .image("a1", &["app:v1"])
        .container(running("0d", by_config("a1")).with_volume(by_config("a1")).with_volume(by_name("app:v1")))
        .pod("shop/cart", &["app:v1", "app:v1", config("a1").as_str()]);
    assert_eq!(users(&node, "a1"), ["0d"]);
    let inventory = node.inventory();
    assert_eq!(inventory.usage().pods(&inventory, &image("a1")).unwrap().len(), 1);
}

#[test]
fn containers_that_appeared_later_count() {
    let node = Node::default().image("a1", &["app:v1"]);
    let mut inventory = node.inventory();
    inventory.observe(vec![running("0d", by_name("app:v1"))], Vec::new());
    assert!(decide(&inventory, &node.request(&["app:v1"])).unwrap()[0].verdict.is_err());
    inventory.observe(Vec::new(), Vec::new());
    assert!(decide(&inventory, &node.request(&["app:v1"])).unwrap()[0].verdict.is_ok());
}
