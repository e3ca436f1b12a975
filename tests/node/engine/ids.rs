//! Deleting by ID.

use std::collections::HashMap;

use secateur::node::Outcome;

use super::APP;
use super::deletion::{Deletion, Ran, belongings, deleted, names, untagged};
use crate::bed::{Compression, Image, Imported, Index, Node, Version, both};

both!(
    an_image_goes_by_any_of_its_ids,
    an_id_prefix_may_be_a_name,
    a_prefix_of_two_images_is_ambiguous,
    two_images_of_one_config_are_ambiguous,
    any_config_of_an_index_is_its_id,
    a_stranded_identity_record_goes_by_its_id,
    several_repositories_must_be_forced,
);

fn assert_deleted(node: &Node, ran: &Ran, app: &Imported) {
    assert_eq!(ran.outcome(), Outcome::Deleted);
    assert_eq!(ran.removals(), [untagged("app:v1"), deleted(app)]);
    assert_eq!(ran.gone, names([APP, app.config()]));
    assert_eq!(ran.freed, belongings([app], node.sandbox_image()));
}

async fn an_image_goes_by_any_of_its_ids(version: Version) {
    let node = Node::start(version).await;
    let image = Image::new(APP).layer("one");
    let digests = image.digests();
    let ids = [
        digests.target.to_string(),
        digests.config().to_string(),
        digests.target.hex()[..12].to_owned(),
        digests.config().hex()[..12].to_owned(),
        format!("sha256:{}", &digests.config().hex()[..8]),
        digests.target.hex().to_owned(),
    ];
    for id in ids {
        let app = node.import(&image).await;
        let ran = Deletion::of(&[&id]).run(&node).await;
        assert_deleted(&node, &ran, &app);
    }
}

async fn an_id_prefix_may_be_a_name(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    let other = node.import(&Image::new("docker.io/library/other:v1").layer("two")).await;
    let prefix = &app.target.hex()[..12];
    let name = format!("docker.io/library/{prefix}:latest");

    node.tag(&other.name, &name).await;
    let ran = Deletion::of(&[prefix]).run(&node).await;
    let mut candidates = [format!("{} (app:v1)", app.target), format!("{} ({prefix}:latest)", other.target)];
    candidates.sort();
    let said = format!("ambiguous reference {prefix}: matches {}", candidates.join("; "));
    ran.assert_refused(Outcome::Failed, &[said]);

    node.move_record(&name, APP).await;
    let ran = Deletion::of(&[prefix]).forced().run(&node).await;
    assert_eq!(ran.outcome(), Outcome::Deleted);
    assert_eq!(ran.gone, names([APP, &name, app.config()]));

    node.tag(&other.name, &name).await;
    let ran = Deletion::of(&[prefix]).run(&node).await;
    assert_eq!(ran.outcome(), Outcome::Untagged);
    assert_eq!(ran.removals(), [untagged(&format!("{prefix}:latest"))]);
}

async fn a_prefix_of_two_images_is_ambiguous(version: Version) {
    let node = Node::start(version).await;
    let (prefix, one, two) = namesakes();
    let imported = node.import_all(&[one, two]).await;

    let ran = Deletion::of(&[&prefix]).run(&node).await;

    let mut images = [&imported[0], &imported[1]];
    images.sort_by(|a, b| a.target.cmp(&b.target));
    let candidates = images.map(|image| {
        let familiar = image.name.strip_prefix("docker.io/library/").unwrap();
        format!("{} ({familiar})", image.target)
    });
    let said = format!("ambiguous reference {prefix}: matches {}", candidates.join("; "));
    ran.assert_refused(Outcome::Failed, &[said]);
}

/// Two images whose IDs begin with the same four digits.
fn namesakes() -> (String, Image, Image) {
    let mut seen: HashMap<String, Image> = HashMap::new();
    for number in 0.. {
        let image =
            Image::bare(format!("docker.io/library/app:{number}")).label("number", number.to_string());
        let prefix = image.digests().target.hex()[..4].to_owned();
        if let Some(other) = seen.insert(prefix.clone(), image.clone()) {
            return (prefix, other, image);
        }
    }
    unreachable!("there are only so many prefixes")
}

async fn two_images_of_one_config_are_ambiguous(version: Version) {
    let node = Node::start(version).await;
    let plain = node.import(&Image::new(APP).layer("one")).await;
    let packed = Image::new("docker.io/library/app:packed").layer("one").compression(Compression::Gzip);
    let packed = node.import(&packed).await;
    let config = plain.config();

    for id in [&**config, &config.hex()[..12]] {
        let ran = Deletion::of(&[id]).run(&node).await;
        let mut candidates =
            [format!("{} (app:v1)", plain.target), format!("{} (app:packed)", packed.target)];
        candidates.sort();
        let said = format!("ambiguous reference {id}: matches {}", candidates.join("; "));
        ran.assert_refused(Outcome::Failed, &[said]);
    }

    // Each goes alone, and the config with its root file system stays for the other.
    let ran = Deletion::of(&["app:v1"]).run(&node).await;
    assert_eq!(ran.removals(), [untagged("app:v1"), deleted(&plain)]);
    let kept = [&packed].into_iter().chain(node.sandbox_image());
    assert_eq!(ran.freed, belongings([&plain], kept));
    let labels = &node.content().await[config].labels;
    assert!(labels.contains_key("containerd.io/gc.ref.snapshot.overlayfs"));

    let ran = Deletion::of(&[config]).run(&node).await;
    assert_eq!(ran.removals(), [untagged("app:packed"), deleted(&packed)]);
    assert_eq!(ran.freed, belongings([&packed], node.sandbox_image()));
}

async fn any_config_of_an_index_is_its_id(version: Version) {
    let node = Node::start(version).await;
    let foreign = Image::bare("").layer("there").architecture("s390x");
    let index = Index::new(APP).image(Image::new("").layer("here")).image(foreign);
    let app = node.import(&index).await;

    let ran = Deletion::of(&[&app.manifests[1].config]).run(&node).await;

    assert_deleted(&node, &ran, &app);
}

async fn a_stranded_identity_record_goes_by_its_id(version: Version) {
    let node = Node::start(version).await;
    let image = Image::new(APP).layer("one");
    let digests = image.digests();
    for id in [&**digests.config(), &digests.config().hex()[..12], &digests.target] {
        let app = node.import(&image).await;
        node.delete_record(APP).await;

        let ran = Deletion::of(&[id]).run(&node).await;

        assert_eq!(ran.outcome(), Outcome::Deleted);
        assert_eq!(ran.removals(), [deleted(&app)]);
        assert_eq!(ran.gone, names([app.config()]));
        assert_eq!(ran.freed, belongings([&app], node.sandbox_image()));
    }
}

async fn several_repositories_must_be_forced(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    node.tag(APP, "ghcr.io/acme/app:v1").await;
    let short = &app.target.hex()[..12];

    let ran = Deletion::of(&[short]).run(&node).await;
    let said = format!(
        "conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories"
    );
    ran.assert_refused(Outcome::Conflict, &[said]);

    let ran = Deletion::of(&[short]).forced().run(&node).await;
    assert_eq!(ran.outcome(), Outcome::Deleted);
    let said = [untagged("app:v1"), untagged("ghcr.io/acme/app:v1"), deleted(&app)];
    assert_eq!(ran.removals(), said);
    assert_eq!(ran.freed, belongings([&app], node.sandbox_image()));
}
