use super::*;
use crate::api::deletion::ImageDeletionSpec;
use crate::api::result::Record;
use crate::image::Request;

fn result(image: &str, outcome: Outcome) -> ImageResult {
    let records = match outcome {
        Outcome::Deleted => vec![Record::Untagged(image.to_owned())],
        _ => vec![],
    };
    ImageResult { outcome, records, message: None, ..untried(image) }
}

fn conflict(message: &str) -> Conflict {
    Conflict {
        image: "a".into(),
        kind: ConflictKind::PendingPod,
        forcible: true,
        namespace: None,
        pod: None,
        container: None,
        message: message.into(),
    }
}

fn deletion() -> ImageDeletion {
    ImageDeletion::new("drop", ImageDeletionSpec::of(["c", "a", "b"]))
}

#[test]
fn results_are_listed_in_the_order_of_the_deletion() {
    let mut draft = Draft::new(false);
    draft.add([result("a", Outcome::Deleted), result("c", Outcome::Absent)]);
    let listed = draft.listed(&deletion());
    assert_eq!(listed, [result("c", Outcome::Absent), result("a", Outcome::Deleted), untried("b")]);
}

#[test]
fn what_is_not_settled_is_tried_again_and_follows_what_was() {
    let mut draft = Draft::new(false);
    draft.add([result("a", Outcome::Conflict), result("b", Outcome::Deleted), result("c", Outcome::Failed)]);
    assert_eq!(["a", "b", "c", "d"].map(|image| draft.is_due(image)), [true, false, true, true]);
    assert!(draft.has_conflict());
    draft.add([ImageResult { conflicts: vec![conflict("in use")], ..result("a", Outcome::Failed) }]);
    assert!(draft.has_conflict(), "of a pattern some can fail and some be held");
    draft.add([result("a", Outcome::Deleted)]);
    assert!(!draft.has_conflict());
    assert_eq!(draft.listed(&deletion())[1], result("a", Outcome::Deleted));
}

#[test]
fn what_is_held_is_asked_for_again() {
    let mut draft = Draft::new(false);
    draft.add([result("a", Outcome::Conflict), result("b", Outcome::Deleted)]);
    let entries = ["a", "b"].map(|entry| entry.parse().unwrap()).to_vec();
    let request = Request { entries, ..Request::default() };
    let pod = crate::image::Pod { namespace: "shop".into(), name: "cart".into(), images: vec![] };
    let operation = Operation { request, pods: vec![pod], ..Operation::default() };
    draft.hold(operation.clone(), HeldImages::default(), None);
    let (alone, _) = draft.held.take().unwrap();
    assert!(alone.pods.is_empty() && !draft.waits_for_pod(), "nobody would say that the pod has gone");
    draft.add([ImageResult { conflicts: vec![conflict("pending")], ..result("a", Outcome::Conflict) }]);
    draft.hold(operation, HeldImages::default(), None);
    assert!(draft.waits_for_pod());
    assert_eq!(draft.held.unwrap().0.pods.len(), 1);
    let held = alone.request.entries;
    let held: Vec<_> = held.into_iter().map(|entry| entry.text).collect();
    assert_eq!(held, ["a"]);
}

#[test]
fn pods_matter_that_hold_an_image_and_others_once_in_a_while() {
    let named = |kind, pod: &str| Conflict {
        kind,
        namespace: Some("shop".into()),
        pod: Some(pod.into()),
        ..conflict("held")
    };
    let conflicts = vec![
        named(ConflictKind::PendingPod, "cart"),
        named(ConflictKind::RunningContainer, "till"),
        Conflict { kind: ConflictKind::Pinned, ..conflict("pinned") },
    ];
    let mut draft = Draft::new(false);
    draft.add([ImageResult { conflicts, ..result("a", Outcome::Conflict) }]);
    let rows =
        [("shop", "cart", true), ("shop", "till", true), ("bank", "cart", false), ("shop", "stock", false)];
    for (namespace, name, expected) in rows {
        let changed = Changed::These([(namespace.to_owned(), name.to_owned())].into());
        assert_eq!(draft.is_held_by_any(&changed), expected, "{namespace}/{name}");
    }
    assert!(draft.is_held_by_any(&Changed::Any) && !draft.is_held_by_any(&Changed::none()));
    let later = draft.looked + BETWEEN_PODS;
    assert!(draft.is_to_be_refreshed(later) && !draft.is_to_be_refreshed(later - Duration::from_secs(1)));
}

#[test]
fn now_and_then_it_is_asked_whether_what_is_held_is_still_wanted() {
    let mut draft = Draft::new(false);
    let later = Instant::now() + BETWEEN_LOOKS;
    assert!(!draft.is_to_be_looked_at(later - Duration::from_secs(9)));
    assert!(draft.is_to_be_looked_at(later));
    draft.looked = later;
    assert!(!draft.is_to_be_looked_at(later) && draft.is_to_be_looked_at(later + BETWEEN_LOOKS));
}

#[test]
fn what_was_reported_before_the_agent_was_killed_is_not_told_twice() {
    let mut draft = Draft::new(false);
    draft.add([result("a", Outcome::Deleted), result("b", Outcome::Conflict)]);
    assert!(draft.has(&result("a", Outcome::Deleted)));
    assert!(!draft.has(&result("b", Outcome::Deleted)));
    assert!(!draft.has(&result("b", Outcome::Conflict)), "a conflict may end, so it is told anew");
}

#[test]
fn what_was_put_back_is_counted_once_however_often_it_is_found() {
    let put_back = || {
        let held = ImageResult { conflicts: vec![conflict("in use")], ..result("a", Outcome::Conflict) };
        Did { results: vec![held, result("b", Outcome::Deleted)], put_back: 1 }
    };
    let mut draft = Draft::new(false);
    for _ in 0..3 {
        draft.take_in_recovered(put_back());
        assert_eq!(draft.uncounted.put_back, 1);
    }
}

#[test]
fn a_pattern_of_a_killed_operation_stays_due() {
    let mut draft = Draft::new(false);
    draft.add([result("a:*", Outcome::Deleted), result("b", Outcome::Deleted)]);
    draft.leave_patterns_due();
    assert!(draft.is_due("a:*") && !draft.is_due("b"));
}

#[test]
fn a_conflict_is_new_once() {
    let held = |messages: &[&str]| ImageResult {
        conflicts: messages.iter().map(|message| conflict(message)).collect(),
        ..result("a", Outcome::Conflict)
    };
    let mut draft = Draft::new(false);
    draft.reported = vec![held(&["one"])];
    let later = [held(&["one", "two"])];
    assert_eq!(draft.new_conflicts(&later).collect::<Vec<_>>(), [&conflict("two")]);
}

#[test]
fn a_failed_attempt_leaves_only_what_the_api_server_has() {
    let mut draft = Draft::new(false);
    draft.begin(Timestamp::UNIX_EPOCH);
    draft.add([result("a", Outcome::Deleted)]);
    draft.reset();
    assert!(draft.may_have_report);
    assert_eq!(draft.begin(Timestamp::MAX), &Time(Timestamp::UNIX_EPOCH));
    assert!(draft.is_due("a"));
}

#[test]
fn what_is_given_up_has_the_reason_and_what_was_done_keeps_its_own() {
    let mut draft = Draft::new(false);
    draft.add([result("a:*", Outcome::Deleted), result("b", Outcome::Conflict)]);
    draft.leave_patterns_due();
    let deletion = ImageDeletion::new("drop", ImageDeletionSpec::of(["a:*", "b", "c"]));
    draft.give_up(&deletion, "the disk\nis full");
    let why = Some("this could not be done before the deadline: the disk\\nis full");
    let listed = draft.listed(&deletion);
    let told: Vec<_> =
        listed.iter().map(|it| (it.outcome, it.records.len(), it.message.as_deref())).collect();
    assert_eq!(told, [(Outcome::Failed, 1, why), (Outcome::Conflict, 0, None), (Outcome::Failed, 0, why)]);
}

#[test]
fn a_deletion_is_concluded_at_its_deadline_where_there_is_something_to_say() {
    let deadline = Instant::now() + Duration::from_secs(600);
    // Whether it failed or was reported, and whether nothing can be done on the node.
    let rows = [
        (false, false, false, None),
        (true, false, false, Some(deadline)),
        (false, true, false, Some(deadline)),
        (false, false, true, Some(deadline)),
    ];
    for (has_failed, has_reported, is_hindered, expected) in rows {
        let mut draft = Draft::new(false);
        draft.see(&deletion());
        draft.failure = has_failed.then(String::new);
        draft.reported.extend(has_reported.then(|| result("a", Outcome::Conflict)));
        let case = format!("failed: {has_failed}, reported: {has_reported}, hindered: {is_hindered}");
        assert_eq!(draft.concludes(is_hindered, |_| deadline), expected, "{case}");
    }
    let mut draft = Draft::new(true);
    assert!(draft.concludes(true, |_| deadline).unwrap() < deadline, "its deadline is to be read");
    assert_eq!(draft.concludes(false, |_| deadline), None, "an attempt reads it");
    draft.concluded_from = Some(deadline);
    assert_eq!(draft.concludes(true, |_| deadline), Some(deadline));
    draft.failure = Some(String::new());
    draft.reset();
    assert!(draft.failure.is_some(), "why it failed is known still");
}
