//! "Resolve", by ID: digests, prefixes that may be names, and images without a name.

use super::fixture::*;
use crate::image::*;

fn node() -> Node {
    Node::default()
}

#[test]
fn a_full_digest_is_a_target_or_else_a_config() {
    let pulled = || node().image("a1", &["app:v1", "app@", "identity"]).image("b2", &["api:v1"]);
    check([
        ("a target", pulled(), digest("a1").to_string(), "-identity -app:v1 -app@ !a1"),
        (
            "a config that an identity record tells",
            pulled(),
            config("a1").to_string(),
            "-identity -app:v1 -app@ !a1",
        ),
        ("a config that must be read", pulled(), config("b2").to_string(), "-api:v1 !b2"),
        ("64 digits alone", pulled(), hex("a1"), "-identity -app:v1 -app@ !a1"),
        ("64 digits of a config", pulled(), hex("cb2"), "-api:v1 !b2"),
        (
            "neither",
            pulled(),
            digest("d4").to_string(),
            "No such image: sha256:d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4",
        ),
        (
            "the config of another platform in an index that has an identity record",
            node().image("a1", &["app:v1", "identity"]).platforms("a1", &[("ca1", &["1"]), ("d4", &["2"])]),
            digest("d4").to_string(),
            "-identity -app:v1 !a1",
        ),
        (
            "a target wins over a config",
            node().image("a1", &["app:v1"]).image("b2", &["api:v1"]).platforms("b2", &[("a1", &["1"])]),
            digest("a1").to_string(),
            "-app:v1 !a1",
        ),
        (
            "an identity record tells what cannot be read",
            node().image("a1", &["app:v1", "identity"]).unreadable("a1"),
            config("a1").to_string(),
            "-identity -app:v1 !a1",
        ),
        (
            "a record named by a digest that is no config of its image tells nothing",
            node().image("a1", &["app:v1", &format!("={}", digest("d4"))]),
            digest("d4").to_string(),
            "No such image: sha256:d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4d4",
        ),
    ]);
}

#[test]
fn sha512_names_images_too() {
    let target: ImageId = format!("sha512:{}", "e5".repeat(64)).parse().unwrap();
    let mut node = node();
    node.records.push(Record::new("docker.io/library/app:v1", target.clone(), &Default::default()));
    node.contents.insert(target.clone(), Content::default());
    assert_eq!(node.verdict(&target.to_string()).unwrap().image, target);
    // A prefix is one of a sha256 digest.
    assert_eq!(node.outcome("e5e5"), "No such image: e5e5");
}

#[test]
fn two_targets_with_one_config_are_ambiguous() {
    let shared = || {
        node()
            .image("a1", &["app:v1", "identity"])
            .image("b2", &["app:zstd"])
            .platforms("b2", &[("ca1", &["2"])])
    };
    for entry in [config("a1").to_string(), hex("ca1"), "ca1c".to_owned(), "sha256:ca1c".to_owned()] {
        let Err(Refusal::Ambiguous { candidates, .. }) = shared().verdict(&entry) else {
            panic!("{entry} is not ambiguous");
        };
        let images: Vec<_> = candidates.iter().map(|candidate| candidate.image.clone()).collect();
        assert_eq!(images, [image("a1"), image("b2")], "{entry}");
    }
    // The target itself is not.
    assert_eq!(shared().outcome(digest("b2").as_str()), "-app:zstd !b2");
}

#[test]
fn hex_digits_are_a_prefix_or_a_name() {
    let beef = || node().image("beef01", &["app:v1"]).image("a1", &["beef:latest"]);
    check([
        ("a prefix", node().image("beef01", &["app:v1"]), "beef".into(), "-app:v1 !beef01"),
        ("with the algorithm", node().image("beef01", &["app:v1"]), "sha256:beef".into(), "-app:v1 !beef01"),
        ("of a config", node().image("a1", &["app:v1"]), "ca1c".into(), "-app:v1 !a1"),
        (
            "of a config that is told",
            node().image("a1", &["app:v1", "identity"]),
            "ca1c".into(),
            "-identity -app:v1 !a1",
        ),
        ("a name", node().image("a1", &["beef:latest"]), "beef".into(), "-beef:latest !a1"),
        (
            "a name beside others: by name",
            node().image("a1", &["beef:latest", "app:v1"]),
            "beef".into(),
            "-beef:latest",
        ),
        ("three digits are a name", node().image("a1", &["bee:latest"]), "bee".into(), "-bee:latest !a1"),
        (
            "three digits are no prefix",
            node().image("bee1", &["app:v1"]),
            "bee".into(),
            "No such image: bee:latest",
        ),
        ("neither", node().image("a1", &["app:v1"]), "beef".into(), "No such image: beef"),
        (
            "capitals are no prefix but a tag",
            node().image("beef01", &["app:v1"]),
            "sha256:BEEF".into(),
            "No such image: sha256:BEEF",
        ),
        (
            "both, of two images",
            beef(),
            "beef".into(),
            "ambiguous reference beef: matches \
             sha256:a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1 (beef:latest); \
             sha256:beef01beef01beef01beef01beef01beef01beef01beef01beef01beef01beef (app:v1)",
        ),
        ("both, of two images: a tag tells", beef(), "beef:latest".into(), "-beef:latest !a1"),
        ("both, of two images: the algorithm tells", beef(), "sha256:beef".into(), "-app:v1 !beef01"),
        (
            "both, of one image: by ID",
            node().image("beef01", &["beef:latest", "beef@"]),
            "beef".into(),
            "-beef:latest -beef@ !beef01",
        ),
        (
            "a prefix of a target and of the config of another",
            node().image("ca1cee", &["app:v1"]).image("a1", &["api:v1"]),
            "ca1c".into(),
            "ambiguous reference ca1c: matches \
             sha256:a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1 (api:v1); \
             sha256:ca1ceeca1ceeca1ceeca1ceeca1ceeca1ceeca1ceeca1ceeca1ceeca1ceeca1c (app:v1)",
        ),
    ]);
}

#[test]
fn ambiguous_candidates_show_a_name_where_they_have_one() {
    let node = node().image("beef01", &["identity"]).image("beef02", &["=odd", "x.io/z:1", "x.io/a@"]);
    let Err(refusal) = node.verdict("beef") else { panic!() };
    assert_eq!(
        refusal.to_string(),
        format!(
            "ambiguous reference beef: matches {}; {} (x.io/a@{})",
            image("beef01"),
            image("beef02"),
            image("beef02")
        )
    );
}

#[test]
fn dangling_and_stranded_images_are_reached_by_their_id() {
    let dangling = || node().image("a1", &["dangling"]);
    let stranded = || node().image("a1", &["identity"]);
    check([
        ("dangling by ID", dangling(), "a1a1".into(), "-dangling !a1"),
        ("dangling by config", dangling(), config("a1").to_string(), "-dangling !a1"),
        ("dangling by its name", dangling(), dangling_name(&image("a1")), "-dangling !a1"),
        (
            "its name with other records",
            node().image("a1", &["dangling", "app:v1"]),
            dangling_name(&image("a1")),
            "-app:v1 -dangling !a1",
        ),
        (
            "its name without the record",
            node().image("a1", &["app:v1"]),
            dangling_name(&image("a1")),
            "No such image: moby-dangling@sha256:a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1",
        ),
        ("stranded by target", stranded(), digest("a1").to_string(), "-identity !a1"),
        ("stranded by config", stranded(), config("a1").to_string(), "-identity !a1"),
        ("stranded by prefix", stranded(), "ca1c".into(), "-identity !a1"),
        ("stranded and unreadable", stranded().unreadable("a1"), "ca1c".into(), "-identity !a1"),
    ]);
}

#[test]
fn only_what_a_query_needs_is_read() {
    let node = node()
        .image("a1", &["app:v1", "identity"])
        .image("b2", &["api:v1", "identity"])
        .image("d4", &["web:v1"]);
    let rows: &[(&str, &[&str])] = &[
        ("app:v1", &["a1"]),
        ("none:v1", &[]),
        ("a1a1", &["a1", "d4"]),
        (&config("a1").to_string(), &["a1", "d4"]),
        (&digest("a1").to_string(), &["a1"]),
    ];
    for (entry, expected) in rows {
        let mut inventory = node.unread();
        let mut read = Vec::new();
        while let Err(Unread(images)) = decide(&inventory, &node.request(&[entry])) {
            for image in images {
                inventory.learn(image.clone(), node.contents[&image].clone().into());
                read.push(image);
            }
        }
        read.sort();
        let expected: Vec<_> = expected.iter().map(|id| image(id)).collect();
        assert_eq!(read, expected, "{entry}");
    }
}
