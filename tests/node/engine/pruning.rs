//! Pruning: what comes between the decision and the end, and deletions that are killed in it.

use super::APP;
use super::kill::state;
use super::lineage::{Family, family};
use super::process::Process;
use crate::bed::{Node, State, Version, both};

both!(
    the_next_run_finishes_the_pruning_that_had_begun,
    a_parent_that_came_into_use_is_put_back_quietly,
    a_parent_that_was_named_meanwhile_stays_and_is_no_failure,
    the_parent_of_an_image_that_was_named_meanwhile_stays,
);

/// The child has two records, and so has its parent.
const FIRST_OF_PARENT: &str = "removing:3";
const LAST_OF_PARENT: &str = "removing:4";

async fn the_next_run_finishes_the_pruning_that_had_begun(version: Version) {
    let node = Node::start(version).await;
    let empty = state(&node).await;
    let places = [
        "removing:2",
        FIRST_OF_PARENT,
        LAST_OF_PARENT,
        "removed",
        "looked-again",
        "settled",
        "collected",
        "reported",
    ];
    for place in places {
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

/// An image that stays is still a child of its parent.
async fn the_parent_of_an_image_that_was_named_meanwhile_stays(version: Version) {
    let node = Node::start(version).await;
    let Family { dangling, child, .. } = family(&node, &["one"]).await;
    let process = Process::stopped_at(&node, "removing:2", &["app:v1"]).await;
    node.tag(APP, "docker.io/library/app:v2").await;
    let answer = process.finish().await;

    let told = answer.only();
    assert_eq!((&*told.outcome, &told.removals[..]), ("Untagged", &["untagged app:v1".to_owned()][..]));
    assert_eq!(node.record("docker.io/library/app:v2").await.unwrap().target, child.target);
    assert!(node.record(&dangling).await.is_some(), "{told:#?}");
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

async fn a_parent_that_came_into_use_is_put_back_quietly(version: Version) {
    let node = Node::start(version).await;
    let Family { parent, dangling, child } = family(&node, &["one"]).await;

    let process = Process::stopped_at(&node, LAST_OF_PARENT, &["app:v1"]).await;
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
