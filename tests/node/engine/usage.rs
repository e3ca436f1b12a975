//! Who uses an image, and what that changes.

use std::collections::BTreeMap;

use containerd_client::services::v1::container::Runtime;
use containerd_client::services::v1::{Container, CreateContainerRequest};
use prost_types::Any;
use secateur::node::Outcome;

use super::APP;
use super::deletion::{Deletion, Ran, belongings, deleted, names, untagged};
use crate::bed::{Cri, Image, Imported, NAMESPACE, Node, Setup, State, Version, both, in_namespace};

both!(
    containers_of_pods_hold_their_image_in_every_state,
    plain_containers_hold_their_image_in_every_state,
    a_stopped_container_yields_to_force,
    a_container_whose_shim_does_not_answer_is_taken_to_run,
    an_image_in_use_keeps_its_content_when_its_name_is_forced_away,
    an_image_in_use_without_an_identity_record_is_left_dangling,
    the_sandbox_image_is_in_use,
    a_container_holds_the_image_that_it_was_made_from_when_the_tag_has_moved,
    a_container_with_a_user_namespace_holds_its_image,
    a_container_is_another_where_one_of_its_id_is_made_anew,
    what_is_left_of_a_snapshotter_that_is_gone_is_in_nobodys_way,
    an_image_is_in_use_by_its_digest,
    images_in_a_namespace_without_cri_are_deleted,
    images_of_a_containerd_without_cri_are_deleted,
);

const STATES: [(State, &str); 4] = [
    (State::Created, "stopped"),
    (State::Running, "running"),
    (State::Paused, "running"),
    (State::Stopped, "stopped"),
];

fn in_use(image: &Imported, state: &str, container: &str) -> String {
    let forced = if state == "running" { "cannot" } else { "must" };
    format!(
        "conflict: unable to delete {} ({forced} be forced) - image is being used by {state} container {}",
        &image.target.hex()[..12],
        &container[..container.len().min(12)]
    )
}

fn uses_name(image: &Imported, container: &str) -> String {
    format!(
        "conflict: unable to delete app:v1 (must be forced) - container {} is using its referenced image {}",
        &container[..container.len().min(12)],
        &image.target.hex()[..12]
    )
}

/// The image can go neither by name nor by ID, and a running container can't be forced.
async fn assert_held(node: &Node, app: &Imported, state: &str, container: &str) {
    let ran = Deletion::of(&["app:v1"]).run(node).await;
    ran.assert_refused(Outcome::Conflict, &[uses_name(app, container)]);
    let ran = Deletion::of(&[&app.target]).run(node).await;
    ran.assert_refused(Outcome::Conflict, &[in_use(app, state, container)]);
    if state == "running" {
        let ran = Deletion::of(&[app.config()]).forced().run(node).await;
        ran.assert_refused(Outcome::Conflict, &[in_use(app, state, container)]);
    }
}

async fn containers_of_pods_hold_their_image_in_every_state(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    let pod = node.pod("shop", "cart").await;
    for (number, (state, said)) in STATES.into_iter().enumerate() {
        let container = node.container(&pod, &format!("c{number}"), APP, state).await;
        assert_held(&node, &app, said, &container).await;
        let ran = Deletion::of(&[&app.target]).run(&node).await;
        let owner = format!("{:?}", ran.results[0].conflicts);
        for word in ["shop", "cart", &format!("c{number}")] {
            assert!(owner.contains(word), "{owner}");
        }
        if state == State::Paused {
            node.resume(&container).await;
        }
        node.remove_container(&container).await;
    }
    let ran = Deletion::of(&["app:v1"]).run(&node).await;
    assert_eq!(ran.removals(), [untagged("app:v1"), deleted(&app)]);
}

/// It lies on a copy of the image's root file system, with other owners of the files, of which no image knows.
async fn a_container_with_a_user_namespace_holds_its_image(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one").layer("two")).await;
    // Nothing but its last layer is missing to this one.
    let base = node.import(&Image::new("docker.io/library/base:v1").layer("one")).await;
    let other = node.import(&Image::new("docker.io/library/other:v1").layer("three")).await;
    // `ctr` leaves runc its usual root here, which all nodes of the tests have in common.
    let user = format!("user-{}", node.directory().file_name().unwrap().to_str().unwrap());
    node.container_with_user_namespace(&user, APP).await;
    assert_held(&node, &app, "running", &user).await;
    // Nor does it hang on its name.
    node.move_record(APP, &other.name).await;
    let ran = Deletion::of(&[&app.target]).run(&node).await;
    ran.assert_refused(Outcome::Conflict, &[in_use(&app, "running", &user)]);
    let ran = Deletion::of(&[&base.target]).run(&node).await;
    assert_eq!(ran.removals(), [untagged("base:v1"), deleted(&base)]);
    node.remove_plain_container(&user).await;
}

async fn plain_containers_hold_their_image_in_every_state(version: Version) {
    for (state, said) in STATES {
        let node = Node::start(version).await;
        let app = node.import(&Image::new(APP).layer("one")).await;
        node.plain_container("user", APP, state).await;
        assert_held(&node, &app, said, "user").await;
    }
}

async fn a_stopped_container_yields_to_force(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    node.plain_container("user", APP, State::Created).await;

    let ran = Deletion::of(&[&app.target]).forced().run(&node).await;

    assert_eq!(ran.outcome(), Outcome::Deleted);
    assert_eq!(ran.removals(), [untagged("app:v1"), deleted(&app)]);
    assert_eq!(ran.gone, names([APP, app.config()]));
    // The container's own snapshot keeps the layers below it.
    let chains = node.disk().await.layers;
    assert!(app.chain_ids().iter().all(|chain| chains.contains_key(&**chain)));
    assert!(ran.freed.contains(&*app.target));
}

async fn a_container_whose_shim_does_not_answer_is_taken_to_run(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    node.plain_container("user", APP, State::Running).await;
    let shim = node.stop_shim("user").await;

    let ran = Deletion::of(&[&app.target]).forced().run(&node).await;

    ran.assert_refused(Outcome::Conflict, &[in_use(&app, "running", "user")]);
    drop(shim);
    assert_held(&node, &app, "running", "user").await;
}

async fn an_image_in_use_keeps_its_content_when_its_name_is_forced_away(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    let pod = node.pod("shop", "cart").await;
    let container = node.container(&pod, "cart", APP, State::Running).await;

    let ran = Deletion::of(&["app:v1"]).forced().run(&node).await;

    assert_kept(&ran);
    assert_eq!(ran.made, names([]), "the identity record keeps it");
    node.stop_container(&container).await;
    node.container(&pod, "again", app.config(), State::Running).await;
}

fn assert_kept(ran: &Ran) {
    assert_eq!(ran.outcome(), Outcome::Untagged);
    assert_eq!(ran.removals(), [untagged("app:v1")]);
    assert_eq!((&ran.gone, &ran.freed), (&names([APP]), &names([])));
}

async fn an_image_in_use_without_an_identity_record_is_left_dangling(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    node.label(APP, "org.example/colour", "red").await;
    node.label(APP, "org.opencontainers.image.ref.name", "v1").await;
    node.plain_container("user", APP, State::Running).await;
    node.delete_record(app.config()).await;

    let ran = Deletion::of(&["app:v1"]).forced().run(&node).await;

    assert_kept(&ran);
    let dangling = format!("moby-dangling@{}", app.target);
    assert!(ran.made.contains(&dangling), "{:?}", ran.made);
    let labels = node.record(&dangling).await.unwrap().labels;
    assert_eq!(labels.get("org.example/colour").map(String::as_str), Some("red"));
    assert_eq!(labels.get("org.opencontainers.image.ref.name"), None);
}

async fn the_sandbox_image_is_in_use(version: Version) {
    let node = Node::start(version).await;
    let sandbox = node.sandbox_image().unwrap();
    let pod = node.pod("shop", "cart").await;

    let ran = Deletion::of(&[&sandbox.target]).forced().run(&node).await;

    assert_eq!(ran.outcome(), Outcome::Conflict);
    ran.assert_untouched();
    assert!(ran.messages().contains(&in_use(sandbox, "running", &pod.id)), "{:?}", ran.messages());
}

async fn a_container_holds_the_image_that_it_was_made_from_when_the_tag_has_moved(version: Version) {
    let node = Node::start(version).await;
    let old = node.import(&Image::new(APP).layer("old")).await;
    node.tag(APP, "docker.io/library/app:old").await;
    let pod = node.pod("shop", "cart").await;
    let container = node.container(&pod, "cart", APP, State::Running).await;
    node.plain_container("plain", APP, State::Running).await;
    let new = node.import(&Image::new("docker.io/library/app:new").layer("new")).await;
    node.move_record(APP, &new.name).await;

    let ran = Deletion::of(&[&old.target]).run(&node).await;
    let mut said = [in_use(&old, "running", &container), in_use(&old, "running", "plain")];
    said.sort();
    ran.assert_refused(Outcome::Conflict, &said);

    let ran = Deletion::of(&["app:v1", "app:new"]).run(&node).await;
    assert_eq!(ran.results[1].removals, [untagged("app:new"), deleted(&new)]);
    assert_eq!(ran.freed, belongings([&new], node.sandbox_image()));
}

/// Whoever made it with `ctr` or `nerdctl` gave it its ID.
async fn a_container_is_another_where_one_of_its_id_is_made_anew(version: Version) {
    let node = Node::start(version).await;
    let other = "docker.io/library/other:v1";
    for name in [APP, other] {
        node.import(&Image::new(name).layer(name)).await;
    }
    let deletion = Deletion::of(&["app:v1", "other:v1"]);
    let engine = deletion.engine(&node).await;
    let outcomes = async || -> Vec<_> {
        deletion.dry_run_by(&engine).await.iter().map(|result| result.outcome).collect()
    };
    node.plain_container("user", APP, State::Running).await;
    assert_eq!(outcomes().await, [Outcome::Conflict, Outcome::Deleted]);
    node.remove_plain_container("user").await;
    node.plain_container("user", other, State::Running).await;
    assert_eq!(outcomes().await, [Outcome::Deleted, Outcome::Conflict]);
}

/// Labels and containers go on speaking of a snapshotter that people have removed.
async fn what_is_left_of_a_snapshotter_that_is_gone_is_in_nobodys_way(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    let other = node.import(&Image::new("docker.io/library/other:v1").layer("two")).await;
    let root = app.chain_ids().last().unwrap().to_string();
    let label = format!("containerd.io/gc.ref.snapshot.gone={root}");
    node.ctr(["content", "label", app.config(), &label]).await;
    let left = Container {
        id: "left".to_owned(),
        image: "docker.io/library/other:v1".to_owned(),
        snapshotter: "gone".to_owned(),
        snapshot_key: "left".to_owned(),
        spec: Some(Any {
            type_url: "types.containerd.io/opencontainers/runtime-spec/1/Spec".to_owned(),
            value: b"{}".to_vec(),
        }),
        runtime: Some(Runtime { name: "io.containerd.runc.v2".to_owned(), options: None }),
        ..Container::default()
    };
    let request = in_namespace(NAMESPACE, CreateContainerRequest { container: Some(left) });
    node.client().containers().create(request).await.unwrap();

    let ran = Deletion::of(&["app:v1"]).run(&node).await;
    assert_eq!(ran.removals(), [untagged("app:v1"), deleted(&app)]);
    let ran = Deletion::of(&[&other.target]).run(&node).await;
    ran.assert_refused(Outcome::Conflict, &[in_use(&other, "stopped", "left")]);
}

async fn an_image_is_in_use_by_its_digest(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    let by_digest = format!("docker.io/library/app@{}", app.target);
    node.tag(APP, &by_digest).await;
    let pod = node.pod("shop", "cart").await;
    let container = node.container(&pod, "cart", &by_digest, State::Running).await;

    let ran = Deletion::of(&["app:v1"]).run(&node).await;
    ran.assert_refused(Outcome::Conflict, &[uses_name(&app, &container)]);
    let ran = Deletion::of(&[&by_digest]).run(&node).await;
    assert_eq!(ran.outcome(), Outcome::Conflict);
    ran.assert_untouched();
}

async fn images_in_a_namespace_without_cri_are_deleted(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    let unpacked = node.disk().await.layers;
    let archive = node.directory().join("app.tar");
    let archive = archive.to_str().unwrap();
    // Without `--local`, `ctr` 2.x may end before it has written all of an archive.
    let local: &[&str] = match version {
        Version::V1 => &[],
        Version::V2 => &["--local"],
    };
    node.ctr_in(NAMESPACE, &[&["images", "export"], local, &[archive, APP]].concat()).await;
    node.ctr_in("other", &[&["images", "import"], local, &[archive]].concat()).await;
    node.ctr_in("other", &["containers", "create", APP, "user"]).await;
    let deletion = || Deletion::of(&["app:v1"]).in_namespace("other");

    let (engine, done) = deletion().carry_out(&node).await;
    assert_eq!(done.results[0].messages, [uses_name(&app, "user")]);
    engine.acknowledge(done).await.unwrap();

    node.ctr_in("other", &["containers", "rm", "user"]).await;
    let (engine, done) = deletion().carry_out(&node).await;
    assert_eq!(done.results[0].removals, [untagged("app:v1"), deleted(&app)]);
    let layers: u64 = app.chain_ids().iter().map(|chain| unpacked[&**chain]).sum();
    assert_eq!(done.results[0].reclaimed_bytes, layers, "both have unpacked it, and share its blobs");
    engine.acknowledge(done).await.unwrap();

    assert_eq!(node.ctr_in("other", &["images", "ls", "-q"]).await, "");
    assert_eq!(node.ctr_in("other", &["leases", "ls", "-q"]).await, "");
    assert_eq!(node.ctr_in("other", &["snapshots", "ls"]).await.lines().count(), 1, "the head line");
    assert!(node.record(APP).await.is_some(), "the other namespace has its own");
}

async fn images_of_a_containerd_without_cri_are_deleted(version: Version) {
    let setup = Setup { cri: Cri::Disabled, ..Setup::default() };
    let node = Node::start_with(version, setup).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    assert_eq!(node.records().await.keys().collect::<Vec<_>>(), [APP]);
    node.plain_container("user", APP, State::Running).await;
    assert_held(&node, &app, "running", "user").await;
    node.remove_plain_container("user").await;

    let ran = Deletion::of(&["app:v1"]).run(&node).await;

    assert_eq!(ran.removals(), [untagged("app:v1"), deleted(&app)]);
    assert_eq!(ran.gone, names([APP]));
    assert_eq!(ran.freed, belongings([&app], None));
    assert_eq!(node.disk().await.layers, BTreeMap::new());
}

/// containerd 1.6 has no image volumes.
mod an_image_is_in_use_as_a_volume {
    use super::*;

    #[tokio::test]
    async fn v2() {
        let node = Node::start(Version::V2).await;
        let app = node.import(&Image::new(APP).layer("one")).await;
        node.import(&Image::new("docker.io/library/user:v1").layer("two")).await;
        let pod = node.pod("shop", "cart").await;
        for (number, volume) in [APP, app.config()].into_iter().enumerate() {
            let name = format!("c{number}");
            let user = "docker.io/library/user:v1";
            let container = node.container_with_volume(&pod, &name, user, volume).await;
            assert_held(&node, &app, "stopped", &container).await;
            node.start_container(&container).await;
            assert_held(&node, &app, "running", &container).await;
            node.stop_container(&container).await;
            node.remove_container(&container).await;
        }
        let ran = Deletion::of(&["app:v1"]).run(&node).await;
        assert_eq!(ran.removals(), [untagged("app:v1"), deleted(&app)]);
    }
}
