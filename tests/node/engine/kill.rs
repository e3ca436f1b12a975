//! Deletions that end in the middle, however that comes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal;
use secateur::node::Outcome;

use super::APP;
use super::agreement::assert_agreement;
use super::deletion::{Deletion, leases};
use super::process::{Answer, Process, Told};
use crate::bed::{Digest, Disk, Image, Imported, Node, State, Version, both};

both!(
    the_next_run_finishes_what_was_killed_anywhere,
    a_journal_that_was_written_by_half_is_of_nothing,
    the_next_run_puts_back_what_came_into_use,
    what_was_not_begun_is_left_alone,
    a_pattern_that_was_begun_by_half_says_so,
    what_was_not_begun_is_not_told_by_whoever_finds_the_journal_next,
    a_command_line_leaves_what_a_deletion_has_begun_to_its_agent,
    a_command_line_deletes_nothing_of_an_image_that_an_agent_has_begun_with,
    of_two_command_lines_that_were_killed_both_are_told_of,
    what_was_pulled_again_before_it_was_reported_is_told_as_gone,
    an_image_whose_only_name_was_moved_is_told_as_gone,
    an_image_whose_only_name_was_given_away_after_it_was_killed_is_told_as_gone,
    what_was_put_back_stays_where_another_name_was_moved,
    a_dry_run_leaves_a_deletion_that_is_under_way_alone,
    a_recovery_that_is_interrupted_leaves_nothing_by_half,
    who_goes_by_a_link_to_the_socket_waits_too,
    nobody_else_may_hold_the_lock,
    a_terminated_deletion_ends_between_images_and_says_so,
    of_two_deletions_one_waits_for_the_other,
    a_deletion_is_finished_after_containerd_has_crashed,
    a_deletion_survives_a_restart_of_containerd,
);

const OTHER: &str = "docker.io/library/other:v1";
/// Five records of two images.
const ENTRIES: [&str; 2] = ["app:v1", "other:v1"];

/// Two images that share a layer; one has a digest reference too.
async fn two_images(node: &Node) -> [Imported; 2] {
    let app = node.import(&Image::new(APP).layer("one")).await;
    node.tag(APP, &by_digest(&app)).await;
    let other = node.import(&Image::new(OTHER).layer("one").layer("two")).await;
    [app, other]
}

/// Where a journal is written down: in labels, or where it is too long for them in a blob.
const FORMS: [&str; 2] = ["labels", "sha256:"];

/// Two images whose journal has one of the forms.
async fn two_images_for(node: &Node, form: &str) -> [Imported; 2] {
    let images = two_images(node).await;
    if form != FORMS[0] {
        for number in 0..9 {
            node.label(APP, &format!("org.example/long-{number}"), &"a".repeat(4_000)).await;
        }
    }
    images
}

/// The operation that is stopped here has a journal of that form.
async fn assert_form(node: &Node, form: &str) {
    let leases = leases(node).await;
    let journals: Vec<_> = leases.values().filter_map(|labels| labels.get("secateur.dev/journal")).collect();
    assert!(journals.iter().any(|journal| journal.starts_with(form)), "{form}: {journals:?}");
}

fn by_digest(app: &Imported) -> String {
    format!("docker.io/library/app@{}", app.target)
}

/// What a deletion of both images reports, sorted.
fn all_removals([app, other]: &[Imported; 2]) -> Vec<String> {
    let mut removals = vec![
        "untagged app:v1".to_owned(),
        format!("untagged app@{}", app.target),
        format!("deleted {}", app.target),
        "untagged other:v1".to_owned(),
        format!("deleted {}", other.target),
    ];
    removals.sort();
    removals
}

fn removals<'a>(answers: impl IntoIterator<Item = &'a Answer>) -> Vec<String> {
    let all = answers.into_iter().flat_map(Answer::removals);
    let mut removals: Vec<_> = all.map(str::to_owned).collect();
    removals.sort();
    removals
}

/// Everything of a node that a deletion may touch, after a collection: there must be nothing left to collect.
pub(super) async fn state(node: &Node) -> (BTreeMap<String, Digest>, Disk) {
    assert_eq!(leases(node).await, BTreeMap::new());
    node.collect_garbage().await;
    let records = node.records().await.into_iter();
    let records = records.map(|(name, record)| (name, record.target)).collect();
    (records, node.disk().await)
}

async fn the_next_run_finishes_what_was_killed_anywhere(version: Version) {
    let node = Node::start(version).await;
    let empty = state(&node).await;
    let places = [
        "journal-open",
        "removing:1",
        "removing:2",
        "removing:3",
        "removing:4",
        "removing:5",
        "removed",
        "looked-again",
        "settled",
        "collected",
        "reported",
    ];
    for (form, place) in FORMS.iter().flat_map(|form| places.map(|place| (form, place))) {
        let images = two_images_for(&node, form).await;
        let before = state(&node).await;

        let process = Process::stopped_at(&node, place, &ENTRIES).await;
        assert_form(&node, form).await;
        let printed = process.kill().await;
        let answer = Process::start(&node, "next", &ENTRIES).finish().await;

        // What nobody has acknowledged is said again, in the same words.
        assert_eq!(printed.is_empty(), place != "reported");
        if let Ok(first) = serde_json::from_str::<Answer>(&printed) {
            assert_eq!(removals([&first]), removals([&answer]));
        }
        assert_eq!(removals([&answer]), all_removals(&images), "{place}");
        assert!(answer.recovered.iter().all(|recovered| recovered.owner == place));
        let recovered: Vec<_> = answer.recovered.iter().flat_map(|recovered| &recovered.results).collect();
        if !["journal-open", "removing:1", "removing:2", "removing:3"].contains(&place) {
            // Of the five records so many are gone that each image lacks one.
            assert_eq!(recovered.len(), ENTRIES.len(), "{place}: {answer:#?}");
        }
        for (entry, told) in ENTRIES.iter().zip(&answer.results) {
            // It was begun and is finished, or was not and is done now.
            let begun = recovered.iter().find(|told| told.entry == *entry);
            let outcomes = (begun.map(|told| &*told.outcome), &*told.outcome);
            let expected = [(Some("Deleted"), "Absent"), (None, "Deleted")];
            assert!(expected.contains(&outcomes), "{place}: {answer:#?}");
        }
        assert_eq!(state(&node).await, empty, "{place}");
        assert_agreement(&node).await;
        let reclaimed: u64 =
            recovered.iter().copied().chain(&answer.results).map(|told| told.reclaimed).sum();
        let all = before.1.bytes() - empty.1.bytes();
        match place {
            // Nothing is held any longer, so the daemon collects when it likes, also while the next run measures what is there: what
            // left before is not counted.
            "settled" => assert!(reclaimed <= all, "{reclaimed} of {all}"),
            "collected" | "reported" => {
                assert_eq!(reclaimed, 0, "{place}");
                let is_told = |told: &&Told| told.messages.iter().any(|said| said.ends_with("is not known"));
                assert!(recovered.iter().all(is_told), "{place}: {answer:#?}");
            }
            _ => assert_eq!(reclaimed, all, "{place}"),
        }
    }
}

async fn a_journal_that_was_written_by_half_is_of_nothing(version: Version) {
    for form in FORMS {
        let node = Node::start(version).await;
        two_images_for(&node, form).await;
        let before = state(&node).await;
        Process::stopped_at(&node, "journal-half", &ENTRIES).await.kill().await;
        assert!(!leases(&node).await.is_empty(), "{form}");

        let answer = Process::start(&node, "next", &["none:v1"]).finish().await;

        assert!(answer.recovered.is_empty(), "{form}: {answer:#?}");
        assert_eq!(state(&node).await, before, "{form}");
    }
}

async fn the_next_run_puts_back_what_came_into_use(version: Version) {
    for form in FORMS {
        puts_back_what_came_into_use(version, form).await;
    }
}

async fn puts_back_what_came_into_use(version: Version, form: &str) {
    let node = Node::start(version).await;
    let images = two_images_for(&node, form).await;
    let pod = node.pod("shop", "cart").await;
    let before = state(&node).await;
    let places = [
        "removed",
        "putting-back:1",
        "putting-back:2",
        "putting-back:3",
        "looked-again",
        "settled",
        "collected",
        "reported",
    ];
    for place in places {
        // The digest reference is the last record that is left.
        let stops = format!("removing:3,{place}");
        let process = Process::stopped_at(&node, &stops, &["app:v1"]).await;
        assert_form(&node, form).await;
        let container = node.container(&pod, place, &by_digest(&images[0]), State::Running).await;
        process.go_on_to_next().await;
        process.kill().await;
        // The next run tells what is not settled by what is gone.
        let is_told = place != "looked-again" && (place, form) != ("settled", FORMS[0]);
        assert_put_back(&node, &before, &pod, place, &container, is_told).await;
    }
    for place in ["removing:2", "removing:3"] {
        let process = Process::stopped_at(&node, place, &["app:v1"]).await;
        process.kill().await;
        let container = node.container(&pod, place, &by_digest(&images[0]), State::Running).await;
        assert_put_back(&node, &before, &pod, place, &container, true).await;
    }
}

async fn a_pattern_that_was_begun_by_half_says_so(version: Version) {
    const ALL: usize = 60;
    let node = Node::start(version).await;
    node.import_all(&Image::series("docker.io/half/app", ALL, 1)).await;
    Process::stopped_at(&node, "removing:50", &["half/*:v1"]).await.kill().await;

    let answer = Process::start(&node, "next", &["none:v1"]).finish().await;

    let [told] = &answer.recovered[0].results[..] else { panic!("{answer:#?}") };
    let deleted = told.removals.iter().filter(|removal| removal.starts_with("deleted ")).count();
    let left = node.records().await.into_keys().filter(|name| name.starts_with("docker.io/half/")).count();
    assert!((1..ALL).contains(&deleted) && left == ALL - deleted, "{deleted} deleted, {left} left");
    assert_eq!(told.outcome, "Failed");
    let said = "it was interrupted before every image was begun with: delete it again";
    assert_eq!(told.messages, [said]);
}

async fn what_was_not_begun_is_left_alone(version: Version) {
    for form in FORMS {
        let node = Node::start(version).await;
        let [app, _] = two_images_for(&node, form).await;
        let before = state(&node).await;
        for place in ["journal-open", "removing:1"] {
            let process = Process::stopped_at(&node, place, &ENTRIES).await;
            assert_form(&node, form).await;
            process.kill().await;
            let answer = Process::start(&node, "next", &["none:v1"]).finish().await;
            assert!(answer.recovered.is_empty(), "{place}: {answer:#?}");
            assert_eq!(state(&node).await, before, "{place}");
        }
        Process::stopped_at(&node, "removing:2", &["app:v1"]).await.kill().await;
        assert_eq!(node.record(app.config()).await, None);
        let answer = Process::start(&node, "next", &["none:v1"]).finish().await;
        assert_eq!(answer.recovered[0].results[0].outcome, "Deleted", "one of its records was gone");
    }
}

/// The run that ends the journal is killed too, or cannot report.
async fn what_was_not_begun_is_not_told_by_whoever_finds_the_journal_next(version: Version) {
    for (form, place) in
        FORMS.iter().flat_map(|form| ["journal-open", "removing:2"].map(|place| (form, place)))
    {
        let node = Node::start(version).await;
        let images = two_images_for(&node, form).await;
        let before = node.records().await;
        Process::stopped_at(&node, place, &ENTRIES).await.kill().await;
        let left = node.records().await;
        let is_whole = |image: &&Imported| {
            before.iter().all(|(name, record)| record.target != image.target || left.contains_key(name))
        };
        let [whole, begun]: [Vec<&Imported>; 2] = images.iter().partition(is_whole).into();
        assert!(!whole.is_empty(), "{place}: one of them was not begun");

        for killed_at in ["settled", "collected", "reported"] {
            Process::of_stopped_at(&node, "second", killed_at, &["none:v1"]).await.kill().await;
        }
        let answer = Process::start(&node, "next", &["none:v1"]).finish().await;
        let told: Vec<_> = answer.recovered.iter().flat_map(|recovered| &recovered.results).collect();
        assert_eq!(told.len(), begun.len(), "{form} {place}: {answer:#?}");
        assert!(told.iter().all(|told| told.outcome == "Deleted"), "{form} {place}: {answer:#?}");
        let now = node.records().await;
        for (name, record) in before {
            let stays = whole.iter().any(|image| image.target == record.target);
            assert!(!stays || now.contains_key(&name), "{form} {place}: {name}");
        }
        assert_eq!(leases(&node).await, BTreeMap::new());
    }
}

async fn a_command_line_leaves_what_a_deletion_has_begun_to_its_agent(version: Version) {
    let node = Node::start(version).await;
    let empty = state(&node).await;
    for place in ["removing:2", "removed", "settled", "reported"] {
        let images = two_images(&node).await;
        Process::stopped_at(&node, place, &["app:v1"]).await.kill().await;
        let left = leases(&node).await;

        let ended = Process::start(&node, "", &["other:v1"]).go_on().await;
        assert!(ended.status.success(), "{ended:?}");
        let answer: Answer = serde_json::from_str(&ended.stdout).unwrap();
        assert!(answer.recovered.is_empty(), "{place}: {answer:#?}");
        assert_eq!(answer.only().outcome, "Deleted", "{place}");
        assert_eq!(leases(&node).await, left, "{place}");

        let agents = Process::start(&node, "next", &["none:v1"]).finish().await;
        assert_eq!(agents.recovered[0].owner, place);
        assert_eq!(removals([&answer, &agents]), all_removals(&images), "{place}");
        assert_eq!(state(&node).await, empty, "{place}");
    }
}

/// Neither would be told once, nor could the agent put back what it had begun with.
async fn a_command_line_deletes_nothing_of_an_image_that_an_agent_has_begun_with(version: Version) {
    let node = Node::start(version).await;
    let empty = state(&node).await;
    for place in ["removing:2", "removing:3"] {
        let images = two_images(&node).await;
        let [app, _] = &images;
        let killed = Process::of_stopped_at(&node, "drop/5f2c", place, &[&app.target]).await;
        killed.kill().await;
        let (left, records) = (leases(&node).await, node.records().await);

        let foretold = Deletion::of(&[&app.target]).dry_run(&node).await;
        let answer = Process::start(&node, "", &[&app.target]).finish().await;
        let told = answer.only();
        assert_eq!((&*told.outcome, &told.removals[..]), ("Failed", &[][..]), "{place}");
        assert!(
            told.messages[0].starts_with("ImageDeletion drop/5f2c was at work on this image"),
            "{told:?}"
        );
        assert_eq!((foretold[0].outcome, &foretold[0].messages), (Outcome::Failed, &told.messages));
        assert_eq!((leases(&node).await, node.records().await), (left, records), "{place}");

        let agents = Process::start(&node, "next", &["other:v1"]).finish().await;
        assert_eq!(removals([&agents]), all_removals(&images), "{place}");
        assert_eq!(state(&node).await, empty, "{place}");
    }
}

async fn of_two_command_lines_that_were_killed_both_are_told_of(version: Version) {
    let node = Node::start(version).await;
    let empty = state(&node).await;
    let images = two_images(&node).await;
    Process::of_stopped_at(&node, "", "removing:3", &["app:v1"]).await.kill().await;
    // It has ended the first one, and acknowledges neither.
    Process::of_stopped_at(&node, "", "reported", &["other:v1"]).await.kill().await;
    assert!(leases(&node).await.len() >= 2);

    let answer = Process::start(&node, "", &["none:v1"]).finish().await;
    assert_eq!(answer.recovered.len(), 2, "{answer:#?}");
    assert_eq!(removals([&answer]), all_removals(&images));
    assert_eq!(state(&node).await, empty);
}

/// What was put back or moved is told from what has come anew.
async fn what_was_pulled_again_before_it_was_reported_is_told_as_gone(version: Version) {
    let node = Node::start(version).await;
    for form in FORMS {
        let images = two_images_for(&node, form).await;
        let process = Process::stopped_at(&node, "removing:1,reported", &["app:v1"]).await;
        assert_form(&node, form).await;
        node.move_record(&by_digest(&images[0]), OTHER).await;
        process.go_on_to_next().await;
        process.kill().await;
        node.import(&Image::new(APP).layer("one")).await;
        let pod = node.pod("shop", "cart").await;
        let container = node.container(&pod, "cart", APP, State::Running).await;

        let answer = Process::start(&node, "next", &["none:v1"]).finish().await;
        let told = &answer.recovered[0].results[0];
        assert_eq!(told.removals, ["untagged app:v1"], "{form}: {told:#?}");
        assert!(told.conflicts.is_empty(), "{form}: {told:#?}");
        let now = node.records().await;
        assert_eq!(now[APP].target, images[0].target);
        assert_eq!(now[&by_digest(&images[0])].target, images[1].target);
        assert_eq!(leases(&node).await, BTreeMap::new());
        node.stop_container(&container).await;
        node.remove_pod(&pod).await;
        node.delete_record(&by_digest(&images[0])).await;
    }
}

/// The next run reports the conflict if that is certain, and no removal; everything is as it was, and containers can be made as before.
async fn assert_put_back(
    node: &Node,
    before: &(BTreeMap<String, Digest>, Disk),
    pod: &crate::bed::Pod,
    place: &str,
    container: &str,
    is_told: bool,
) {
    let answer = Process::start(node, "next", &["none:v1"]).finish().await;

    let told: Vec<_> = answer.recovered.iter().flat_map(|recovered| &recovered.results).collect();
    assert_eq!(told.len(), usize::from(is_told), "{place}: {answer:#?}");
    for told in told {
        assert_eq!(told.outcome, "Conflict", "{place}: {told:#?}");
        assert!(told.conflicts[0].ends_with(&container[..12]), "{place}");
    }
    assert_eq!(removals([&answer]), Vec::<String>::new(), "{place}");
    assert_eq!(state(node).await, *before, "{place}");
    assert_agreement(node).await;
    node.stop_container(container).await;
    node.remove_container(container).await;
    let again = node.container(pod, place, APP, State::Running).await;
    node.stop_container(&again).await;
    node.remove_container(&again).await;
}

async fn an_image_whose_only_name_was_moved_is_told_as_gone(version: Version) {
    let node = Node::start(version).await;
    for place in ["collected", "reported"] {
        let [app, other] = two_images(&node).await;
        node.delete_record(&by_digest(&app)).await;
        node.delete_record(app.config()).await;
        let process = Process::stopped_at(&node, &format!("removing:1,{place}"), &["app:v1"]).await;
        node.move_record(APP, OTHER).await;
        process.go_on_to_next().await;
        process.kill().await;

        let answer = Process::start(&node, "next", &["none:v1"]).finish().await;
        let told = &answer.recovered[0].results[0];
        assert_eq!(
            (&*told.outcome, &told.removals[..]),
            ("Deleted", &[format!("deleted {}", app.target)][..])
        );
        assert!(told.messages[0].starts_with(&format!("{APP} was moved to {}", other.target)), "{told:?}");
        node.delete_record(APP).await;
    }
}

async fn an_image_whose_only_name_was_given_away_after_it_was_killed_is_told_as_gone(version: Version) {
    let node = Node::start(version).await;
    let [app, _] = two_images(&node).await;
    node.delete_record(&by_digest(&app)).await;
    node.delete_record(app.config()).await;
    Process::stopped_at(&node, "removed", &["app:v1"]).await.kill().await;
    let new = node.import(&Image::new(APP).layer("new")).await;

    let answer = Process::start(&node, "next", &["none:v1"]).finish().await;
    let told = &answer.recovered[0].results[0];
    assert_eq!((&*told.outcome, told.removals.last()), ("Deleted", Some(&format!("deleted {}", app.target))));
    assert_eq!(node.record(APP).await.unwrap().target, new.target);
    assert_eq!(leases(&node).await, BTreeMap::new());
}

async fn what_was_put_back_stays_where_another_name_was_moved(version: Version) {
    for place in ["settled", "collected", "reported"] {
        let node = Node::start(version).await;
        let app = node.import(&Image::new(APP).layer("one")).await;
        node.import(&Image::new(OTHER).layer("two")).await;
        let process = Process::stopped_at(&node, &format!("removing:1,{place}"), &["app:v1"]).await;
        node.plain_container("user", app.config(), State::Running).await;
        node.move_record(APP, OTHER).await;
        let disk = node.disk().await;
        process.go_on_to_next().await;
        process.kill().await;

        let answer = Process::start(&node, "next", &["none:v1"]).finish().await;
        let told: Vec<_> = answer.recovered.iter().flat_map(|recovered| &recovered.results).collect();
        // Until something is let go, the next run tells it by what is gone.
        assert_eq!(told.len(), usize::from(place != "settled"), "{place}: {answer:#?}");
        for told in told {
            assert_eq!((&*told.outcome, &told.removals[..]), ("Conflict", &[][..]), "{place}: {told:#?}");
        }
        assert_eq!(node.record(app.config()).await.map(|record| record.target), Some(app.target.clone()));
        node.collect_garbage().await;
        assert_eq!(node.disk().await, disk, "{place}");
    }
}

async fn a_dry_run_leaves_a_deletion_that_is_under_way_alone(version: Version) {
    for form in FORMS {
        let node = Node::start(version).await;
        let images = two_images_for(&node, form).await;
        let places = "journal-open,looked-again,settled";
        let process = Process::of_stopped_at(&node, "drop/5f2c", places, &ENTRIES).await;
        let deletion = Deletion::of(&ENTRIES);
        for place in places.split(',') {
            let before = leases(&node).await;
            let foretold = deletion.dry_run(&node).await;
            // Whose it is does not matter as long as somebody is at work.
            assert!(foretold.iter().all(|told| told.outcome != Outcome::Failed), "{place}: {foretold:#?}");
            assert_eq!(leases(&node).await, before, "{form} {place}");
            if place != "settled" {
                process.go_on_to_next().await;
            }
        }
        assert_eq!(removals([&process.finish().await]), all_removals(&images), "{form}");
    }
}

/// What was begun is finished, and what is left has its journal still.
async fn a_recovery_that_is_interrupted_leaves_nothing_by_half(version: Version) {
    let node = Node::start(version).await;
    let empty = state(&node).await;
    let images = two_images(&node).await;
    Process::stopped_at(&node, "removing:3", &["app:v1"]).await.kill().await;
    // Neither of them has another name, so the second one does not end the first.
    let second = Process::of_stopped_at(&node, "", "removing:2", &["other:v1"]).await;
    second.kill().await;

    let third = Process::of_stopped_at(&node, "third", "looked-again:1", &["none:v1"]).await;
    third.signal(Signal::SIGTERM);
    let third = third.finish().await;
    assert_eq!(third.recovered.len(), 1, "{third:#?}");
    assert!(!leases(&node).await.is_empty());

    let fourth = Process::start(&node, "fourth", &["none:v1"]).finish().await;
    assert_eq!(removals([&third, &fourth]), all_removals(&images));
    assert_eq!(state(&node).await, empty);
}

async fn who_goes_by_a_link_to_the_socket_waits_too(version: Version) {
    let node = Node::start(version).await;
    node.import(&Image::new(APP).layer("one")).await;
    let elsewhere = node.directory().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let link = elsewhere.join("containerd.sock");
    std::os::unix::fs::symlink(node.socket(), &link).unwrap();

    let first = Process::stopped_at(&node, "removing:1", &["app:v1"]).await;
    let second = Process::start_at(&link, "second", &["app:v1"]);
    second.waits_for_lock().await;
    assert_eq!(first.finish().await.only().outcome, "Deleted");
    let second = second.finish().await;
    assert!(second.recovered.is_empty(), "{second:#?}");
    assert_eq!(second.only().outcome, "Absent");
}

async fn nobody_else_may_hold_the_lock(version: Version) {
    let node = Node::start(version).await;
    let lock = node.socket().with_file_name("secateur.lock");
    let mode = || fs::metadata(&lock).unwrap().permissions().mode() & 0o777;
    for older in [false, true] {
        if older {
            fs::set_permissions(&lock, fs::Permissions::from_mode(0o644)).unwrap();
        }
        Process::start(&node, "", &["app:v1"]).finish().await;
        assert_eq!(mode(), 0o600, "{older}");
    }
}

async fn a_terminated_deletion_ends_between_images_and_says_so(version: Version) {
    let node = Node::start(version).await;
    let images = node.import_all(&Image::series("docker.io/many/app", 64, 1)).await;
    let entries: Vec<_> = images.iter().map(|image| &*image.name).collect();

    let process = Process::stopped_at(&node, "removing:1", &entries).await;
    process.signal(Signal::SIGTERM);
    let answer = process.finish().await;

    let (records, disk) = state(&node).await;
    let mut interrupted = 0;
    for (image, told) in images.iter().zip(&answer.results) {
        let is_there = [records.contains_key(&image.name), records.contains_key(&**image.config())];
        let has_content = image.content().iter().all(|digest| disk.content.contains_key(digest));
        if told.outcome == "Deleted" {
            assert_eq!((is_there, has_content), ([false, false], false));
        } else {
            assert_eq!(told.outcome, "Failed");
            assert_eq!(told.messages, ["interrupted before it was begun; nothing was removed"]);
            assert_eq!((&told.removals[..], is_there, has_content), (&[][..], [true, true], true));
            interrupted += 1;
        }
    }
    assert!((1..64).contains(&interrupted), "{interrupted} of 64 were interrupted");
}

async fn of_two_deletions_one_waits_for_the_other(version: Version) {
    let node = Node::start(version).await;
    let empty = state(&node).await;
    let images = two_images(&node).await;

    let first = Process::stopped_at(&node, "removing:2", &["app:v1"]).await;
    let second = Process::start(&node, "second", &["app:v1", "other:v1"]);
    second.waits_for_lock().await;
    assert!(node.records().await.contains_key(OTHER));
    let first = first.finish().await;
    let second = second.finish().await;

    assert_eq!(first.only().outcome, "Deleted");
    assert!(second.recovered.is_empty(), "the first one was alive: {second:#?}");
    let outcomes: Vec<_> = second.results.iter().map(|told| &*told.outcome).collect();
    assert_eq!(outcomes, ["Absent", "Deleted"]);
    assert_eq!(removals([&first, &second]), all_removals(&images));
    assert_eq!(state(&node).await, empty);
}

async fn a_deletion_is_finished_after_containerd_has_crashed(version: Version) {
    let mut node = Node::start(version).await;
    let empty = state(&node).await;
    for place in ["removing:1", "removing:3", "removed", "looked-again", "settled"] {
        let images = two_images(&node).await;

        let process = Process::stopped_at(&node, place, &ENTRIES).await;
        node.kill();
        let ended = process.go_on().await;
        assert_eq!(ended.status.code(), Some(1), "{place}: {ended:?}");
        assert!(ended.stderr.contains("Unfinished"), "{place}: {ended:?}");
        node.restart().await;
        let answer = Process::start(&node, "next", &ENTRIES).finish().await;

        assert_eq!(removals([&answer]), all_removals(&images), "{place}");
        assert_eq!(state(&node).await, empty, "{place}");
        assert_agreement(&node).await;
    }
}

async fn a_deletion_survives_a_restart_of_containerd(version: Version) {
    let mut node = Node::start(version).await;
    let empty = state(&node).await;
    let images = two_images(&node).await;

    let process = Process::stopped_at(&node, "removing:3", &ENTRIES).await;
    node.restart().await;
    let ended = process.go_on().await;
    let next = Process::start(&node, "next", &ENTRIES).finish().await;

    // Whether a call failed or the connection was made anew in time: over both, all is done and said once.
    let first = serde_json::from_str::<Answer>(&ended.stdout).ok();
    let said = removals(first.iter().chain([&next]));
    let unique: BTreeSet<_> = said.iter().cloned().collect();
    assert_eq!(said.len(), unique.len());
    assert_eq!(said, all_removals(&images));
    assert_eq!(state(&node).await, empty);
}
