//! What others do to a node while a deletion is under way.

use std::collections::BTreeSet;

use secateur::node::Outcome;

use super::APP;
use super::agreement::assert_agreement;
use super::deletion::{Deletion, belongings, leases};
use super::process::{Process, Told};
use crate::bed::{Image, Imported, Node, State, Version, both};

both!(
    a_tag_that_was_moved_is_left_alone,
    a_container_of_a_pod_that_was_started_brings_its_image_back,
    a_plain_container_that_was_started_brings_its_image_back,
    a_container_that_came_before_the_last_name_went_is_not_forced_away,
    a_container_that_is_being_made_brings_its_image_back,
    a_container_with_a_user_namespace_that_is_being_made_brings_its_image_back,
    a_container_that_is_made_of_a_child_is_none_of_its_parent,
    a_dry_run_says_which_names_go_of_what_is_being_made,
    a_snapshot_that_somebody_looks_into_is_no_container,
    an_image_that_was_tagged_meanwhile_stays,
    an_identity_record_that_was_made_anew_goes_too,
    records_that_others_removed_are_not_reported,
    an_image_that_others_removed_wholly_is_absent,
    a_name_that_became_the_last_one_comes_back,
    what_others_remove_is_not_counted,
    content_that_something_else_keeps_is_not_counted_and_keeps_no_root_file_system,
    a_name_that_was_pulled_anew_after_the_last_look_is_left_alone,
);

/// The image that the tests delete: a tag, a digest reference and the CRI's record.
async fn pulled(node: &Node) -> Imported {
    let app = node.import(&Image::new(APP).layer("one")).await;
    node.tag(APP, &by_digest(&app)).await;
    app
}

fn by_digest(app: &Imported) -> String {
    format!("docker.io/library/app@{}", app.target)
}

fn all_gone(app: &Imported) -> [String; 3] {
    ["untagged app:v1".to_owned(), format!("untagged app@{}", app.target), format!("deleted {}", app.target)]
}

async fn assert_settled(node: &Node) {
    assert!(leases(node).await.is_empty());
    node.collect_garbage().await;
    assert_agreement(node).await;
}

async fn a_tag_that_was_moved_is_left_alone(version: Version) {
    let node = Node::start(version).await;
    let app = pulled(&node).await;
    let new = node.import(&Image::new("docker.io/library/new:v1").layer("two")).await;
    let before = node.disk().await;

    let process = Process::stopped_at(&node, "removing", &["app:v1"]).await;
    node.move_record(APP, &new.name).await;
    let answer = process.finish().await;

    let told = answer.only();
    assert_eq!(told.outcome, "Deleted");
    assert_eq!(told.removals, all_gone(&app)[1..]);
    assert!(told.messages[0].starts_with(&format!("{APP} was moved to {}", new.target)), "{told:?}");
    assert_eq!(node.record(APP).await.unwrap().target, new.target);
    assert_settled(&node).await;
    assert_eq!(told.reclaimed, before.bytes() - node.disk().await.bytes());
}

/// The container runs after the deletion, and another one can be made of the same image.
async fn a_container_of_a_pod_that_was_started_brings_its_image_back(version: Version) {
    let node = Node::start(version).await;
    let app = pulled(&node).await;
    let pod = node.pod("shop", "cart").await;
    let before = (node.records().await, node.disk().await);

    // Before the identity record, the tag and the digest reference.
    for place in ["removing:1", "removing:2", "removing:3"] {
        let process = Process::stopped_at(&node, place, &["app:v1"]).await;
        let name = place.replace(':', "-");
        let container = node.container(&pod, &name, &by_digest(&app), State::Running).await;
        let answer = process.finish().await;

        assert_put_back(&app, answer.only(), &container);
        let now = node.records().await;
        for (name, record) in &before.0 {
            assert_eq!(now.get(name), Some(record), "{place}");
        }
        assert_settled(&node).await;
        assert_eq!(node.disk().await, before.1);
        node.stop_container(&container).await;
        let again = node.container(&pod, &format!("{name}-again"), APP, State::Running).await;
        node.stop_container(&again).await;
        node.remove_container(&container).await;
        node.remove_container(&again).await;
    }
}

fn assert_put_back(app: &Imported, told: &Told, container: &str) {
    let conflict = format!(
        "conflict: unable to delete {} (cannot be forced) - image is being used by running container {}",
        &app.target.hex()[..12],
        &container[..container.len().min(12)]
    );
    assert_eq!(told.conflicts, [conflict]);
    assert_eq!(told.outcome, "Conflict");
    assert_eq!((&told.removals[..], told.reclaimed), (&[][..], 0));
}

async fn a_plain_container_that_was_started_brings_its_image_back(version: Version) {
    let node = Node::start(version).await;
    let app = pulled(&node).await;
    let before = (node.records().await, node.disk().await);

    let process = Process::stopped_at(&node, "removing:3", &["app:v1"]).await;
    node.plain_container("user", &by_digest(&app), State::Running).await;
    let answer = process.finish().await;

    assert_put_back(&app, answer.only(), "user");
    assert_settled(&node).await;
    assert_eq!((node.records().await, node.disk().await), before);
    node.plain_container("again", APP, State::Running).await;
}

/// Had it been there when that was decided, only the name would have gone, forced or not. The image itself can be forced away.
async fn a_container_that_came_before_the_last_name_went_is_not_forced_away(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    let before = (node.records().await, node.disk().await);

    for is_killed in [false, true] {
        let process = Process::forced_stopped_at(&node, "removing:2", &["app:v1"]).await;
        node.plain_container("user", APP, State::Created).await;
        let results = match is_killed {
            false => process.finish().await.results,
            true => {
                process.kill().await;
                let mut next = Process::start(&node, "next", &["nosuch"]).finish().await;
                next.recovered.remove(0).results
            }
        };
        assert_eq!(results[0].outcome, "Conflict", "{results:#?}");
        assert_eq!((results[0].removals.len(), results[0].reclaimed), (0, 0), "{results:#?}");
        assert_settled(&node).await;
        assert_eq!((node.records().await, node.disk().await), before, "{is_killed}");
        node.remove_plain_container("user").await;
    }

    let process = Process::forced_stopped_at(&node, "removing:2", &[app.config()]).await;
    node.plain_container("user", APP, State::Created).await;
    let answer = process.finish().await;
    assert_eq!(answer.only().outcome, "Deleted", "{answer:#?}");
    assert_settled(&node).await;
}

/// Not even containerd lists it yet, and forcing helps no more than against a container that runs.
async fn a_container_that_is_being_made_brings_its_image_back(version: Version) {
    let node = Node::start(version).await;
    let app = pulled(&node).await;
    let records = node.records().await;

    let process = Process::stopped_at(&node, "removed", &["app:v1"]).await;
    let root = app.chain_ids().pop().unwrap();
    node.prepare_snapshot("0123456789abcdef", &root).await;
    let answer = process.finish().await;
    assert_put_back(&app, answer.only(), "0123456789abcdef");
    assert_eq!(node.records().await, records);
    assert_settled(&node).await;

    for deletion in [Deletion::of(&["app:v1"]), Deletion::of(&["app:v1"]).forced()] {
        let foretold = deletion.dry_run(&node).await;
        let (engine, done) = deletion.carry_out(&node).await;
        assert_eq!(done.results[0].outcome, Outcome::Conflict, "{done:#?}");
        assert_eq!(foretold[0].conflicts, done.results[0].conflicts, "{foretold:#?}");
        assert_eq!(foretold[0].outcome, Outcome::Conflict, "{foretold:#?}");
        engine.acknowledge(done).await.unwrap();
        assert_eq!(node.records().await, records);
    }
}

/// Its root file system is copied first, and then it lies on the copy.
async fn a_container_with_a_user_namespace_that_is_being_made_brings_its_image_back(version: Version) {
    let node = Node::start(version).await;
    let app = pulled(&node).await;
    let records = node.records().await;
    let root = app.chain_ids().pop().unwrap();
    let copies = [format!("sha256:{}", "5".repeat(64)), format!("{root}-1000-1000")];
    for copy in copies {
        node.ctr(["snapshots", "prepare", "copying", &root]).await;
        node.ctr(["snapshots", "commit", &copy, "copying"]).await;
        for (key, parent) in [(format!("{copy}-remap"), &*root), ("0123456789abcdef".into(), &*copy)] {
            let process = Process::stopped_at(&node, "removed", &["app:v1"]).await;
            node.prepare_snapshot(&key, parent).await;
            let answer = process.finish().await;
            assert_put_back(&app, answer.only(), &key);
            assert_eq!(node.records().await, records);
            node.remove_snapshot(&key).await;
            assert_settled(&node).await;
        }
        node.remove_snapshot(&copy).await;
    }
}

async fn a_container_that_is_made_of_a_child_is_none_of_its_parent(version: Version) {
    let node = Node::start(version).await;
    let base = node.import(&Image::new("docker.io/library/base:v1").layer("one")).await;
    let child = node.import(&Image::new(APP).layer("one").layer("two")).await;
    node.prepare_snapshot("0123456789abcdef", &child.chain_ids().pop().unwrap()).await;

    let deletion = Deletion::of(&["base:v1"]).forced();
    let foretold = deletion.dry_run(&node).await;
    let (engine, done) = deletion.carry_out(&node).await;
    let outcomes = [foretold[0].outcome, done.results[0].outcome];
    assert_eq!(outcomes, [Outcome::Deleted; 2], "{done:#?}");
    engine.acknowledge(done).await.unwrap();
    assert_eq!(node.record(&base.name).await, None);
}

async fn a_dry_run_says_which_names_go_of_what_is_being_made(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    node.tag(APP, "docker.io/library/app:v2").await;
    node.prepare_snapshot("0123456789abcdef", &app.chain_ids().pop().unwrap()).await;

    let deletion = Deletion::of(&["app:v1", "app:v2"]);
    let foretold = deletion.dry_run(&node).await;
    let (engine, done) = deletion.carry_out(&node).await;
    let told = |results: &[secateur::node::EntryResult]| {
        results.iter().map(|result| (result.outcome, result.removals.len())).collect::<Vec<_>>()
    };
    assert_eq!(told(&done.results), [(Outcome::Untagged, 1), (Outcome::Conflict, 0)], "{done:#?}");
    assert_eq!(told(&foretold), told(&done.results));
    engine.acknowledge(done).await.unwrap();
}

/// `ctr snapshots prepare` makes one that is kept for its own sake, also where others have leases.
async fn a_snapshot_that_somebody_looks_into_is_no_container(version: Version) {
    let node = Node::start(version).await;
    let app = pulled(&node).await;
    let root = app.chain_ids().pop().unwrap();
    node.ctr(["snapshots", "prepare", "inspect", &root]).await;
    node.hold("elsewhere", node.sandbox_image().unwrap().config()).await;

    let answer = Process::start(&node, "", &["app:v1"]).finish().await;
    assert_eq!(answer.only().removals, all_gone(&app), "{answer:#?}");
}

async fn an_image_that_was_tagged_meanwhile_stays(version: Version) {
    let node = Node::start(version).await;
    let app = pulled(&node).await;
    let before = node.disk().await;

    let process = Process::stopped_at(&node, "removing", &["app:v1"]).await;
    node.put_record("docker.io/library/app:v2", APP).await;
    let answer = process.finish().await;

    let told = answer.only();
    assert_eq!(told.outcome, "Untagged");
    assert_eq!(told.removals, all_gone(&app)[..2]);
    assert!(told.messages[0].ends_with("meanwhile it was named app:v2"), "{told:?}");
    assert_eq!(told.reclaimed, 0);
    assert_settled(&node).await;
    assert_eq!(node.disk().await, before);
    let pod = node.pod("shop", "cart").await;
    node.container(&pod, "cart", "docker.io/library/app:v2", State::Running).await;
}

async fn an_identity_record_that_was_made_anew_goes_too(version: Version) {
    let node = Node::start(version).await;
    let app = pulled(&node).await;

    // The CRI does so when it hears of a name while the deletion is under way.
    let process = Process::stopped_at(&node, "removing:2", &["app:v1"]).await;
    node.put_record(app.config(), APP).await;
    let answer = process.finish().await;

    assert_eq!(answer.only().outcome, "Deleted");
    assert_eq!(answer.only().removals, all_gone(&app));
    assert_eq!(node.record(app.config()).await, None);
    assert_settled(&node).await;
    let own = belongings([&app], node.sandbox_image());
    assert!(node.disk().await.keys().all(|key| !own.contains(key)));
}

async fn records_that_others_removed_are_not_reported(version: Version) {
    let node = Node::start(version).await;
    let app = pulled(&node).await;

    let process = Process::stopped_at(&node, "removing", &["app:v1"]).await;
    node.delete_record(APP).await;
    let answer = process.finish().await;

    let told = answer.only();
    assert_eq!(told.outcome, "Deleted");
    assert_eq!(told.removals, all_gone(&app)[1..]);
    assert_settled(&node).await;
    let own = belongings([&app], node.sandbox_image());
    assert!(node.disk().await.keys().all(|key| !own.contains(key)));
}

async fn an_image_that_others_removed_wholly_is_absent(version: Version) {
    let node = Node::start(version).await;
    let app = pulled(&node).await;

    let process = Process::stopped_at(&node, "removing", &["app:v1"]).await;
    for name in [&**app.config(), &by_digest(&app), APP] {
        node.delete_record(name).await;
    }
    let answer = process.finish().await;

    let told = answer.only();
    assert_eq!((&*told.outcome, &told.removals[..], told.reclaimed), ("Absent", &[][..], 0));
    let short = &app.target.hex()[..12];
    assert_eq!(told.messages, [format!("others have removed what was to go of image {short} meanwhile")]);
    assert_settled(&node).await;
}

/// The plan was to leave the image to its other name. A container may use it.
async fn a_name_that_became_the_last_one_comes_back(version: Version) {
    const OTHER: &str = "docker.io/library/other:v1";
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    let pod = node.pod("shop", "cart").await;
    let container = node.container(&pod, "cart", APP, State::Running).await;
    let before = node.disk().await;
    for place in ["removing", "removed"] {
        node.tag(APP, OTHER).await;
        let process = Process::stopped_at(&node, place, &["app:v1"]).await;
        node.delete_record(app.config()).await;
        node.delete_record(OTHER).await;
        let answer = process.finish().await;

        let told = answer.only();
        assert_eq!((&*told.outcome, &told.removals[..]), ("Failed", &[][..]), "{place}");
        let stays = format!("image {} stays as it was: meanwhile its other names", &app.target.hex()[..12]);
        assert!(told.messages[0].starts_with(&stays), "{place}: {told:#?}");
        assert_eq!(node.record(APP).await.unwrap().target, app.target, "{place}");
        assert_settled(&node).await;
        assert_eq!(node.disk().await, before, "{place}");
        // The CRI makes its record anew when it pulls.
        node.ensure_record(app.config(), APP).await;
    }

    // Any record is enough to keep it, also one that nobody knew of.
    for other in ["docker.io/library/new:v1", app.config()] {
        node.tag(APP, OTHER).await;
        let process = Process::stopped_at(&node, "removing", &["app:v1"]).await;
        if node.record(other).await.is_none() {
            node.put_record(other, OTHER).await;
            node.delete_record(app.config()).await;
        }
        node.delete_record(OTHER).await;
        let answer = process.finish().await;

        assert_eq!(answer.only().outcome, "Untagged", "{other}");
        assert_eq!(answer.only().removals, ["untagged app:v1"], "{other}");
        assert_settled(&node).await;
        assert_eq!(node.disk().await, before, "{other}");
        node.put_record(APP, other).await;
        node.ensure_record(app.config(), other).await;
    }
    node.stop_container(&container).await;
}

async fn what_others_remove_is_not_counted(version: Version) {
    let node = Node::start(version).await;
    let app = pulled(&node).await;
    let other = Image::new("docker.io/library/other:v1").layer("one").layer("other");
    let other = node.import(&other).await;
    let before = node.disk().await;

    let process = Process::stopped_at(&node, "removed", &["app:v1"]).await;
    node.delete_record(other.config()).await;
    node.delete_record(&other.name).await;
    let answer = process.finish().await;

    // The layer that both share was held until the other one was gone, so it counts.
    assert_settled(&node).await;
    let after = node.disk().await;
    let bytes_of = |keys: BTreeSet<String>| -> u64 {
        let content = before.content.iter().map(|(digest, size)| (&**digest, size));
        let layers = before.layers.iter().map(|(chain, size)| (chain.as_str(), size));
        let all = content.chain(layers);
        all.filter(|(key, _)| keys.contains(*key)).map(|(_, size)| size).sum()
    };
    let theirs = bytes_of(belongings([&other], [&app]));
    let ours = bytes_of(belongings([&app], node.sandbox_image()));
    assert!(theirs > 0 && ours > 0);
    assert_eq!(before.bytes() - after.bytes(), theirs + ours);
    assert_eq!(answer.only().reclaimed, ours);
}

async fn content_that_something_else_keeps_is_not_counted_and_keeps_no_root_file_system(version: Version) {
    let node = Node::start(version).await;
    let app = pulled(&node).await;
    node.hold("elsewhere", app.config()).await;
    let before = node.disk().await;

    let answer = Process::start(&node, "", &["app:v1"]).finish().await;

    assert_eq!(answer.only().removals, all_gone(&app));
    assert_settled(&node).await;
    let after = node.disk().await;
    let blob = &node.content().await[app.config()];
    assert_eq!(blob.labels.get("containerd.io/gc.ref.snapshot.overlayfs"), None);
    assert!(!after.layers.contains_key(&**app.chain_ids().last().unwrap()));
    assert_eq!(answer.only().reclaimed, before.bytes() - after.bytes());
}

async fn a_name_that_was_pulled_anew_after_the_last_look_is_left_alone(version: Version) {
    let node = Node::start(version).await;
    let image = Image::new(APP).layer("one");
    let app = pulled(&node).await;

    for place in ["looked-again", "settled", "collected"] {
        let process = Process::stopped_at(&node, place, &["app:v1"]).await;
        node.import(&image).await;
        let answer = process.finish().await;

        let deleted = format!("deleted {}", app.target);
        assert!(!answer.only().removals.contains(&deleted), "{place}");
        let stays = format!("image {} stays: meanwhile it was named app:v1", &app.target.hex()[..12]);
        assert!(answer.only().messages.contains(&stays), "{place}");
        assert_settled(&node).await;
        assert_eq!(node.record(APP).await.unwrap().target, app.target, "{place}");
        let has = node.disk().await;
        let has: BTreeSet<_> = has.keys().map(str::to_owned).collect();
        assert!(belongings([&app], None).is_subset(&has), "{place}");
        let pod = node.pod("shop", place).await;
        let container = node.container(&pod, "cart", APP, State::Running).await;
        node.stop_container(&container).await;
        node.remove_pod(&pod).await;
    }
}
