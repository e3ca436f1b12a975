//! Deleting by name.

use secateur::node::Outcome;

use super::APP;
use super::deletion::{Deletion, belongings, deleted, names, untagged};
use crate::bed::{Image, Node, Version, both};

both!(
    an_idle_image_goes_with_everything_that_is_its_own,
    all_records_of_a_pulled_image_go,
    one_of_two_tags_goes_and_the_image_stays,
    a_digest_takes_every_tag_of_its_repository,
    a_digest_finds_an_image_without_a_record_of_that_name,
    a_name_that_nothing_has_is_absent,
    a_dangling_record_goes_by_its_name,
    a_record_without_a_sensible_name_goes_along,
);

async fn an_idle_image_goes_with_everything_that_is_its_own(version: Version) {
    let node = Node::start(version).await;
    let base = node.import(&Image::new("docker.io/library/base:v1").layer("one")).await;
    let app = node.import(&Image::new(APP).layer("one").layer("two")).await;

    let ran = Deletion::of(&["app:v1"]).run(&node).await;

    assert_eq!(ran.outcome(), Outcome::Deleted);
    assert_eq!(ran.removals(), [untagged("app:v1"), deleted(&app)]);
    assert_eq!(ran.gone, names([APP, app.config()]));
    assert_eq!(ran.freed, belongings([&app], [&base]));
    assert_eq!(ran.made, names([]));
}

async fn all_records_of_a_pulled_image_go(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    let by_digest = format!("docker.io/library/app@{}", app.target);
    node.tag(APP, &by_digest).await;

    let ran = Deletion::of(&["docker.io/library/app:v1"]).run(&node).await;

    assert_eq!(ran.outcome(), Outcome::Deleted);
    let said = [untagged("app:v1"), untagged(&format!("app@{}", app.target)), deleted(&app)];
    assert_eq!(ran.removals(), said);
    assert_eq!(ran.gone, names([APP, &by_digest, app.config()]));
    assert_eq!(ran.freed, belongings([&app], node.sandbox_image()));
}

async fn one_of_two_tags_goes_and_the_image_stays(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    let by_digest = format!("docker.io/library/app@{}", app.target);
    node.tag(APP, &by_digest).await;
    node.tag(APP, "docker.io/library/app:v2").await;

    let ran = Deletion::of(&["app:v1"]).run(&node).await;

    assert_eq!(ran.outcome(), Outcome::Untagged);
    assert_eq!(ran.removals(), [untagged("app:v1")]);
    assert_eq!(ran.gone, names([APP]));
    assert_eq!((ran.freed, ran.made), (names([]), names([])));
    let cri = node.cri_image("docker.io/library/app:v2").await.unwrap();
    assert_eq!(cri.repo_tags, ["docker.io/library/app:v2"]);
    assert_eq!(cri.repo_digests, [by_digest]);
}

async fn a_digest_takes_every_tag_of_its_repository(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    let by_digest = format!("docker.io/library/app@{}", app.target);
    node.tag(APP, &by_digest).await;
    node.tag(APP, "docker.io/library/app:v2").await;

    let ran = Deletion::of(&[&by_digest]).run(&node).await;

    assert_eq!(ran.outcome(), Outcome::Deleted);
    let said =
        [untagged("app:v1"), untagged("app:v2"), untagged(&format!("app@{}", app.target)), deleted(&app)];
    assert_eq!(ran.removals(), said);
    assert_eq!(ran.freed, belongings([&app], node.sandbox_image()));
}

async fn a_digest_finds_an_image_without_a_record_of_that_name(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    node.tag(APP, "ghcr.io/acme/app:v1").await;
    let stranger = format!("quay.io/other/app@{}", app.target);

    let ran = Deletion::of(&[&stranger]).run(&node).await;
    ran.assert_refused(Outcome::Absent, &[format!("No such image: {stranger}")]);

    let ran = Deletion::of(&[&format!("ghcr.io/acme/app@{}", app.target)]).run(&node).await;
    assert_eq!(ran.outcome(), Outcome::Untagged);
    assert_eq!(ran.removals(), [untagged("ghcr.io/acme/app:v1")]);
    assert_eq!(ran.gone, names(["ghcr.io/acme/app:v1"]));

    let ran = Deletion::of(&[&format!("app@{}", app.target)]).run(&node).await;
    assert_eq!(ran.outcome(), Outcome::Deleted);
    assert_eq!(ran.removals(), [untagged("app:v1"), deleted(&app)]);
    assert_eq!(ran.freed, belongings([&app], node.sandbox_image()));
}

async fn a_name_that_nothing_has_is_absent(version: Version) {
    let node = Node::start(version).await;
    node.import(&Image::new(APP).layer("one")).await;
    let unknown = format!("app@sha256:{}", "0".repeat(64));
    for name in ["app", "app:v2", "ghcr.io/library/app:v1", &unknown] {
        let ran = Deletion::of(&[name]).run(&node).await;
        let expected = if name == "app" { "app:latest" } else { name };
        ran.assert_refused(Outcome::Absent, &[format!("No such image: {expected}")]);
    }
}

async fn a_dangling_record_goes_by_its_name(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    let dangling = format!("moby-dangling@{}", app.target);
    node.put_record(&dangling, APP).await;
    node.delete_record(APP).await;

    let ran = Deletion::of(&[&dangling]).run(&node).await;

    assert_eq!(ran.outcome(), Outcome::Deleted);
    assert_eq!(ran.removals(), [deleted(&app)]);
    assert_eq!(ran.gone, names([&dangling, app.config()]));
    assert_eq!(ran.freed, belongings([&app], node.sandbox_image()));
}

async fn a_record_without_a_sensible_name_goes_along(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    node.put_record("Import of 2026", APP).await;

    let ran = Deletion::of(&["app:v1"]).run(&node).await;

    assert_eq!(ran.outcome(), Outcome::Deleted);
    let said = [untagged("Import of 2026"), untagged("app:v1"), deleted(&app)];
    assert_eq!(ran.removals(), said);
    assert_eq!(ran.gone, names([APP, "Import of 2026", app.config()]));
    assert_eq!(ran.freed, belongings([&app], node.sandbox_image()));
}
