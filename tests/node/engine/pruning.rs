//! Parents are pruned in a step of its own: what comes between, and deletions that end there.

use super::APP;
use super::kill::state;
use super::lineage::{Family, family};
use super::process::Process;
use crate::bed::{Image, Node, State, Version, both};

both!(
    the_next_run_finishes_the_pruning_that_had_begun,
    a_parent_that_came_into_use_is_put_back_quietly,
    a_parent_that_came_into_use_before_is_left_alone,
    a_parent_that_was_named_meanwhile_stays_and_is_no_failure,
    a_parent_that_got_the_name_of_the_image_meanwhile_stays,
);

/// The child has two records, and so has its parent.
const FIRST_OF_PARENT: &str = "removing:3";
const LAST_OF_PARENT: &str = "removing:4";

async fn the_next_run_finishes_the_pruning_that_had_begun(version: Version) {
    let node = Node::start(version).await;
    let empty = state(&node).await;
    let first = ["removing:2", "settled", "collected"];
    let second = [
        "journal-open:2",
        FIRST_OF_PARENT,
        LAST_OF_PARENT,
        "removed:2",
        "looked-again:2",
        "settled:2",
        "collected:2",
        "reported",
    ];
    for place in first.into_iter().chain(second) {
        let Family { parent, child, .. } = family(&node, &["one"]).await;

        Process::stopped_at(&node, place, &["app:v1"]).await.kill().await;
        let answer = Process::start(&node, "next", &["app:v1"]).finish().await;

        let [recovered] = &answer.recovered[..] else { panic!("{place}: one was killed: {answer:#?}") };
        let [told] = &recovered.results[..] else { panic!("{place}: it had one entry: {recovered:#?}") };
        let expected = vec![
            "untagged app:v1".to_owned(),
            format!("deleted {}", child.target),
            format!("deleted {}", parent.target),
        ];
        assert_eq!((&*told.outcome, &told.removals), ("Deleted", &expected), "{place}");
        assert_eq!(state(&node).await, empty, "{place}");
    }
}

async fn a_parent_that_came_into_use_is_put_back_quietly(version: Version) {
    a_parent_that_came_into_use_stays(version, LAST_OF_PARENT).await;
}

async fn a_parent_that_came_into_use_before_is_left_alone(version: Version) {
    a_parent_that_came_into_use_stays(version, "settled").await;
}

async fn a_parent_that_was_named_meanwhile_stays_and_is_no_failure(version: Version) {
    const NAME: &str = "docker.io/library/base:v1";
    let node = Node::start(version).await;
    let Family { parent, dangling, child } = family(&node, &["one"]).await;

    for ends_in_the_next_run in [false, true] {
        let process = Process::stopped_at(&node, FIRST_OF_PARENT, &["app:v1"]).await;
        node.put_record(NAME, &dangling).await;
        let told = match ends_in_the_next_run {
            false => process.finish().await.results,
            true => {
                process.kill().await;
                let answer = Process::start(&node, "next", &["none:v1"]).finish().await;
                answer.recovered.into_iter().flat_map(|recovered| recovered.results).collect()
            }
        };

        let [told] = &told[..] else { panic!("it had one entry: {told:#?}") };
        let removals = ["untagged app:v1".to_owned(), format!("deleted {}", child.target)];
        assert_eq!((&*told.outcome, &told.removals[..]), ("Deleted", &removals[..]), "{told:#?}");
        assert!(told.messages[0].ends_with("meanwhile it was named base:v1"), "{told:#?}");
        assert_eq!(node.record(NAME).await.unwrap().target, parent.target);
        node.delete_record(NAME).await;
        family(&node, &["one"]).await;
    }
}

async fn a_parent_that_came_into_use_stays(version: Version, place: &str) {
    let node = Node::start(version).await;
    let Family { parent, dangling, child } = family(&node, &["one"]).await;

    let process = Process::stopped_at(&node, place, &["app:v1"]).await;
    node.plain_container("user", &dangling, State::Created).await;
    let answer = process.finish().await;

    let told = answer.only();
    let removals = ["untagged app:v1".to_owned(), format!("deleted {}", child.target)];
    assert_eq!((&*told.outcome, &told.removals[..]), ("Deleted", &removals[..]));
    assert!(told.messages.is_empty() && told.conflicts.is_empty(), "{told:#?}");
    for name in [&*dangling, parent.config()] {
        assert_eq!(node.record(name).await.unwrap().target, parent.target, "{name}");
    }
}

/// A tag that was rolled back to what its image was built on.
async fn a_parent_that_got_the_name_of_the_image_meanwhile_stays(version: Version) {
    let node = Node::start(version).await;
    let base = node.import(&Image::new("docker.io/library/base:v1").layer("one")).await;
    node.import(&Image::new(APP).layer("one").layer("two")).await;
    Process::stopped_at(&node, "settled", &["app:v1"]).await.kill().await;
    node.tag(&base.name, APP).await;
    node.delete_record(&base.name).await;
    let before = node.records().await;

    let answer = Process::start(&node, "next", &["none:v1"]).finish().await;
    assert_eq!(answer.recovered[0].results[0].outcome, "Deleted", "{answer:#?}");
    assert_eq!(node.records().await, before);
}
