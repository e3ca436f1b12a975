//! Several entries in one deletion, and what holds for all of them.

use std::collections::BTreeSet;

use secateur::image::Pod;
use secateur::node::Outcome;

use super::APP;
use super::deletion::{Deletion, belongings, deleted, leases, names, untagged};
use super::process::Process;
use crate::bed::{Cri, Image, Imported, Node, Setup, Version, both};

both!(
    a_pattern_stands_for_every_reference_that_it_matches,
    one_bad_entry_does_not_stop_the_others,
    entries_are_decided_on_what_the_ones_before_leave,
    a_dangling_record_that_one_entry_makes_goes_by_the_next,
    a_dangling_record_that_was_not_made_yet_is_not_gone,
    a_dangling_record_stays_gone_though_the_name_was_given_away,
    sixty_four_images_go_at_once,
    protected_and_pinned_images_are_never_forced,
    a_pod_that_waits_for_its_image_holds_it,
);

async fn a_pattern_stands_for_every_reference_that_it_matches(version: Version) {
    let node = Node::start(version).await;
    let image = |name| Image::new(name).layer(name);
    let images =
        ["ghcr.io/acme/a:1.2.0", "ghcr.io/acme/b/c:1.2.1", "ghcr.io/acme/a:1.3.0", "ghcr.io/other/a:1.2.0"];
    let imported = node.import_all(&images.map(image)).await;

    let ran = Deletion::of(&["ghcr.io/acme/**:1.2.*"]).run(&node).await;
    assert_eq!(ran.outcome(), Outcome::Deleted);
    let said = [untagged(images[0]), deleted(&imported[0]), untagged(images[1]), deleted(&imported[1])];
    assert_eq!(ran.removals(), said);
    assert_eq!(ran.freed, belongings(&imported[..2], &imported[2..]));

    let ran = Deletion::of(&["ghcr.io/acme/**:1.2.*"]).run(&node).await;
    let said = "No such image: ghcr.io/acme/**:1.2.*".to_owned();
    ran.assert_refused(Outcome::Absent, &[said]);
}

async fn one_bad_entry_does_not_stop_the_others(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;

    let ran = Deletion::of(&["none:v1", "app:v1", "app:v2"]).run(&node).await;

    let outcomes: Vec<_> = ran.results.iter().map(|result| result.outcome).collect();
    assert_eq!(outcomes, [Outcome::Absent, Outcome::Deleted, Outcome::Absent]);
    assert_eq!(ran.freed, belongings([&app], node.sandbox_image()));
}

async fn entries_are_decided_on_what_the_ones_before_leave(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    node.tag(APP, "docker.io/library/app:v2").await;

    let ran = Deletion::of(&["app:v1", "app:v1", "app:v2"]).run(&node).await;

    let said: Vec<_> = ran.results.iter().map(|result| (result.outcome, &result.removals[..])).collect();
    let expected = [
        (Outcome::Untagged, &[untagged("app:v1")][..]),
        (Outcome::Absent, &[]),
        (Outcome::Deleted, &[untagged("app:v2"), deleted(&app)]),
    ];
    assert_eq!(said, expected);
    assert_eq!(ran.freed, belongings([&app], node.sandbox_image()));
}

/// An image with a child, and without an identity record: a name that goes leaves a dangling record.
async fn parent(version: Version) -> (Node, Imported) {
    let node = Node::start_with(version, Setup { cri: Cri::Disabled, ..Setup::default() }).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    node.import(&Image::new("docker.io/library/child:v1").layer("two")).await;
    node.label("docker.io/library/child:v1", "org.mobyproject.image.parent", &app.target).await;
    (node, app)
}

async fn a_dangling_record_that_one_entry_makes_goes_by_the_next(version: Version) {
    let (node, app) = parent(version).await;
    let ran = Deletion::of(&["app:v1", &app.target]).run(&node).await;
    let said: Vec<_> = ran.results.iter().map(|result| (result.outcome, &result.removals[..])).collect();
    let expected = [(Outcome::Untagged, &[untagged("app:v1")][..]), (Outcome::Deleted, &[deleted(&app)][..])];
    assert_eq!(said, expected);
    assert_eq!((ran.gone, ran.made), (names([APP]), names([])));
}

async fn a_dangling_record_that_was_not_made_yet_is_not_gone(version: Version) {
    for place in ["journal-open", "removing:1", "removing:2", "removed", "looked-again", "settled"] {
        let (node, app) = parent(version).await;
        let before = node.records().await;
        Process::stopped_at(&node, place, &["app:v1", &app.target]).await.kill().await;
        let answer = Process::start(&node, "next", &["none:v1"]).finish().await;

        let told: Vec<_> = answer.recovered.iter().flat_map(|recovered| &recovered.results).collect();
        let removals: Vec<&str> = told.iter().flat_map(|told| &told.removals).map(String::as_str).collect();
        assert!(told.iter().all(|told| told.outcome != "Failed"), "{place}: {told:#?}");
        let mut now = node.records().await;
        let (tag, image) = ("untagged app:v1", format!("deleted {}", app.target));
        match place {
            "journal-open" => assert_eq!((now, removals), (before, vec![])),
            // The dangling record was made.
            "removing:1" | "removing:2" => {
                let dangling = now.remove(&format!("moby-dangling@{}", app.target));
                assert_eq!(dangling.map(|record| record.target), Some(app.target));
                assert_eq!((now.contains_key(APP), removals), (false, vec![tag]), "{place}");
            }
            _ => assert_eq!((now.len(), removals), (before.len() - 1, vec![tag, &*image]), "{place}"),
        }
        assert!(leases(&node).await.is_empty(), "{place}");
    }
}

async fn a_dangling_record_stays_gone_though_the_name_was_given_away(version: Version) {
    let (node, app) = parent(version).await;
    Process::stopped_at(&node, "removed", &["app:v1", &app.target]).await.kill().await;
    let new = node.import(&Image::new(APP).layer("new")).await;
    let answer = Process::start(&node, "next", &["none:v1"]).finish().await;

    let told: Vec<_> = answer.recovered.iter().flat_map(|recovered| &recovered.results).collect();
    let last = told.last().map(|told| (&*told.outcome, &told.removals[..]));
    assert_eq!(last, Some(("Deleted", &[format!("deleted {}", app.target)][..])), "{told:#?}");
    let records = node.records().await;
    assert!(records.values().all(|record| record.target != app.target), "{records:#?}");
    assert_eq!(records[APP].target, new.target);
}

async fn sixty_four_images_go_at_once(version: Version) {
    let node = Node::start(version).await;
    let images = node.import_all(&Image::series("docker.io/many/app", 66, 2)).await;
    let entries: Vec<_> = images[..64].iter().map(|image| &*image.name).collect();

    let ran = Deletion::of(&entries).run(&node).await;

    for (image, result) in images.iter().zip(&ran.results) {
        assert_eq!(result.outcome, Outcome::Deleted);
        let familiar = image.name.strip_prefix("docker.io/").unwrap();
        assert_eq!(result.removals, [untagged(familiar), deleted(image)]);
        assert!(result.reclaimed_bytes > 0);
    }
    assert_eq!(ran.freed, belongings(&images[..64], &images[64..]));
    let gone: BTreeSet<_> =
        images[..64].iter().flat_map(|image| [image.name.clone(), image.config().to_string()]).collect();
    assert_eq!(ran.gone, gone);
}

async fn protected_and_pinned_images_are_never_forced(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    let short = &app.target.hex()[..12];
    let refusal = |why| format!("conflict: unable to delete {short} (cannot be forced) - image is {why}");

    for entry in [APP, &*app.target] {
        let protecting = Deletion::of(&[entry]).protecting("docker.io/library/*:v1");
        let ran = protecting.forced().run(&node).await;
        ran.assert_refused(Outcome::Conflict, &[refusal("protected by docker.io/library/*:v1")]);
    }
    node.label(APP, "io.cri-containerd.pinned", "pinned").await;
    for entry in [APP, app.config()] {
        let ran = Deletion::of(&[entry]).forced().run(&node).await;
        ran.assert_refused(Outcome::Conflict, &[refusal("pinned")]);
    }

    // Another name of it can go.
    node.tag(APP, "docker.io/library/app:v2").await;
    let ran = Deletion::of(&["app:v2"]).run(&node).await;
    assert_eq!(ran.outcome(), Outcome::Untagged);
    assert_eq!(ran.gone, names(["docker.io/library/app:v2"]));
}

async fn a_pod_that_waits_for_its_image_holds_it(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    let pod = || Pod { namespace: "shop".into(), name: "cart".into(), images: vec!["app:v1".into()] };

    let ran = Deletion::of(&["app:v1"]).needed_by(pod()).run(&node).await;
    let said = format!(
        "conflict: unable to delete {} (must be forced) - image is needed by pod shop/cart",
        &app.target.hex()[..12]
    );
    ran.assert_refused(Outcome::Conflict, &[said]);

    let ran = Deletion::of(&["app:v1"]).needed_by(pod()).forced().run(&node).await;
    assert_eq!(ran.outcome(), Outcome::Deleted);
    assert_eq!(ran.freed, belongings([&app], node.sandbox_image()));
}
