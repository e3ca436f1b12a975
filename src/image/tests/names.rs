//! "Resolve", by name.

use super::fixture::*;

fn node() -> Node {
    Node::default()
}

#[test]
fn a_reference_is_completed_and_looked_up() {
    let apps = || node().image("a1", &["app:latest"]).image("b2", &["ghcr.io/acme/app:v1"]);
    check([
        ("latest", apps(), "app".into(), "-app:latest !a1"),
        ("canonical", apps(), "docker.io/library/app:latest".into(), "-app:latest !a1"),
        ("half way", apps(), "docker.io/app".into(), "-app:latest !a1"),
        ("the old domain", apps(), "index.docker.io/library/app".into(), "-app:latest !a1"),
        ("another registry", apps(), "ghcr.io/acme/app:v1".into(), "-ghcr.io/acme/app:v1 !b2"),
        ("another tag", apps(), "app:v1".into(), "No such image: app:v1"),
        ("another repository", apps(), "web".into(), "No such image: web:latest"),
        ("an empty node", node(), "app".into(), "No such image: app:latest"),
    ]);
}

#[test]
fn a_digest_falls_back_to_the_records_of_its_target() {
    let by = |name: &str| format!("{name}@{}", digest("a1"));
    check([
        (
            "the repository has the target under a tag",
            node().image("a1", &["app:v1"]),
            by("app"),
            "-app:v1 !a1",
        ),
        ("an exact name", node().image("a1", &["app:v1", "app@"]), by("app"), "-app:v1 -app@ !a1"),
        ("a tag beside the digest", node().image("a1", &["app:v1", "app:v2"]), by("app:v1"), "-app:v1"),
        (
            "a tag that points elsewhere by now",
            node().image("a1", &["app@"]).image("b2", &["app:v1"]),
            by("app:v1"),
            "-app@ !a1",
        ),
        (
            "another repository",
            node().image("a1", &["api:v1"]),
            by("app"),
            "No such image: app@sha256:a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1",
        ),
        (
            "another repository beside a name that is none",
            node().image("a1", &["api:v1", "=odd"]),
            by("app"),
            "No such image: app@sha256:a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1",
        ),
        (
            "a repository of a dangling image: it has none",
            node().image("a1", &["dangling"]),
            by("app"),
            "No such image: app@sha256:a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1",
        ),
        (
            "a config digest is no target",
            node().image("a1", &["app:v1"]).platforms("a1", &[("d4", &["1"])]),
            format!("app@{}", digest("d4")),
            "No such image: app@sha256:d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4",
        ),
    ]);
}
