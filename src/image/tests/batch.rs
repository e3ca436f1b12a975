//! Several entries in one operation, patterns among them: each is decided on what those before it leave.

use super::fixture::*;
use crate::image::*;

/// Each decision: the number of its entry and what comes of it.
fn outcomes(node: &Node, entries: &[&str]) -> Vec<String> {
    let decisions = node.decide(entries);
    decisions.iter().map(|decision| format!("{}: {}", decision.entry, node.show(&decision.verdict))).collect()
}

#[test]
fn an_entry_sees_what_the_ones_before_it_leave() {
    let two = || Node::default().image("a1", &["app:v1", "app:v2", "identity"]);
    let rows: &[(&str, Node, &[&str], &[&str])] = &[
        (
            "the last name takes the image",
            two(),
            &["app:v1", "app:v2"],
            &["0: -app:v1", "1: -identity -app:v2 !a1"],
        ),
        ("an image goes once", two(), &["app:v1", "app:v1"], &["0: -app:v1", "1: No such image: app:v1"]),
        (
            "two tags block, one does not",
            two(),
            &["a1a1", "app:v1", "a1a1"],
            &[
                "0: conflict: unable to delete a1a1a1a1a1a1 (must be forced) - image is referenced in multiple repositories",
                "1: -app:v1",
                "2: -identity -app:v2 !a1",
            ],
        ),
        (
            "a bad entry does not stop the others",
            two().image("b2", &["api:latest"]),
            &["web", "api"],
            &["0: No such image: web:latest", "1: -api:latest !b2"],
        ),
        (
            "a parent keeps its content for a child, and goes when the child went before",
            Node::default().image("a1", &["base:v1"]).child("a1", "b2", &["app:v1"]),
            &["app:v1", "base:v1"],
            &["0: -app:v1 !b2", "1: -base:v1 !a1"],
        ),
        (
            "a parent that was left dangling is pruned after its child",
            Node::default().image("a1", &["base:v1"]).child("a1", "b2", &["app:v1"]).prune(),
            &["base:v1", "app:v1"],
            &["0: +dangling -base:v1", "1: -app:v1 !b2 -dangling !a1"],
        ),
        (
            "an ID stops being ambiguous",
            Node::default().image("beef01", &["app:v1"]).image("beef02", &["api:v1"]),
            &["app:v1", "beef"],
            &["0: -app:v1 !beef01", "1: -api:v1 !beef02"],
        ),
        (
            "a soft deletion leaves the content to its container",
            Node::default().image("a1", &["app:v1"]).container(running("0d", by_name("app:v1"))).force(),
            &["app:v1", "a1a1"],
            &[
                "0: +dangling -app:v1",
                "1: conflict: unable to delete a1a1a1a1a1a1 (cannot be forced) - image is being used by running container 0d0d0d0d0d0d",
            ],
        ),
        ("nothing", two(), &[], &[]),
    ];
    for (rule, node, entries, expected) in rows {
        assert_eq!(outcomes(node, entries), *expected, "{rule}");
    }
}

#[test]
fn a_pattern_is_every_name_that_it_matches() {
    let node = || {
        Node::default()
            .image("a1", &["ghcr.io/acme/api:1.2.0", "ghcr.io/acme/api@", "identity"])
            .image("b2", &["ghcr.io/acme/team/web:1.2.1", "ghcr.io/acme/team/web:1.3.0"])
            .image("d4", &["app:v1", "=odd"])
            .image("e5", &["localhost:5000/app:v1"])
    };
    let rows: &[(&str, Node, &[&str], &[&str])] = &[
        (
            "across slashes, in byte order of names",
            node(),
            &["ghcr.io/acme/**:1.2.*"],
            &[
                "0: -identity -ghcr.io/acme/api:1.2.0 -ghcr.io/acme/api@ !a1",
                "0: -ghcr.io/acme/team/web:1.2.1",
            ],
        ),
        (
            "every name of an image, one after the other",
            node(),
            &["ghcr.io/acme/*/web"],
            &["0: -ghcr.io/acme/team/web:1.2.1", "0: -ghcr.io/acme/team/web:1.3.0 !b2"],
        ),
        ("the familiar form", node(), &["app:*"], &["0: -app:v1 -odd !d4"]),
        ("a registry with a port", node(), &["localhost:5000/*"], &["0: -localhost:5000/app:v1 !e5"]),
        ("no match", node(), &["ghcr.io/acme/*:2.*"], &["0: No such image: ghcr.io/acme/*:2.*"]),
        ("an odd name is no reference", node(), &["od?"], &["0: No such image: od?"]),
        (
            "entries before it count",
            node(),
            &["app:v1", "{app,web}:*"],
            &["0: -app:v1 -odd !d4", "1: No such image: {app,web}:*"],
        ),
        (
            "each match has its own conflicts",
            node().container(running("0d", by_config("a1"))).protect("**/web"),
            &["ghcr.io/acme/**"],
            &[
                "0: conflict: unable to delete ghcr.io/acme/api:1.2.0 (must be forced) - container 0d0d0d0d0d0d is using its referenced image a1a1a1a1a1a1",
                "0: conflict: unable to delete ghcr.io/acme/api@ (must be forced) - container 0d0d0d0d0d0d is using its referenced image a1a1a1a1a1a1",
                "0: conflict: unable to delete b2b2b2b2b2b2 (cannot be forced) - image is protected by **/web",
                "0: conflict: unable to delete b2b2b2b2b2b2 (cannot be forced) - image is protected by **/web",
            ],
        ),
    ];
    for (rule, node, entries, expected) in rows {
        let shown: Vec<_> = outcomes(node, entries)
            .iter()
            .map(|line| line.replace(&format!("@{}", digest("a1")), "@"))
            .collect();
        assert_eq!(shown, *expected, "{rule}");
    }
}

#[test]
fn everything_that_a_request_needs_is_asked_for_at_once() {
    let node = Node::default().image("a1", &["app:v1"]).image("b2", &["api:v1"]).image("d4", &["web:v1"]);
    let request = node.request(&["app:v1", "api:*", "app:v1", "none"]);
    assert_eq!(decide(&node.unread(), &request), Err([image("a1"), image("b2")].into_iter().collect()));
}
