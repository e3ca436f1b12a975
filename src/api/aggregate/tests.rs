use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use proptest::prelude::*;

use super::*;
use crate::api::deletion::{ImageDeletion, ImageDeletionSpec};
use crate::api::report::ImageDeletionReport;
use crate::api::result::{Conflict, ConflictKind, ImageResult, Outcome, Record};
use crate::api::status::{ImageDeletionStatus, MergedRecord, NodeCounts, Phase};

const CREATED: i64 = 1_000;

fn at(seconds_after_creation: i64) -> Timestamp {
    Timestamp::from_second(CREATED + seconds_after_creation).unwrap()
}

/// A deletion with the default deadline of 600 seconds.
fn deletion() -> ImageDeletion {
    let mut deletion = ImageDeletion::new("drop", ImageDeletionSpec::of(["app:v1"]));
    deletion.metadata.uid = Some("uid".into());
    deletion.metadata.generation = Some(1);
    deletion.metadata.creation_timestamp = Some(Time(at(0)));
    deletion
}

fn result(outcome: Outcome) -> ImageResult {
    let records = match outcome {
        Outcome::Deleted => vec![Record::Untagged("app:v1".into()), Record::Deleted("sha256:276a".into())],
        Outcome::Untagged => vec![Record::Untagged("app:v1".into())],
        Outcome::Absent | Outcome::Conflict | Outcome::Failed => vec![],
    };
    let conflict = Conflict {
        image: "app:v1".into(),
        kind: ConflictKind::RunningContainer,
        forcible: false,
        namespace: Some("shop".into()),
        pod: Some("cart-7d9".into()),
        container: Some("cart".into()),
        message: "image is being used by running container 0d3f".into(),
    };
    ImageResult {
        image: "app:v1".into(),
        outcome,
        reclaimed_bytes: if outcome == Outcome::Deleted { 1_992_294 } else { 0 },
        conflicts: if outcome == Outcome::Conflict { vec![conflict] } else { vec![] },
        message: (outcome == Outcome::Failed).then(|| "containerd is gone".into()),
        records,
    }
}

fn report_with(node: &str, results: Vec<ImageResult>) -> ImageDeletionReport {
    ImageDeletionReport::of(&deletion(), node, results, Time(at(1)), Some(Time(at(2))))
}

fn report(node: &str, outcome: Outcome) -> ImageDeletionReport {
    report_with(node, vec![result(outcome)])
}

fn all(deletion: &ImageDeletion, reports: &[ImageDeletionReport]) -> Reports {
    let mut all = Reports::on(deletion.metadata.uid.as_deref().unwrap());
    for report in reports {
        all.insert(report.spec.clone());
    }
    all
}

fn fold(
    deletion: &ImageDeletion,
    desired: &[String],
    without_agent: usize,
    reports: &[ImageDeletionReport],
    now: Timestamp,
) -> ImageDeletionStatus {
    let desired = desired.iter().cloned().collect();
    aggregate(deletion, &desired, without_agent, &all(deletion, reports), now)
}

fn names<const N: usize>(nodes: [&str; N]) -> Vec<String> {
    nodes.map(str::to_owned).into()
}

#[track_caller]
fn assert_condition(status: &ImageDeletionStatus, type_: &str, value: &str, reason: &str, message: &str) {
    let condition = condition(status, type_);
    assert_eq!((&*condition.status, &*condition.reason, &*condition.message), (value, reason, message));
}

fn condition<'a>(status: &'a ImageDeletionStatus, type_: &str) -> &'a Condition {
    status.conditions.iter().find(|condition| condition.type_ == type_).unwrap()
}

#[test]
fn before_any_report_a_deletion_is_pending() {
    let status = fold(&deletion(), &names(["a", "b"]), 0, &[], at(3));
    assert_eq!(status.phase, Phase::Pending);
    assert_eq!(status.start_time, Some(Time(at(3))));
    assert_eq!(status.completion_time, None);
    assert_eq!(status.observed_generation, Some(1));
    assert_eq!(status.nodes, NodeCounts { desired: 2, ..NodeCounts::default() });
    assert_eq!(status.nodes_reported, "0/2");
    assert_condition(
        &status,
        "Complete",
        "False",
        "WaitingForNodes",
        "0 of 2 nodes reported; waiting for a, b",
    );
    assert_condition(&status, "Conflicted", "False", "NoConflicts", "no node reported a conflict");
    assert_condition(&status, "Failed", "False", "NoFailure", "no node has failed");
}

#[test]
fn with_some_reports_it_is_active_and_names_the_missing() {
    let mut deletion = deletion();
    deletion.status = Some(fold(&deletion, &names(["a", "b"]), 0, &[], at(3)));
    let status = fold(&deletion, &names(["a", "b"]), 0, &[report("b", Outcome::Failed)], at(4));
    assert_eq!(status.phase, Phase::Active);
    assert_eq!(status.start_time, Some(Time(at(3))));
    assert_condition(
        &status,
        "Complete",
        "False",
        "WaitingForNodes",
        "1 of 2 nodes reported: 1 failed; waiting for a",
    );
    assert_condition(
        &status,
        "Failed",
        "False",
        "WaitingForNodes",
        "failed on b; the other nodes are not done yet",
    );
}

#[test]
fn a_conflict_does_not_keep_it_from_being_complete() {
    let reports = [report("b", Outcome::Conflict), report("a", Outcome::Deleted)];
    let status = fold(&deletion(), &names(["a", "b"]), 1, &reports, at(5));
    assert_eq!(status.phase, Phase::Complete);
    assert_eq!(status.completion_time, Some(Time(at(5))));
    assert_eq!(
        status.nodes,
        NodeCounts {
            desired: 2,
            reported: 2,
            deleted: 1,
            conflicted: 1,
            without_agent: 1,
            ..NodeCounts::default()
        }
    );
    assert_eq!((status.reclaimed_bytes, &*status.reclaimed), (1_992_294, "1.9Mi"));
    assert_eq!(
        status.records,
        [Record::Untagged("app:v1".into()), Record::Deleted("sha256:276a".into())]
            .map(|record| MergedRecord { record, nodes: 1 })
    );
    assert!(!status.truncated);
    assert_condition(
        &status,
        "Complete",
        "True",
        "AllNodesReported",
        "2 of 2 nodes reported: 1 deleted, 1 conflicted; 1 selected node runs no agent and was left alone",
    );
    assert_condition(&status, "Conflicted", "True", "ConflictsReported", "images left alone on b");

    let first = serde_json::to_value(&status.node_results[0]).unwrap();
    assert_eq!(
        first,
        serde_json::json!({
            "node": "b",
            "outcome": "Conflict",
            "message": "image is being used by running container 0d3f",
            "conflicts": [{
                "image": "app:v1", "kind": "RunningContainer", "forcible": false, "namespace": "shop",
                "pod": "cart-7d9", "container": "cart", "message": "image is being used by running container 0d3f",
            }],
            "records": [],
        })
    );
    assert_eq!(
        serde_json::to_value(&status.records[0]).unwrap(),
        serde_json::json!({"untagged": "app:v1", "nodes": 1})
    );
}

#[test]
fn what_most_nodes_removed_comes_first() {
    let mut alone = result(Outcome::Untagged);
    alone.records = vec![Record::Untagged("aaa:v1".into())];
    let reports = [report("a", Outcome::Untagged), report_with("b", vec![result(Outcome::Untagged), alone])];
    let records = fold(&deletion(), &names(["a", "b"]), 0, &reports, at(5)).records;
    assert_eq!(
        records,
        [("app:v1", 2), ("aaa:v1", 1)]
            .map(|(name, nodes)| MergedRecord { record: Record::Untagged(name.into()), nodes })
    );
}

#[test]
fn a_dry_run_is_called_one() {
    let mut deletion = deletion();
    deletion.spec.dry_run = true;
    let status = fold(&deletion, &names(["a"]), 0, &[report("a", Outcome::Deleted)], at(5));
    assert_condition(
        &status,
        "Complete",
        "True",
        "AllNodesReported",
        "1 of 1 node reported: 1 deleted; a dry run, so nothing was removed",
    );
}

#[test]
fn a_status_fits_its_schema() {
    use crate::api::{structural, validate};
    let reports =
        [report("a", Outcome::Deleted), report("b", Outcome::Conflict), report("c", Outcome::Failed)];
    let mut deletion = deletion();
    deletion.status = Some(fold(&deletion, &names(["a", "b", "c"]), 1, &reports, at(5)));
    let written = serde_json::to_value(&deletion).unwrap();
    assert_eq!(structural::unknown_fields(&validate::schema(), &written), [""; 0]);
    assert_eq!(structural::check(&validate::schema(), &written), []);
    assert_eq!(serde_json::from_value::<ImageDeletion>(written).unwrap(), deletion);
}

#[test]
fn a_conflict_shows_also_where_something_worse_happened() {
    let reports = [report_with("a", vec![result(Outcome::Conflict), result(Outcome::Failed)])];
    let status = fold(&deletion(), &names(["a"]), 0, &reports, at(5));
    assert_eq!((status.nodes.failed, status.nodes.conflicted), (1, 0));
    assert_condition(&status, "Conflicted", "True", "ConflictsReported", "images left alone on a");
    assert_eq!(status.node_results[0].message.as_deref(), Some("containerd is gone"));
}

#[test]
fn a_failed_node_fails_it_once_all_have_reported() {
    let reports = [report("a", Outcome::Failed), report("b", Outcome::Deleted)];
    let status = fold(&deletion(), &names(["a", "b"]), 0, &reports, at(5));
    assert_eq!(status.phase, Phase::Failed);
    assert_condition(&status, "Failed", "True", "NodesFailed", "failed on a");
    assert_condition(
        &status,
        "Complete",
        "False",
        "NodesFailed",
        "2 of 2 nodes reported: 1 deleted, 1 failed",
    );
}

/// Of a pattern's images one can fail and another be in use.
#[test]
fn a_conflict_of_an_entry_that_failed_is_one() {
    let both = ImageResult { conflicts: result(Outcome::Conflict).conflicts, ..result(Outcome::Failed) };
    let reports = [report_with("a", vec![both]), report("b", Outcome::Failed)];
    let status = fold(&deletion(), &names(["a", "b"]), 0, &reports, at(5));
    assert_condition(&status, "Conflicted", "True", "ConflictsReported", "images left alone on a");
    assert_condition(&status, "Failed", "True", "NodesFailed", "failed on a, b");
}

#[test]
fn past_the_deadline_and_its_grace_the_silent_nodes_are_named() {
    let desired = names(["a", "b", "c"]);
    let reports = [report("b", Outcome::Deleted)];
    assert_eq!(fold(&deletion(), &desired, 0, &reports, at(604)).phase, Phase::Active);
    let status = fold(&deletion(), &desired, 0, &reports, at(605));
    assert_eq!(status.phase, Phase::Failed);
    assert_eq!(status.completion_time, Some(Time(at(605))));
    assert_condition(&status, "Failed", "True", "DeadlineExceeded", "no report within 600 seconds from a, c");
}

#[test]
fn a_node_that_waits_keeps_it_active_until_it_is_given_up() {
    let mut waiting = report("a", Outcome::Conflict);
    waiting.spec.completion_time = None;
    let desired = names(["a"]);
    let status = fold(&deletion(), &desired, 0, std::slice::from_ref(&waiting), at(604));
    assert_eq!(status.phase, Phase::Active);
    assert_condition(
        &status,
        "Complete",
        "False",
        "WaitingForConflicts",
        "1 of 1 node reported: 1 conflicted; images in use on a",
    );
    let status = fold(&deletion(), &desired, 0, &[waiting], at(605));
    assert_eq!(status.phase, Phase::Complete);
    assert_eq!(condition(&status, "Conflicted").status, "True");
}

#[test]
fn a_node_that_was_stopped_in_the_middle_waits_for_no_conflict() {
    let mut stopped = report("a", Outcome::Deleted);
    stopped.spec.completion_time = None;
    let mut held = report("b", Outcome::Conflict);
    held.spec.completion_time = None;
    let status = fold(&deletion(), &names(["a", "b"]), 0, &[stopped, held], at(1));
    assert_condition(
        &status,
        "Complete",
        "False",
        "WaitingForNodes",
        "2 of 2 nodes reported: 1 deleted, 1 conflicted; images in use on b; not finished on a",
    );
}

#[test]
fn without_a_node_it_is_complete_at_once() {
    let status = fold(&deletion(), &[], 2, &[], at(1));
    assert_eq!(status.phase, Phase::Complete);
    assert_condition(
        &status,
        "Complete",
        "True",
        "NoNodes",
        "no selected node runs an agent, so there was nothing to do; 2 selected nodes run no agent and were left alone",
    );
}

#[test]
fn only_reports_of_desired_nodes_on_this_deletion_count() {
    let mut of_another = report("a", Outcome::Deleted);
    of_another.spec.image_deletion_uid = "another".into();
    let reports = [of_another, report("stranger", Outcome::Failed)];
    let status = fold(&deletion(), &names(["a"]), 0, &reports, at(1));
    assert_eq!(status.nodes, NodeCounts { desired: 1, ..NodeCounts::default() });
    assert_eq!(status.phase, Phase::Pending);
}

#[test]
fn a_finished_status_stays_as_it_is() {
    let mut deletion = deletion();
    let status = fold(&deletion, &names(["a", "b"]), 0, &[report("a", Outcome::Deleted)], at(605));
    deletion.status = Some(status.clone());
    let late = [report("a", Outcome::Deleted), report("b", Outcome::Deleted)];
    assert_eq!(fold(&deletion, &names(["a", "b"]), 0, &late, at(700)), status);
}

#[test]
fn a_finished_status_speaks_of_the_latest_generation() {
    let mut deletion = deletion();
    let status = fold(&deletion, &names(["a"]), 0, &[report("a", Outcome::Deleted)], at(5));
    deletion.status = Some(status.clone());
    deletion.metadata.generation = Some(2);
    let again = fold(&deletion, &[], 0, &[], at(700));
    assert_eq!(again.observed_generation, Some(2));
    assert!(again.conditions.iter().all(|condition| condition.observed_generation == Some(2)));
    deletion.metadata.generation = Some(1);
    deletion.status = Some(again);
    assert_eq!(fold(&deletion, &[], 0, &[], at(700)), status);
}

#[test]
fn a_condition_keeps_its_time_until_its_status_changes() {
    let mut deletion = deletion();
    let desired = names(["a", "b"]);
    deletion.status = Some(fold(&deletion, &desired, 0, &[], at(1)));
    deletion.status = Some(fold(&deletion, &desired, 0, &[report("a", Outcome::Conflict)], at(2)));
    let times = |status: &ImageDeletionStatus| {
        ["Complete", "Conflicted", "Failed"]
            .map(|type_| condition(status, type_).last_transition_time.0.as_second() - CREATED)
    };
    assert_eq!(times(deletion.status.as_ref().unwrap()), [1, 2, 1]);
    let both = [report("a", Outcome::Conflict), report("b", Outcome::Absent)];
    assert_eq!(times(&fold(&deletion, &desired, 0, &both, at(3))), [3, 2, 1]);
}

#[test]
fn five_thousand_nodes_with_much_to_say_fit_the_bound() {
    let long = |what: &str, length: usize| format!("{what}\"{}", "\\\u{e9}".repeat(length / 3));
    let nodes: Vec<_> = (0..5_000).map(|n| format!("{n:04}{}", "n".repeat(249))).collect();
    let reports: Vec<_> = nodes
        .iter()
        .map(|node| {
            let results = (0..64).map(|image| ImageResult {
                image: format!("app-{image}"),
                records: vec![Record::Untagged(long(&format!("{}{image}", &node[..4]), 150))],
                conflicts: vec![Conflict {
                    message: long("held", 300),
                    ..result(Outcome::Conflict).conflicts.remove(0)
                }],
                message: Some(long("bad", 300)),
                ..result(Outcome::Failed)
            });
            report_with(node, results.collect())
        })
        .collect();
    for (desired, now) in [(&nodes[..], at(1)), (&nodes[..2_500], at(1))] {
        let status = fold(&deletion(), desired, usize::MAX, &reports, now);
        let size = serde_json::to_vec(&status).unwrap().len();
        assert!(size < MAX_STATUS_BYTES, "{size} bytes");
        assert!(status.truncated);
        assert_eq!(status.nodes.failed as usize, desired.len());
        assert!(status.node_results.len() > 30, "{} nodes", status.node_results.len());
    }
    let status = fold(&deletion(), &nodes, 0, &[], at(605));
    assert!(serde_json::to_vec(&status).unwrap().len() < MAX_STATUS_BYTES);
    assert_eq!((status.node_results.len(), status.truncated), (MAX_NODE_RESULTS, true));
    assert!(
        condition(&status, "Failed").message.ends_with("and 4996 more"),
        "{:?}",
        condition(&status, "Failed")
    );
}

/// Whoever has stolen the token of node `a` writes what the API server takes.
#[test]
fn a_node_that_says_much_hides_no_other() {
    let conflict = || result(Outcome::Conflict).conflicts.remove(0);
    let long = || "\u{1b}\"\u{e9}".repeat(10 << 10);
    let conflicts = |conflicts| vec![ImageResult { conflicts, ..result(Outcome::Failed) }];
    let records = |records| vec![ImageResult { records, ..result(Outcome::Failed) }];
    let rows = [
        ("container", conflicts(vec![Conflict { container: Some(long()), ..conflict() }])),
        ("pod", conflicts(vec![Conflict { pod: Some(long()), ..conflict() }])),
        ("namespace", conflicts(vec![Conflict { namespace: Some(long()), ..conflict() }])),
        ("image", conflicts(vec![Conflict { image: long(), ..conflict() }])),
        ("message", conflicts(vec![Conflict { message: long(), ..conflict() }])),
        ("many conflicts", conflicts(vec![conflict(); 2_000])),
        ("a long name", records(vec![Record::Untagged(long())])),
        ("a long digest", records(vec![Record::Deleted(long())])),
    ];
    for (what, of_a) in rows {
        let of_b = ImageResult { conflicts: vec![conflict()], ..result(Outcome::Deleted) };
        let reports = [report_with("a", of_a), report_with("b", vec![of_b])];
        let status = fold(&deletion(), &names(["a", "b"]), 0, &reports, at(5));
        let [a, b] = &status.node_results[..] else { panic!("{what}: {status:#?}") };
        assert_eq!((&*a.node, &*b.node, &b.conflicts), ("a", "b", &vec![conflict()]), "{what}");
        assert!(!a.conflicts.is_empty() || !a.records.is_empty(), "{what}: it is cut and not left out");
        assert!(status.truncated, "{what}");
        assert!(serde_json::to_vec(&status).unwrap().len() < MAX_STATUS_BYTES, "{what}");
        if what != "many conflicts" {
            let removed = result(Outcome::Deleted).records;
            assert_eq!(b.records, removed, "{what}");
            let merged: Vec<_> = status.records.into_iter().map(|merged| merged.record).collect();
            assert!(removed.iter().all(|record| merged.contains(record)), "{what}: {merged:?}");
        }
    }
}

#[test]
fn at_most_100_nodes_are_shown_and_bad_ones_first() {
    let nodes: Vec<_> = (0..150).map(|n| format!("node-{n:03}")).collect();
    let reports: Vec<_> = nodes
        .iter()
        .enumerate()
        .map(|(n, node)| {
            report(
                node,
                [Outcome::Absent, Outcome::Deleted, Outcome::Untagged, Outcome::Conflict, Outcome::Failed]
                    [n % 5],
            )
        })
        .collect();
    let status = fold(&deletion(), &nodes, 0, &reports, at(1));
    let outcomes: Vec<_> = status.node_results.iter().map(|node| node.outcome).collect();
    assert_eq!(outcomes.len(), 100);
    assert!(outcomes.is_sorted_by(|one, next| one >= next));
    assert!(status.truncated);
    assert!(!fold(&deletion(), &nodes[..100], 0, &reports[..100], at(1)).truncated);
}

/// The outcome and the message of every node that is shown.
fn shown(status: &ImageDeletionStatus) -> Vec<(&str, Outcome, Option<&str>)> {
    let results = status.node_results.iter();
    results.map(|result| (&*result.node, result.outcome, result.message.as_deref())).collect()
}

#[test]
fn a_silent_node_is_shown_after_those_that_failed_and_before_the_others() {
    let silent: Vec<_> = (0..50).map(|n| format!("node-{n:02}")).collect();
    let reports =
        [report("a", Outcome::Conflict), report("y", Outcome::Failed), report("z", Outcome::Failed)];
    let desired = [&silent[..], &names(["a", "y", "z"])].concat();
    let status = fold(&deletion(), &desired, 0, &reports, at(605));
    let no_report = Some("no report within 600 seconds");
    let mut expected = vec![
        ("y", Outcome::Failed, Some("containerd is gone")),
        ("z", Outcome::Failed, Some("containerd is gone")),
    ];
    expected.extend(silent.iter().map(|node| (&**node, Outcome::Failed, no_report)));
    expected.push(("a", Outcome::Conflict, Some("image is being used by running container 0d3f")));
    assert_eq!(shown(&status), expected);
    assert!(!status.truncated);
    assert_eq!(status.node_results.last().unwrap().conflicts.len(), 1);
    assert_eq!((status.nodes.reported, status.nodes.failed), (3, 2), "counts are of reports");
}

#[test]
fn of_150_silent_nodes_100_are_shown() {
    let nodes: Vec<_> = (0..150).map(|n| format!("node-{n:03}")).collect();
    let status = fold(&deletion(), &nodes, 0, &[], at(605));
    let first: Vec<_> = shown(&status).into_iter().map(|(node, ..)| node).collect();
    assert_eq!(first, nodes[..100]);
    assert!(status.truncated);
}

#[test]
fn a_node_is_not_called_silent_while_it_may_still_report() {
    let status = fold(&deletion(), &names(["a", "b"]), 0, &[report("b", Outcome::Deleted)], at(604));
    assert_eq!(shown(&status), [("b", Outcome::Deleted, None)]);
    assert!(!status.truncated);
}

#[test]
fn a_report_replaces_an_earlier_one_of_its_node() {
    let mut reports = all(&deletion(), &[report("a", Outcome::Conflict), report("b", Outcome::Deleted)]);
    assert!(reports.insert(report("a", Outcome::Deleted).spec));
    assert!(reports.remove("b"));
    assert!(!reports.remove("b"));
    let desired = names(["a", "b"]).into_iter().collect();
    let status = aggregate(&deletion(), &desired, 0, &reports, at(1));
    let once = fold(&deletion(), &names(["a", "b"]), 0, &[report("a", Outcome::Deleted)], at(1));
    assert_eq!(status, once);
}

#[test]
fn words_that_others_had_no_room_for_are_called_missing() {
    let nodes: Vec<_> = (0..101).map(|n| format!("node-{n:03}")).collect();
    let reports: Vec<_> = nodes.iter().map(|node| report(node, Outcome::Conflict)).collect();
    let mut reports = all(&deletion(), &reports);
    assert!(reports.remove("node-000"));
    let status = aggregate(&deletion(), &nodes.into_iter().collect(), 0, &reports, at(1));
    assert_eq!(status.nodes.conflicted, 100);
    let last = status.node_results.last().unwrap();
    assert_eq!((&*last.node, &last.message, last.conflicts.len()), ("node-100", &None, 0));
    assert!(status.truncated);
}

fn any_outcome() -> impl Strategy<Value = Outcome> {
    prop::sample::select(vec![
        Outcome::Absent,
        Outcome::Deleted,
        Outcome::Untagged,
        Outcome::Conflict,
        Outcome::Failed,
    ])
}

/// Results of up to 20 nodes, not all of which are desired.
fn any_reports() -> impl Strategy<Value = Vec<ImageDeletionReport>> {
    prop::collection::btree_map(0..30u8, prop::collection::vec(any_outcome(), 0..4), 0..20).prop_map(
        |nodes| {
            let of_node = |(node, outcomes): (u8, Vec<Outcome>)| {
                report_with(&format!("node-{node}"), outcomes.into_iter().map(result).collect())
            };
            nodes.into_iter().map(of_node).collect()
        },
    )
}

proptest! {
    #[test]
    fn the_order_of_reports_does_not_matter(
        (reports, shuffled) in any_reports().prop_flat_map(|reports| (Just(reports.clone()), Just(reports).prop_shuffle())),
        desired in prop::collection::vec(0..30u8, 0..30),
        now in 0..1_000i64,
    ) {
        let desired: Vec<_> = desired.iter().map(|node| format!("node-{node}")).collect();
        prop_assert_eq!(
            fold(&deletion(), &desired, 0, &reports, at(now)),
            fold(&deletion(), &desired, 0, &shuffled, at(now))
        );
    }

    #[test]
    fn the_counts_add_up(reports in any_reports(), desired in prop::collection::btree_set(0..30u8, 0..30), now in 0..1_000i64) {
        let desired: Vec<_> = desired.iter().map(|node| format!("node-{node}")).collect();
        let status = fold(&deletion(), &desired, 3, &reports, at(now));
        let counts = status.nodes;
        let by_outcome = [counts.deleted, counts.untagged, counts.absent, counts.conflicted, counts.failed];
        prop_assert_eq!(by_outcome.iter().sum::<u32>(), counts.reported);
        prop_assert_eq!(counts.desired as usize, desired.len());
        prop_assert!(counts.reported <= counts.desired);
        let is_over = status.phase == Phase::Failed && counts.reported < counts.desired;
        let shown = if is_over { counts.desired } else { counts.reported };
        prop_assert_eq!(status.node_results.len(), shown as usize);
        prop_assert!(status.records.iter().all(|record| (1..=counts.reported).contains(&record.nodes)));
        let deleted: usize = reports
            .iter()
            .filter(|report| desired.contains(&report.spec.node_name))
            .flat_map(|report| &report.spec.results)
            .filter(|result| result.outcome == Outcome::Deleted)
            .count();
        prop_assert_eq!(status.reclaimed_bytes, 1_992_294 * deleted as u64);
        let is_final = matches!(status.phase, Phase::Complete | Phase::Failed);
        prop_assert_eq!(is_final, counts.reported == counts.desired || now >= 605);
        prop_assert_eq!(status.completion_time.is_some(), is_final);
        prop_assert_eq!(condition(&status, "Complete").status == "True", status.phase == Phase::Complete);
        prop_assert_eq!(condition(&status, "Failed").status == "True", status.phase == Phase::Failed);
    }

    #[test]
    fn aggregating_again_changes_nothing(reports in any_reports(), nodes in 0..30u8, now in 0..1_000i64) {
        let desired: Vec<_> = (0..nodes).map(|node| format!("node-{node}")).collect();
        let mut deletion = deletion();
        let status = fold(&deletion, &desired, 0, &reports, at(now));
        deletion.status = Some(status.clone());
        prop_assert_eq!(fold(&deletion, &desired, 0, &reports, at(now)), status);
    }
}
