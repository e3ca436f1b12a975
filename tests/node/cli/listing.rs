//! `secateur images` and `secateur prune`.

use std::time::Duration;

use nix::sys::signal::{Signal, kill};

use super::*;
use crate::bed::both;

both!(
    images_are_listed_with_their_users,
    prune_takes_dangling_images_alone,
    prune_takes_unused_images_but_kept_and_young_ones,
    prune_takes_no_name_of_what_came_into_use,
    prune_goes_by_when_a_name_was_moved,
);

async fn images_are_listed_with_their_users(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    node.tag(APP, "ghcr.io/acme/app:v2").await;
    let other = node.import(&Image::bare("docker.io/library/other:v1").layer("two")).await;
    let pod = node.pod("shop", "cart").await;
    let id = node.container(&pod, "cart", APP, State::Running).await;
    node.plain_container("plain", APP, State::Stopped).await;
    node.label("docker.io/library/other:v1", "io.cri-containerd.pinned", "pinned").await;

    let answer = call(&node, &["images", "-o", "json"]).await;
    assert_eq!((answer.exit, &*answer.stderr), (0, ""));
    let document = answer.json();
    let images = document["images"].as_array().unwrap();
    assert_eq!(images.len(), 3, "the sandbox image is one too");
    let find = |target: &Digest| images.iter().find(|image| image["id"] == json!(target)).unwrap();
    let (listed, bare) = (find(&app.target), find(&other.target));
    assert_eq!(listed["names"], json!(["app:v1", "ghcr.io/acme/app:v2"]));
    assert_eq!(listed["configs"], json!([app.config()]));
    assert_eq!(
        listed["usedBy"],
        json!([
            {"id": id, "running": true, "namespace": "shop", "pod": "cart", "container": "cart"},
            {"id": "plain", "running": false},
        ])
    );
    assert_eq!((&bare["pinned"], &bare["usedBy"]), (&json!(true), &json!([])));
    // The busybox below is the sandbox image's too; of the other image everything is its own.
    let content = node.content().await;
    let bytes = |image: &Imported| image.content().iter().map(|digest| content[digest].size).sum::<u64>();
    assert_eq!(bare["sharedBytes"], 0);
    assert!(bare["uniqueBytes"].as_u64().unwrap() >= bytes(&other));
    let of_app = ["uniqueBytes", "sharedBytes"].map(|field| listed[field].as_u64().unwrap());
    assert!(of_app.iter().all(|bytes| *bytes > 0));
    assert!(of_app.iter().sum::<u64>() >= bytes(&app));

    let some = call(&node, &["images", "ghcr.io/**", "nosuch"]).await;
    assert_eq!((some.exit, &*some.stderr), (3, "error: No such image: nosuch\n"));
    let lines: Vec<_> = some.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines[1].starts_with("app:v1") && lines[1].ends_with("shop/cart/cart"), "{lines:?}");
    assert!(lines[2].ends_with("plain (stopped)"), "{lines:?}");
}

async fn prune_takes_dangling_images_alone(version: Version) {
    let node = Node::start(version).await;
    let dangling = node.import(&Image::new("docker.io/library/old:v1").layer("one")).await;
    let stranded = node.import(&Image::new("docker.io/library/left:v1").layer("two")).await;
    let app = node.import(&Image::new(APP).layer("three")).await;
    node.put_record(&format!("moby-dangling@{}", dangling.target), &dangling.name).await;
    node.delete_record(dangling.config()).await;
    node.delete_record(&dangling.name).await;
    // The CRI makes its own record anew, as it does where its own removal is interrupted.
    node.delete_record(&stranded.name).await;

    let answer = call(&node, &["prune", "-o", "json"]).await;
    assert_eq!((answer.exit, &*answer.stderr), (0, ""));
    let document = answer.json();
    let told: BTreeMap<_, _> = document["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| (result["image"].as_str().unwrap(), &result["outcome"]))
        .collect();
    let deleted = json!("Deleted");
    assert_eq!(told, BTreeMap::from([(&*dangling.target, &deleted), (&*stranded.target, &deleted)]));
    assert!(is_gone(&node, &dangling).await && is_gone(&node, &stranded).await);
    assert!(!is_gone(&node, &app).await);

    let nothing = call(&node, &["prune"]).await;
    assert_eq!((nothing.exit, &*nothing.stdout, &*nothing.stderr), (0, "", "nothing to prune\n"));
}

async fn prune_takes_unused_images_but_kept_and_young_ones(version: Version) {
    let node = Node::start(version).await;
    let image = |name: &str| format!("docker.io/library/{name}:v1");
    for name in ["app", "used", "held", "kept", "pinned"] {
        node.import(&Image::new(image(name)).layer(name)).await;
    }
    node.tag(APP, "ghcr.io/acme/app:v2").await;
    node.label(&image("pinned"), "io.cri-containerd.pinned", "pinned").await;
    let pod = node.pod("shop", "cart").await;
    node.container(&pod, "cart", &image("used"), State::Running).await;
    node.plain_container("plain", &image("held"), State::Stopped).await;

    let young = call(&node, &["prune", "--unused", "--older-than", "1h"]).await;
    assert_eq!((young.exit, &*young.stderr), (0, "nothing to prune\n"));
    let answer = call(&node, &["prune", "--unused", "--keep", "kept:*", "-o", "json"]).await;
    assert_eq!((answer.exit, &*answer.stderr), (0, ""));
    let document = answer.json();
    let told: Vec<_> = document["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| (result["image"].as_str().unwrap(), result["outcome"].as_str().unwrap()))
        .collect();
    assert_eq!(told, [("app:v1", "Deleted")], "one row for an image, whatever names it has");
    let records = &document["results"][0]["records"];
    assert_eq!(records[0], json!({"untagged": "app:v1"}));
    assert_eq!(records[1], json!({"untagged": "ghcr.io/acme/app:v2"}));
    let records = node.records().await;
    for stays in ["used", "held", "kept", "pinned"] {
        assert!(records.contains_key(&image(stays)), "{stays}");
    }
    assert!(records.contains_key("registry.k8s.io/pause:bed"), "a sandbox uses it");
}

async fn prune_takes_no_name_of_what_came_into_use(version: Version) {
    for place in ["journal-open", "removing:2"] {
        let node = Node::start(version).await;
        node.import(&Image::new(APP).layer("one")).await;
        node.tag(APP, "ghcr.io/acme/app:v2").await;
        let names = async || node.records().await.into_keys().collect::<Vec<_>>();
        let before = names().await;
        let mut command = secateur(&node, &["prune", "--unused", "--yes", "-o", "json"]);
        command.env("SECATEUR_STOP_AT", place);
        let child = begin(command, "");
        let pid = stops(&child).await;
        node.plain_container("plain", APP, State::Stopped).await;
        kill(pid, Signal::SIGCONT).unwrap();
        let answer = end(child).await;
        let document = answer.json();
        let told = [&document["results"][0]["image"], &document["results"][0]["outcome"]];
        assert_eq!((answer.exit, told), (4, [&json!("app:v1"), &json!("Conflict")]), "{place}: {answer:?}");
        assert_eq!(names().await, before, "{place}");
    }
}

/// containerd keeps the time at which a name was made, when somebody loads another image under it.
async fn prune_goes_by_when_a_name_was_moved(version: Version) {
    let node = Node::start(version).await;
    let old = node.import(&Image::new(APP).layer("one")).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    const NEW: &str = "docker.io/library/new:v1";
    let new = node.import(&Image::new(NEW).layer("two")).await;
    node.move_record(APP, NEW).await;
    node.delete_record(NEW).await;

    let answer = call(&node, &["prune", "--unused", "--older-than", "3s"]).await;
    assert_eq!(answer.exit, 0, "{answer:?}");
    assert!(is_gone(&node, &old).await && !is_gone(&node, &new).await, "{answer:?}");
    assert!(node.records().await.contains_key(APP));
}
