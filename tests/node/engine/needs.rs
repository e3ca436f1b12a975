//! Pods that are bound to the node in the middle of a deletion.

use std::future::ready;

use futures::future::BoxFuture;
use secateur::image::Pod;
use secateur::node::{Error, Needs, Outcome, Unknown};

use super::APP;
use super::agreement::assert_agreement;
use super::deletion::{Deletion, leases};
use crate::bed::{Image, Node, Version, both};

both!(
    a_pod_that_was_bound_meanwhile_brings_its_image_back,
    what_nobody_can_say_of_pods_keeps_their_images,
    only_names_that_go_need_no_pods,
    pods_are_not_asked_for_again_where_none_has_begun,
    a_pod_that_has_begun_meanwhile_brings_its_image_back,
    a_pod_is_found_among_many_that_were_bound_meanwhile,
);

/// The API server, which is asked once the records are gone.
struct ApiServer(Option<Vec<Pod>>);

impl Needs for ApiServer {
    fn pods(&self) -> BoxFuture<'_, Result<Vec<Pod>, Unknown>> {
        Box::pin(ready(self.0.clone().ok_or_else(|| "it is away".into())))
    }
}

fn cart() -> Pod {
    Pod { namespace: "shop".into(), name: "cart".into(), images: vec![APP.into()] }
}

async fn a_pod_that_was_bound_meanwhile_brings_its_image_back(version: Version) {
    let node = Node::start(version).await;
    node.import(&Image::new(APP).layer("one")).await;
    let before = (node.records().await, node.disk().await);

    let (engine, done) = Deletion::of(&["app:v1"]).carry_out_as(&node, &ApiServer(Some(vec![cart()]))).await;
    let done = done.unwrap();
    let result = &done.results[0];
    assert_eq!((result.outcome, result.put_back), (Outcome::Conflict, 1), "{result:#?}");
    assert!(result.messages[0].ends_with("image is needed by pod shop/cart"), "{result:#?}");
    engine.acknowledge(done).await.unwrap();
    assert!(leases(&node).await.is_empty());
    node.collect_garbage().await;
    assert_eq!((node.records().await, node.disk().await), before);
    assert_agreement(&node).await;

    let forced = Deletion::of(&["app:v1"]).forced();
    let (engine, done) = forced.carry_out_as(&node, &ApiServer(Some(vec![cart()]))).await;
    let done = done.unwrap();
    assert_eq!(done.results[0].outcome, Outcome::Deleted, "who forces it means the pods too");
    engine.acknowledge(done).await.unwrap();
}

async fn what_nobody_can_say_of_pods_keeps_their_images(version: Version) {
    let node = Node::start(version).await;
    node.import(&Image::new(APP).layer("one")).await;
    let before = node.records().await;

    let deletion = Deletion::of(&["app:v1"]);
    let (_, failed) = deletion.carry_out_as(&node, &ApiServer(None)).await;
    assert!(matches!(failed, Err(Error::Needs(_))), "{failed:?}");
    assert_eq!(node.records().await, before);

    let (engine, done) = deletion.carry_out_as(&node, &ApiServer(Some(vec![]))).await;
    let done = done.unwrap();
    let recovered = done.recovered.iter().flat_map(|recovered| &recovered.results);
    let removals: Vec<_> = recovered.chain(&done.results).flat_map(|result| &result.removals).collect();
    assert_eq!(removals.len(), 2, "its name and the image, told once: {done:#?}");
    engine.acknowledge(done).await.unwrap();
    assert!(leases(&node).await.is_empty());
    assert_eq!(node.record(APP).await, None);
    assert_agreement(&node).await;
}

async fn only_names_that_go_need_no_pods(version: Version) {
    let node = Node::start(version).await;
    node.import(&Image::new(APP).layer("one")).await;
    node.tag(APP, "docker.io/library/other:v1").await;
    let (engine, done) = Deletion::of(&["app:v1"]).carry_out_as(&node, &ApiServer(None)).await;
    let done = done.unwrap();
    assert_eq!(done.results[0].outcome, Outcome::Untagged);
    engine.acknowledge(done).await.unwrap();
}

async fn pods_are_not_asked_for_again_where_none_has_begun(version: Version) {
    let node = Node::start(version).await;
    node.import(&Image::new(APP).layer("one")).await;
    let ended = node.pod("shop", "ended").await;
    node.pod("shop", "old").await;
    let deletion = Deletion::of(&["app:v1"]).listed_now(&node).await;
    node.remove_pod(&ended).await;

    let (engine, done) = deletion.carry_out_as(&node, &ApiServer(None)).await;
    let done = done.unwrap();
    assert_eq!(done.results[0].outcome, Outcome::Deleted);
    engine.acknowledge(done).await.unwrap();
}

/// It has a sandbox and no container yet.
async fn a_pod_that_has_begun_meanwhile_brings_its_image_back(version: Version) {
    let node = Node::start(version).await;
    node.import(&Image::new(APP).layer("one")).await;
    let before = (node.records().await, node.disk().await);
    let deletion = Deletion::of(&["app:v1"]).listed_now(&node).await;
    node.pod("shop", "cart").await;

    let (engine, done) = deletion.carry_out_as(&node, &ApiServer(Some(vec![cart()]))).await;
    let done = done.unwrap();
    let result = &done.results[0];
    assert_eq!((result.outcome, result.put_back), (Outcome::Conflict, 1), "{result:#?}");
    engine.acknowledge(done).await.unwrap();
    node.collect_garbage().await;
    assert_eq!((node.records().await, node.disk().await), before);
}

/// All their images are looked up at once.
async fn a_pod_is_found_among_many_that_were_bound_meanwhile(version: Version) {
    let node = Node::start(version).await;
    node.import(&Image::new(APP).layer("one")).await;
    let before = node.records().await;
    let images = (0..20).map(|number| format!("docker.io/library/other-{number}:v1").into());
    let others = Pod { namespace: "shop".into(), name: "others".into(), images: images.collect() };

    let api_server = ApiServer(Some(vec![others, cart()]));
    let (engine, done) = Deletion::of(&["app:v1"]).carry_out_as(&node, &api_server).await;
    let done = done.unwrap();
    let result = &done.results[0];
    assert_eq!((result.outcome, result.put_back), (Outcome::Conflict, 1), "{result:#?}");
    assert!(result.messages[0].ends_with("image is needed by pod shop/cart"), "{result:#?}");
    engine.acknowledge(done).await.unwrap();
    assert_eq!(node.records().await, before);
}
