//! Parents and children.

use secateur::node::Outcome;

use super::APP;
use super::deletion::{Deletion, belongings, deleted, names, untagged};
use crate::bed::{Image, Imported, Node, State, Version, both};

both!(
    an_image_with_children_stays_under_a_dangling_record,
    dangling_parents_go_with_their_last_child,
    a_written_parent_is_pruned_too,
    pruning_stops_at_a_parent_with_a_name,
    pruning_stops_at_a_parent_in_use,
    a_child_with_two_names_does_not_stop_pruning,
    nothing_is_pruned_unasked,
);

const PARENT: &str = "org.mobyproject.image.parent";

/// A parent without a name and its child.
pub(super) struct Family {
    pub parent: Imported,
    /// The parent's only record but for the CRI's.
    pub dangling: String,
    pub child: Imported,
}

/// `layers` are those of the parent.
pub(super) async fn family(node: &Node, layers: &[&str]) -> Family {
    let image = |name| layers.iter().fold(Image::new(name), |image, layer| image.layer(*layer));
    let parent = node.import(&image("docker.io/library/base:v1")).await;
    let child = node.import(&image(APP).layer("child")).await;
    let dangling = dangle(node, &parent).await;
    Family { parent, dangling, child }
}

/// Takes its name from an image and gives it a dangling record.
async fn dangle(node: &Node, image: &Imported) -> String {
    let dangling = format!("moby-dangling@{}", image.target);
    node.put_record(&dangling, &image.name).await;
    node.delete_record(&image.name).await;
    dangling
}

async fn an_image_with_children_stays_under_a_dangling_record(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    node.import(&Image::new("docker.io/library/child:v1").layer("two")).await;
    node.label("docker.io/library/child:v1", PARENT, &app.target).await;
    node.label(APP, "org.example/colour", "red").await;
    node.label(APP, "io.containerd.image.name", APP).await;
    // With an identity record there would be one that keeps the image already.
    node.delete_record(app.config()).await;

    let ran = Deletion::of(&["app:v1"]).run(&node).await;

    let dangling = format!("moby-dangling@{}", app.target);
    assert_eq!(ran.outcome(), Outcome::Untagged);
    assert_eq!(ran.removals(), [untagged("app:v1")]);
    assert_eq!((ran.gone, ran.freed), (names([APP]), names([])));
    assert!(ran.made.contains(&dangling));
    let record = node.record(&dangling).await.unwrap();
    assert_eq!(record.target, app.target);
    assert_eq!(record.labels.get("org.example/colour").map(String::as_str), Some("red"));
    assert_eq!(record.labels.get("io.containerd.image.name"), None);
}

async fn dangling_parents_go_with_their_last_child(version: Version) {
    let node = Node::start(version).await;
    let Family { parent, dangling, child } = family(&node, &["one"]).await;
    let grandparent = Image::new("docker.io/library/old:v1");
    let grandparent = node.import(&grandparent).await;
    let older = dangle(&node, &grandparent).await;

    let ran = Deletion::of(&["app:v1"]).run(&node).await;

    assert_eq!(ran.outcome(), Outcome::Deleted);
    let said = [untagged("app:v1"), deleted(&child), deleted(&parent), deleted(&grandparent)];
    assert_eq!(ran.removals(), said);
    let gone = [APP, child.config(), &dangling, parent.config(), &older, grandparent.config()];
    assert_eq!(ran.gone, names(gone));
    assert_eq!(ran.freed, belongings([&child, &parent, &grandparent], node.sandbox_image()));
}

async fn a_written_parent_is_pruned_too(version: Version) {
    let node = Node::start(version).await;
    let parent = node.import(&Image::new("docker.io/library/base:v1").layer("else")).await;
    let child = node.import(&Image::new(APP).layer("one")).await;
    node.label(APP, PARENT, &parent.target).await;
    let dangling = dangle(&node, &parent).await;

    let ran = Deletion::of(&["app:v1"]).run(&node).await;

    assert_eq!(ran.removals(), [untagged("app:v1"), deleted(&child), deleted(&parent)]);
    assert_eq!(ran.gone, names([APP, child.config(), &dangling, parent.config()]));
    assert_eq!(ran.freed, belongings([&child, &parent], node.sandbox_image()));
}

async fn pruning_stops_at_a_parent_with_a_name(version: Version) {
    let node = Node::start(version).await;
    let Family { parent, child, .. } = family(&node, &["one", "two"]).await;
    let named = node.import(&Image::new("docker.io/library/named:v1").layer("one")).await;
    let grandparent = node.import(&Image::new("docker.io/library/old:v1")).await;
    dangle(&node, &grandparent).await;

    let ran = Deletion::of(&["app:v1"]).run(&node).await;

    assert_eq!(ran.removals(), [untagged("app:v1"), deleted(&child), deleted(&parent)]);
    assert_eq!(ran.freed, belongings([&child, &parent], [&named]));
}

async fn pruning_stops_at_a_parent_in_use(version: Version) {
    let node = Node::start(version).await;
    let Family { parent, dangling, child } = family(&node, &["one"]).await;
    node.plain_container("user", &dangling, State::Created).await;

    // Forcing does not reach parents where a container runs, and a parent's content is never what was asked for.
    let ran = Deletion::of(&["app:v1"]).run(&node).await;

    assert_eq!(ran.outcome(), Outcome::Deleted);
    assert_eq!(ran.removals(), [untagged("app:v1"), deleted(&child)]);
    assert_eq!(ran.gone, names([APP, child.config()]));
    assert_eq!(ran.freed, belongings([&child], [&parent]));
}

async fn a_child_with_two_names_does_not_stop_pruning(version: Version) {
    let node = Node::start(version).await;
    let Family { parent, child, .. } = family(&node, &["one"]).await;
    node.tag(APP, "ghcr.io/acme/app:v1").await;

    let ran = Deletion::of(&[&child.target]).forced().run(&node).await;

    let said = [untagged("app:v1"), untagged("ghcr.io/acme/app:v1"), deleted(&child), deleted(&parent)];
    assert_eq!(ran.removals(), said);
    assert_eq!(ran.freed, belongings([&child, &parent], node.sandbox_image()));
}

async fn nothing_is_pruned_unasked(version: Version) {
    let node = Node::start(version).await;
    let Family { parent, child, .. } = family(&node, &["one"]).await;

    let ran = Deletion::of(&["app:v1"]).without_pruning().run(&node).await;

    assert_eq!(ran.removals(), [untagged("app:v1"), deleted(&child)]);
    assert_eq!(ran.freed, belongings([&child], [&parent]));
}
