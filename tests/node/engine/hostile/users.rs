//! An image that containerd runs and that we can't read: it is not deleted under its container, and holds up nothing else.

use secateur::node::Outcome;

use super::super::deletion::{belongings, deleted};
use super::*;
use crate::bed::{State, both};

both!(an_image_that_cannot_be_read_stays_while_a_container_may_use_it);

async fn an_image_that_cannot_be_read_stays_while_a_container_may_use_it(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    let web = node.import(&Image::new("docker.io/library/web:v1").layer("two")).await;
    // Twice the same list of layers: containerd takes the last.
    let found = app.host.as_ref().unwrap();
    let layers: Vec<_> = found
        .layers
        .iter()
        .map(|layer| descriptor("application/vnd.oci.image.layer.v1.tar", layer))
        .collect();
    let content = manifest(&app, &format!(r#","layers":{}"#, json!(layers)));
    let kept: Vec<_> = [&found.layers[..], std::slice::from_ref(&found.config)].concat();
    let target = node.put_strange(&content, &kept).await;
    node.name_strange(HOSTILE, &target, MANIFEST, content.len().try_into().unwrap()).await;
    node.delete_record(APP).await;
    let pod = node.pod("shop", "cart").await;
    let id = node.container(&pod, "cart", HOSTILE, State::Running).await;
    // Nobody says any more which image has that config.
    node.delete_record(app.config()).await;
    let short = target.hex()[..12].to_owned();
    let doubt = format!(", for its content cannot be read: {target} can be read in more than one way");

    let forced = Deletion::of(&[&target]).forced().run(&node).await;
    let held = format!(
        "conflict: unable to delete {short} (cannot be forced) - image may be used by running container {}{doubt}",
        &id[..12]
    );
    forced.assert_refused(Outcome::Conflict, &[held]);
    let named = Deletion::of(&["hostile:v1"]).run(&node).await;
    assert_eq!(named.outcome(), Outcome::Conflict);
    named.assert_untouched();

    let other = Deletion::of(&["web:v1"]).run(&node).await;
    assert_eq!(other.removals(), [untagged("web:v1"), deleted(&web)]);
    assert_eq!(other.freed, belongings([&web], [&app, node.sandbox_image().unwrap()]));

    node.remove_container(&id).await;
    let (engine, done) = Deletion::of(&["hostile:v1"]).carry_out(&node).await;
    assert_eq!(done.results[0].outcome, Outcome::Deleted);
    engine.acknowledge(done).await.unwrap();
    node.collect_garbage().await;
    let left = node.disk().await;
    let own = belongings([&app], node.sandbox_image());
    assert!(left.keys().all(|key| !own.contains(key)));
}
