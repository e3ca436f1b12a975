//! What the implementation that the algorithm was taken from does, by its own table of tests.

use super::fixture::*;

fn node() -> Node {
    Node::default()
}

#[test]
fn names_are_removed_as_in_docker() {
    let by_digest = |name: &str, id: &str| format!("{name}@{}", digest(id));
    check([
        ("nothing there", node(), "nothingthere".into(), "No such image: nothingthere:latest"),
        (
            "one image",
            node().image("a0", &["justoneimage:latest"]),
            "justoneimage".into(),
            "-justoneimage:latest !a0",
        ),
        (
            "one reference",
            node().image("a0", &["justoneref:latest", "differentrepo:latest"]),
            "justoneref".into(),
            "-justoneref:latest",
        ),
        (
            "has a digest",
            node().image("a0", &["hasdigest:latest", "hasdigest@"]),
            "hasdigest".into(),
            "-hasdigest:latest -hasdigest@ !a0",
        ),
        (
            "by ID",
            node().image("a1", &["byid:latest", "byid@"]),
            digest("a1").to_string(),
            "-byid:latest -byid@ !a1",
        ),
        (
            "by digest",
            node().image("a2", &["bydigest:latest", "bydigest@"]),
            by_digest("bydigest", "a2"),
            "-bydigest:latest -bydigest@ !a2",
        ),
        ("one of two", node().image("a3", &["two:latest", "two:other", "two@"]), "two".into(), "-two:latest"),
        (
            "another repository remains",
            node().image("a4", &["other:latest", "other@", "someotherrepo:latest"]),
            "other".into(),
            "-other:latest -other@",
        ),
        (
            "a repository by digest",
            node().image("a5", &["repo:latest", "repo:latest@", "someotherrepo:latest"]),
            by_digest("repo", "a5"),
            "-repo:latest -repo:latest@",
        ),
        (
            "a repository by digest, several tags",
            node().image("a5", &["repo:v1", "repo:v1@", "repo:v2", "repo:v2@", "someotherrepo:latest"]),
            by_digest("repo", "a5"),
            "-repo:v1 -repo:v1@ -repo:v2 -repo:v2@",
        ),
        (
            "a repository by digest, no match",
            node().image("a6", &["someotherrepo:latest"]),
            by_digest("repo", "a6"),
            "No such image: repo@sha256:a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6a6",
        ),
    ]);
}
