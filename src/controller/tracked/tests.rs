use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::json;

use super::*;
use crate::api::deletion::{ImageDeletionSpec, OnConflict};
use crate::api::report::{ImageDeletionReport, ImageDeletionReportSpec};
use crate::api::result::{Conflict, ConflictKind, ImageResult, Outcome};
use crate::controller::agents::AgentPod;
use crate::controller::cluster::Node;
use crate::controller::note::Kind;

const CREATED: i64 = 1_000;

/// So many milliseconds after the creation.
fn at(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(CREATED * 1_000 + milliseconds).unwrap()
}

/// A deletion with a deadline of 60 seconds.
fn deletion() -> ImageDeletion {
    let mut deletion = ImageDeletion::new("drop", ImageDeletionSpec::of(["app:v1"]));
    deletion.spec.active_deadline_seconds = 60;
    deletion.metadata.uid = Some("uid".into());
    deletion.metadata.generation = Some(1);
    deletion.metadata.resource_version = Some("1".into());
    deletion.metadata.creation_timestamp = Some(Time(at(0)));
    deletion
}

/// A cluster of nodes that run an agent, and of a node `late` that joined after the creation.
fn cluster<const N: usize>(nodes: [&str; N]) -> Cluster {
    let node = |name: &str, created| Node { name: name.into(), labels: BTreeMap::new(), created };
    let mut all: Vec<_> = nodes.iter().map(|name| node(name, at(0))).collect();
    all.push(node("late", at(1_000)));
    let agent = |node: &Node| AgentPod {
        name: format!("agent-{}", node.name),
        node: Some(node.name.clone()),
        is_bound: true,
    };
    let mut cluster = Cluster::default();
    cluster.agents(Change::Listed(all.iter().map(agent).collect()), at(-60_000));
    cluster.nodes(Change::Listed(all));
    cluster
}

/// The node has no agent from so many milliseconds after the creation on. For half a minute it is waited for.
fn lose_agent(cluster: &mut Cluster, node: &str, milliseconds: i64) {
    assert_eq!(cluster.agents(Change::Gone(format!("agent-{node}")), at(milliseconds)), [""; 0]);
    cluster.pass(at(0));
}

fn next_agent(node: &str) -> AgentPod {
    AgentPod { name: format!("next-agent-{node}"), node: Some(node.into()), is_bound: true }
}

fn report(node: &str, outcome: Outcome, completed: Option<i64>) -> ImageDeletionReportSpec {
    let result = ImageResult {
        image: "app:v1".into(),
        outcome,
        records: vec![],
        conflicts: vec![],
        reclaimed_bytes: 0,
        message: None,
    };
    let completed = completed.map(|milliseconds| Time(at(milliseconds)));
    ImageDeletionReport::of(&deletion(), node, vec![result], Time(at(0)), completed).spec
}

fn done(node: &str) -> ReportChange {
    Change::Applied(report(node, Outcome::Deleted, Some(1)))
}

fn waiting(node: &str) -> ReportChange {
    Change::Applied(report(node, Outcome::Conflict, None))
}

fn all(reports: impl IntoIterator<Item = ImageDeletionReportSpec>) -> Reports {
    let mut all = Reports::on("uid");
    for report in reports {
        all.insert(report);
    }
    all
}

fn none() -> ReportChange {
    Change::Listed(all([]))
}

/// Tells of nodes that have changed.
fn tell(tracked: &mut Tracked, changed: &[String], cluster: &Cluster) {
    changed.iter().for_each(|node| tracked.node_changed(node, cluster));
}

/// Seen 100 milliseconds after the creation, without reports.
fn tracked(cluster: &Cluster) -> Tracked {
    let mut tracked = Tracked::new(deletion(), at(100));
    tracked.report(none(), cluster);
    tracked
}

/// The same past its deadline, after a first status: its reports are being counted again.
#[track_caller]
fn recounting(cluster: &Cluster) -> Tracked {
    let mut tracked = tracked(cluster);
    written(&mut tracked, at(1_100), "2");
    assert!(matches!(tracked.step(at(65_000), 1), Some(Order::Recount(_))));
    tracked
}

#[track_caller]
fn write(tracked: &mut Tracked, now: Timestamp) -> StatusWrite {
    match tracked.step(now, 1) {
        Some(Order::Write(write)) => *write,
        other => panic!("no write but {other:?}"),
    }
}

/// Writes what is due, and lets the API server have it as this version.
#[track_caller]
fn written(tracked: &mut Tracked, now: Timestamp, version: &str) -> StatusWrite {
    let write = write(tracked, now);
    tracked.written(&write, Some(version.into()));
    write
}

fn counts(write: &StatusWrite) -> (Phase, &str) {
    (write.status.phase, &write.status.nodes_reported)
}

fn kinds(write: &StatusWrite) -> Vec<Kind> {
    write.notes.iter().map(|note| note.kind).collect()
}

#[test]
fn a_quick_deletion_is_written_once_and_at_once() {
    let cluster = cluster(["a", "b"]);
    let mut tracked = tracked(&cluster);
    assert_eq!(tracked.next(), Some(at(1_100)));
    tracked.report(done("a"), &cluster);
    assert_eq!(tracked.next(), Some(at(1_100)));
    tracked.report(done("b"), &cluster);
    assert_eq!(tracked.next(), Some(Timestamp::MIN));

    let write = written(&mut tracked, at(300), "2");
    assert_eq!(counts(&write), (Phase::Complete, "2/2"));
    assert_eq!(write.status.start_time, Some(Time(at(0))));
    assert_eq!(kinds(&write), [Kind::Started, Kind::Completed]);
    assert_eq!(
        write.target,
        Target { name: "drop".into(), uid: "uid".into(), resource_version: Some("1".into()) }
    );
    assert_eq!(tracked.deletion().metadata.resource_version.as_deref(), Some("2"));
    assert_eq!((tracked.wants_reports(), tracked.next()), (false, None));
}

#[test]
fn among_many_a_deletion_is_written_less_often() {
    let rows = [
        (0, 0, 1_000),
        (1, 2, 1_000),
        (10, 2_000, 1_000),
        (50, 2_000, 5_000),
        (1_000, 2, 30_000),
        (1, 5_000, 2_500),
        (30, 5_000, 3_000),
        (1, 100_000, 30_000),
    ];
    for (under_way, asked, milliseconds) in rows {
        let found = between_writes(under_way, asked).as_millis();
        assert_eq!(found, milliseconds, "{under_way} under way, {asked} nodes asked");
    }
}

#[test]
fn a_slow_deletion_is_written_once_a_second_and_when_it_is_over() {
    let cluster = cluster(["a", "b", "c"]);
    let mut tracked = tracked(&cluster);
    assert_eq!(tracked.step(at(1_099), 1), None);
    let first = written(&mut tracked, at(1_100), "2");
    assert_eq!((counts(&first), &*kinds(&first)), ((Phase::Pending, "0/3"), &[Kind::Started][..]));
    assert_eq!(tracked.next(), Some(at(65_000)));

    tracked.report(done("a"), &cluster);
    assert_eq!(tracked.next(), Some(at(2_100)));
    tracked.report(done("b"), &cluster);
    let second = written(&mut tracked, at(2_100), "3");
    assert_eq!((counts(&second), kinds(&second).len()), ((Phase::Active, "2/3"), 0));
    assert_eq!(second.status.start_time, first.status.start_time);

    tracked.report(done("c"), &cluster);
    let last = written(&mut tracked, at(2_101), "4");
    assert_eq!((counts(&last), &*kinds(&last)), ((Phase::Complete, "3/3"), &[Kind::Completed][..]));
}

#[test]
fn nothing_is_written_before_the_cluster_and_the_reports_are_known() {
    let cluster = cluster(["a"]);
    let mut tracked = Tracked::new(deletion(), at(100));
    tracked.start(&cluster);
    assert_eq!(tracked.next(), None);
    tracked.report(none(), &Cluster::default());
    assert_eq!((tracked.next(), tracked.step(at(9_000_000), 1)), (None, None));
    tracked.start(&cluster);
    assert_eq!(counts(&write(&mut tracked, at(2_000))), (Phase::Pending, "0/1"));
}

#[test]
fn one_write_is_under_way_at_a_time_and_what_happens_meanwhile_is_written_next() {
    let cluster = cluster(["a", "b"]);
    let mut tracked = tracked(&cluster);
    let first = write(&mut tracked, at(1_100));
    tracked.report(done("a"), &cluster);
    tracked.report(done("b"), &cluster);
    assert_eq!((tracked.next(), tracked.step(at(5_000), 1)), (None, None));
    tracked.written(&first, Some("2".into()));
    assert_eq!(counts(&write(&mut tracked, at(1_200))), (Phase::Complete, "2/2"));
}

#[test]
fn a_write_that_failed_is_made_again_after_a_pause() {
    let cluster = cluster(["a"]);
    let mut tracked = tracked(&cluster);
    tracked.report(done("a"), &cluster);
    let first = write(&mut tracked, at(200));
    tracked.attempts().failed(at(300));
    tracked.unsaid();
    assert!(tracked.next().is_some_and(|next| next > at(300) && next <= at(400)));
    let again = write(&mut tracked, at(400));
    assert_eq!((again.status.phase, again.notes), (Phase::Complete, first.notes));
}

#[test]
fn a_write_speaks_of_the_latest_version() {
    let cluster = cluster(["a"]);
    let mut tracked = tracked(&cluster);
    let first = write(&mut tracked, at(1_100));
    let mut changed = deletion();
    changed.metadata.resource_version = Some("7".into());
    tracked.update(changed);
    // The API server took the write for version 2 and not for 7, which the watch brought first.
    tracked.written(&first, Some("2".into()));
    assert_eq!(tracked.deletion().metadata.resource_version.as_deref(), Some("7"));
    tracked.report(done("a"), &cluster);
    assert_eq!(write(&mut tracked, at(1_200)).target.resource_version.as_deref(), Some("7"));
}

#[test]
fn its_own_echo_is_no_news() {
    let cluster = cluster(["a"]);
    for echo_comes_first in [true, false] {
        let mut tracked = tracked(&cluster);
        let first = write(&mut tracked, at(1_100));
        let mut echo = deletion();
        echo.metadata.resource_version = Some("2".into());
        echo.status = Some(first.status.clone());
        if echo_comes_first {
            tracked.update(echo);
            tracked.written(&first, Some("2".into()));
        } else {
            tracked.written(&first, Some("2".into()));
            tracked.update(echo);
        }
        assert_eq!(tracked.step(at(9_000), 1), None);
        assert_eq!(tracked.next(), Some(at(65_000)));
    }
}

#[test]
fn a_status_that_was_lost_is_written_again() {
    let cluster = cluster(["a"]);
    let mut tracked = tracked(&cluster);
    let first = written(&mut tracked, at(1_100), "2");
    let mut wiped = deletion();
    wiped.metadata.resource_version = Some("3".into());
    tracked.update(wiped);
    let again = write(&mut tracked, at(9_000));
    assert_eq!(again.status.start_time, first.status.start_time);
    assert_eq!(counts(&again), (Phase::Pending, "0/1"));
}

#[test]
fn a_controller_that_takes_over_says_only_what_is_new() {
    let cluster = cluster(["a", "b"]);
    let mut before = tracked(&cluster);
    before.report(waiting("a"), &cluster);
    let mut left = deletion();
    left.status = Some(write(&mut before, at(1_100)).status);

    let mut next = Tracked::new(left.clone(), at(5_000));
    next.report(Change::Listed(all([report("a", Outcome::Conflict, None)])), &cluster);
    assert_eq!(next.step(at(5_000), 1), None);
    assert_eq!(next.next(), Some(at(65_000)));

    let mut next = Tracked::new(left, at(5_000));
    let reports = ["a", "b"].map(|node| report(node, Outcome::Conflict, Some(1)));
    next.report(Change::Listed(all(reports)), &cluster);
    assert_eq!(kinds(&write(&mut next, at(5_000))), [Kind::Completed]);
}

#[test]
fn past_the_deadline_reports_are_counted_again_before_anybody_is_called_silent() {
    let cluster = cluster(["a", "b", "c"]);
    let mut tracked = tracked(&cluster);
    tracked.report(done("a"), &cluster);
    written(&mut tracked, at(1_100), "2");
    assert_eq!(tracked.next(), Some(at(65_000)));
    let recount = |tracked: &mut Tracked, now| {
        tracked.step(at(now), 1) == Some(Order::Recount(Target::of(tracked.deletion())))
    };
    assert!(recount(&mut tracked, 65_000));
    tracked.attempts().failed(at(65_500));
    assert!(tracked.next().is_some_and(|next| next > at(65_500) && next <= at(65_600)));
    assert!(recount(&mut tracked, 65_600));

    let found = ["a", "b"].map(|node| report(node, Outcome::Deleted, Some(1)));
    tracked.recounted(all(found), &cluster);
    let last = written(&mut tracked, at(65_700), "3");
    assert_eq!((counts(&last), &*kinds(&last)), ((Phase::Failed, "2/3"), &[Kind::Failed][..]));
    assert_eq!(last.notes[0].text, "DeadlineExceeded: no report within 60 seconds from c");
    assert_eq!(tracked.next(), None);
}

#[test]
fn the_last_report_at_the_deadline_still_counts() {
    let cluster = cluster(["a"]);
    let mut tracked = tracked(&cluster);
    tracked.deletion.spec.on_conflict = OnConflict::Wait;
    tracked.report(waiting("a"), &cluster);
    let active = written(&mut tracked, at(1_100), "2");
    assert_eq!(
        (counts(&active), &*kinds(&active)),
        ((Phase::Active, "1/1"), &[Kind::Started, Kind::Conflict][..])
    );
    tracked.report(Change::Applied(report("a", Outcome::Conflict, Some(60_300))), &cluster);
    assert_eq!(counts(&write(&mut tracked, at(60_400))), (Phase::Complete, "1/1"));
}

#[test]
fn a_final_report_is_final() {
    let cluster = cluster(["a", "b"]);
    let mut tracked = tracked(&cluster);
    tracked.report(done("a"), &cluster);
    tracked.report(waiting("a"), &cluster);
    tracked.report(done("b"), &cluster);
    assert_eq!(counts(&write(&mut tracked, at(200))), (Phase::Complete, "2/2"));
}

#[test]
fn a_node_that_vanishes_counts_only_if_it_has_made_its_final_report() {
    let rows = [
        (none(), (Phase::Complete, "1/1")),
        (waiting("b"), (Phase::Complete, "1/1")),
        (done("b"), (Phase::Complete, "2/2")),
    ];
    for (of_b, expected) in rows {
        let mut cluster = cluster(["a", "b"]);
        let mut tracked = tracked(&cluster);
        tracked.report(of_b, &cluster);
        tracked.report(done("a"), &cluster);
        let changed = cluster.nodes(Change::Gone("b".into()));
        tell(&mut tracked, &changed, &cluster);
        assert_eq!(counts(&write(&mut tracked, at(500))), expected);
    }
}

#[test]
fn a_node_that_is_no_longer_selected_counts_only_if_it_has_reported() {
    let rows = [
        (none(), (Phase::Complete, "1/1")),
        (waiting("b"), (Phase::Active, "2/2")),
        (done("b"), (Phase::Complete, "2/2")),
    ];
    for (of_b, expected) in rows {
        let mut cluster = cluster(["a", "b"]);
        let labels = |name: &str, pool: &str| {
            let labels = [("pool".to_owned(), pool.to_owned())].into();
            Change::Applied(Node { name: name.to_owned(), labels, created: at(0) })
        };
        cluster.nodes(labels("a", "x"));
        cluster.nodes(labels("b", "x"));
        let mut in_pool_x = deletion();
        in_pool_x.spec.node_selector = serde_json::from_value(json!({"matchLabels": {"pool": "x"}})).unwrap();
        let mut tracked = Tracked::new(in_pool_x, at(100));
        tracked.report(none(), &cluster);
        tracked.report(of_b, &cluster);
        tracked.report(done("a"), &cluster);
        let changed = cluster.nodes(labels("b", "y"));
        tell(&mut tracked, &changed, &cluster);
        assert_eq!(counts(&write(&mut tracked, at(1_500))), expected);
    }
}

#[test]
fn a_node_whose_agent_starts_while_it_is_under_way_is_waited_for() {
    let mut cluster = cluster(["a", "b"]);
    lose_agent(&mut cluster, "b", -30_000);
    let mut tracked = tracked(&cluster);
    let changed = cluster.agents(Change::Applied(next_agent("b")), at(500));
    tell(&mut tracked, &changed, &cluster);
    tracked.report(done("a"), &cluster);
    let active = written(&mut tracked, at(1_100), "2");
    assert_eq!((counts(&active), active.status.nodes.without_agent), ((Phase::Active, "1/2"), 0));
    tracked.report(done("b"), &cluster);
    assert_eq!(counts(&write(&mut tracked, at(1_200))), (Phase::Complete, "2/2"));
}

/// The nodes and the reports that count, and the nodes without an agent, once `a` has reported and nobody comes to `b` in time.
#[test]
fn a_node_whose_agent_does_not_come_back_is_waited_for_as_long_as_it_was_asked() {
    let rows = [
        ("its agent was being replaced", Some(50), None, (Phase::Complete, "1/1", 1)),
        ("its agent has gone since", None, Some(5_000), (Phase::Active, "1/2", 0)),
    ];
    for (case, before, since, expected) in rows {
        let mut cluster = cluster(["a", "b"]);
        before.into_iter().for_each(|time| lose_agent(&mut cluster, "b", time));
        let mut tracked = tracked(&cluster);
        tracked.report(done("a"), &cluster);
        let first = written(&mut tracked, at(1_100), "2");
        assert_eq!((counts(&first), first.status.nodes.without_agent), ((Phase::Active, "1/2"), 0), "{case}");
        since.into_iter().for_each(|time| lose_agent(&mut cluster, "b", time));
        let changed = cluster.pass(at(50_000));
        assert_eq!(changed, ["b"], "{case}");
        tell(&mut tracked, &changed, &cluster);
        let status = tracked.fold(at(50_000));
        let found = (status.phase, &*status.nodes_reported, status.nodes.without_agent);
        assert_eq!(found, expected, "{case}");
    }
}

/// It had no agent when the deletion was seen, then one, and that one is being replaced.
#[test]
fn a_node_that_was_asked_later_is_not_dropped_while_its_agent_is_replaced() {
    let mut cluster = cluster(["a", "b"]);
    lose_agent(&mut cluster, "b", -30_000);
    let mut tracked = tracked(&cluster);
    tracked.report(done("a"), &cluster);
    let changed = cluster.agents(Change::Applied(next_agent("b")), at(500));
    tell(&mut tracked, &changed, &cluster);
    let changed = cluster.agents(Change::Gone("next-agent-b".into()), at(700));
    tell(&mut tracked, &changed, &cluster);
    assert_eq!(counts(&written(&mut tracked, at(1_100), "2")), (Phase::Active, "1/2"));
    let changed = cluster.pass(at(30_700));
    tell(&mut tracked, &changed, &cluster);
    let last = write(&mut tracked, at(30_700));
    assert_eq!((counts(&last), last.status.nodes.without_agent), ((Phase::Complete, "1/1"), 1));
}

#[test]
fn a_controller_that_starts_later_counts_nodes_as_one_that_was_there() {
    let rows = [
        (None, (Phase::Complete, "1/1")),
        (Some(report("b", Outcome::Conflict, None)), (Phase::Complete, "1/1")),
        (Some(report("b", Outcome::Deleted, Some(1))), (Phase::Complete, "2/2")),
        (Some(report("late", Outcome::Conflict, None)), (Phase::Complete, "1/1")),
        (Some(report("late", Outcome::Deleted, Some(1))), (Phase::Complete, "2/2")),
    ];
    for (of_another, expected) in rows {
        let cluster = cluster(["a"]);
        let mut tracked = Tracked::new(deletion(), at(5_000));
        let reports = of_another.into_iter().chain([report("a", Outcome::Deleted, Some(1))]);
        tracked.report(Change::Listed(all(reports)), &cluster);
        assert_eq!(counts(&write(&mut tracked, at(5_100))), expected);
    }
}

#[test]
fn a_controller_that_starts_later_waits_for_an_agent_that_was_there() {
    let rows = [
        (Some((2, 0)), (Phase::Active, "1/2")),
        // Nobody can say which of the nodes that was.
        (Some((2, 1)), (Phase::Complete, "1/1")),
        // One is selected by labels that it has got since.
        (Some((1, 0)), (Phase::Complete, "1/1")),
        (None, (Phase::Complete, "1/1")),
    ];
    for (nodes, expected) in rows {
        let mut cluster = cluster(["a", "b"]);
        lose_agent(&mut cluster, "b", -30_000);
        let mut left = deletion();
        left.status = nodes.map(|(desired, without_agent)| ImageDeletionStatus {
            observed_generation: Some(1),
            nodes: NodeCounts { desired, without_agent, ..NodeCounts::default() },
            ..ImageDeletionStatus::default()
        });
        let mut tracked = Tracked::new(left, at(5_000));
        tracked.report(Change::Listed(all([report("a", Outcome::Deleted, Some(1))])), &cluster);
        assert_eq!(counts(&write(&mut tracked, at(6_000))), expected, "{nodes:?}");
    }
}

#[test]
fn a_node_that_came_back_counts_only_if_it_has_made_its_final_report() {
    let rows = [(waiting("b"), (Phase::Complete, "1/1")), (done("b"), (Phase::Complete, "2/2"))];
    for (of_b, expected) in rows {
        let mut cluster = cluster(["a", "b"]);
        let mut tracked = tracked(&cluster);
        tracked.report(of_b, &cluster);
        tracked.report(done("a"), &cluster);
        let again = Node { name: "b".into(), labels: BTreeMap::new(), created: at(2_000) };
        let changed = cluster.nodes(Change::Applied(again));
        tell(&mut tracked, &changed, &cluster);
        assert_eq!(counts(&write(&mut tracked, at(2_500))), expected);
    }
}

#[test]
fn a_node_that_joined_later_is_no_part_of_it() {
    let cluster = cluster(["a"]);
    let mut tracked = tracked(&cluster);
    tracked.report(waiting("late"), &cluster);
    tracked.report(done("a"), &cluster);
    assert_eq!(counts(&write(&mut tracked, at(200))), (Phase::Complete, "1/1"));
}

#[test]
fn a_node_that_reports_counts_also_if_no_agent_was_seen_on_it() {
    let mut cluster = cluster(["a", "b"]);
    lose_agent(&mut cluster, "b", -30_000);
    let mut tracked = tracked(&cluster);
    tracked.report(done("b"), &cluster);
    let active = written(&mut tracked, at(1_100), "2");
    assert_eq!((counts(&active), active.status.nodes.without_agent), ((Phase::Active, "1/2"), 0));
    tracked.report(done("a"), &cluster);
    assert_eq!(counts(&write(&mut tracked, at(1_200))), (Phase::Complete, "2/2"));
}

#[test]
fn reports_that_are_gone_count_no_more() {
    let cluster = cluster(["a", "b"]);
    for change in [Change::Gone("a".into()), none()] {
        let mut tracked = tracked(&cluster);
        tracked.report(done("a"), &cluster);
        tracked.report(change, &cluster);
        tracked.report(done("b"), &cluster);
        assert_eq!(counts(&write(&mut tracked, at(1_100))), (Phase::Active, "1/2"));
    }
}

#[test]
fn reports_on_an_earlier_deletion_of_this_name_do_not_count() {
    let cluster = cluster(["a"]);
    let mut tracked = tracked(&cluster);
    let earlier = ImageDeletionReportSpec {
        image_deletion_uid: "other".into(),
        ..report("a", Outcome::Failed, Some(1))
    };
    tracked.report(Change::Applied(earlier.clone()), &cluster);
    tracked.report(Change::Listed(all([earlier])), &cluster);
    assert_eq!(counts(&write(&mut tracked, at(1_100))), (Phase::Pending, "0/1"));
}

#[test]
fn without_a_node_it_is_over_at_once() {
    let mut tracked = tracked(&cluster([]));
    assert_eq!(counts(&write(&mut tracked, at(100))), (Phase::Complete, "0/0"));
}

#[test]
fn another_deadline_counts_from_now_on() {
    let cluster = cluster(["a"]);
    let mut tracked = tracked(&cluster);
    written(&mut tracked, at(1_100), "2");
    let mut longer = tracked.deletion().clone();
    longer.metadata.generation = Some(2);
    longer.spec.active_deadline_seconds = 600;
    tracked.update(longer);
    assert_eq!(tracked.next(), Some(at(2_100)));
    let write = written(&mut tracked, at(2_100), "3");
    assert_eq!((write.status.observed_generation, &*kinds(&write)), (Some(2), &[][..]));
    assert_eq!(tracked.next(), Some(at(605_000)));

    let mut shorter = tracked.deletion().clone();
    shorter.metadata.generation = Some(3);
    shorter.spec.active_deadline_seconds = 1;
    tracked.update(shorter);
    assert!(matches!(tracked.step(at(6_000), 1), Some(Order::Recount(_))));
}

#[test]
fn a_deadline_that_moves_during_the_recount_is_waited_for() {
    let cluster = cluster(["a"]);
    let mut tracked = recounting(&cluster);
    let mut longer = tracked.deletion().clone();
    longer.metadata.generation = Some(2);
    longer.spec.active_deadline_seconds = 600;
    tracked.update(longer);
    tracked.recounted(all([]), &cluster);
    assert_eq!(counts(&written(&mut tracked, at(65_100), "3")), (Phase::Pending, "0/1"));
    assert_eq!(tracked.next(), Some(at(605_000)));
}

#[test]
fn what_is_reported_during_the_recount_counts() {
    let cluster = cluster(["a"]);
    let mut tracked = recounting(&cluster);
    tracked.report(done("a"), &cluster);
    tracked.recounted(all([]), &cluster);
    assert_eq!(counts(&written(&mut tracked, at(65_100), "3")), (Phase::Complete, "1/1"));
}

/// More nodes hold an image than are kept in words, and those that were have let go of it.
fn lacking_words(tracked: &mut Tracked, cluster: &Cluster, names: &[String]) {
    names.iter().for_each(|name| tracked.report(Change::Applied(held(name)), cluster));
    names[..100].iter().for_each(|name| tracked.report(done(name), cluster));
}

fn held(name: &String) -> ImageDeletionReportSpec {
    let mut report = report(name, Outcome::Conflict, None);
    report.results[0].conflicts = vec![Conflict {
        image: "app:v1".into(),
        kind: ConflictKind::RunningContainer,
        forcible: false,
        namespace: None,
        pod: None,
        container: None,
        message: format!("held on {name}"),
    }];
    report
}

/// What a list of all reports has then.
fn listed(names: &[String]) -> Reports {
    let freed = names[..100].iter().map(|name| report(name, Outcome::Deleted, Some(1)));
    all(freed.chain(names[100..].iter().map(held)))
}

fn many() -> [String; 150] {
    std::array::from_fn(|number| format!("node-{number:03}"))
}

#[test]
fn the_nodes_that_still_hold_an_image_are_shown_with_what_holds_it() {
    let names = many();
    let cluster = cluster(names.each_ref().map(String::as_str));
    let mut tracked = tracked(&cluster);
    lacking_words(&mut tracked, &cluster, &names);
    assert!(matches!(tracked.step(at(1_100), 1), Some(Order::Recount(_))));
    tracked.recounted(listed(&names), &cluster);
    let status = write(&mut tracked, at(1_200)).status;
    let shown: Vec<_> = status.node_results.iter().filter(|node| node.outcome == Outcome::Conflict).collect();
    assert_eq!(shown.len(), 50);
    assert!(shown.iter().all(|node| node.conflicts.len() == 1), "{shown:#?}");
}

#[test]
fn nobody_is_given_up_by_a_list_that_was_begun_before() {
    let names = many();
    let cluster = cluster(names.each_ref().map(String::as_str));
    let mut tracked = tracked(&cluster);
    written(&mut tracked, at(1_100), "2");
    lacking_words(&mut tracked, &cluster, &names);
    assert!(matches!(tracked.step(at(64_900), 1), Some(Order::Recount(_))), "it is for the words");
    tracked.recounted(listed(&names), &cluster);
    assert!(matches!(tracked.step(at(65_100), 1), Some(Order::Recount(_))), "it is before the end");
}

#[test]
fn nodes_are_given_up_though_the_time_goes_back() {
    let cluster = cluster(["a"]);
    let mut tracked = recounting(&cluster);
    tracked.recounted(all([]), &cluster);
    assert!(matches!(tracked.step(at(65_000), 1), Some(Order::Write(_))));
    tracked.attempts().failed(at(63_000));
    tracked.unsaid();
    let again = tracked.next().expect("it is tried again");
    assert_eq!(counts(&written(&mut tracked, again, "3")), (Phase::Failed, "0/1"));
}

#[test]
fn a_finished_status_follows_the_generation_and_says_nothing_more() {
    let cluster = cluster(["a"]);
    let mut finished = tracked(&cluster);
    finished.report(done("a"), &cluster);
    let last = write(&mut finished, at(200)).status;
    let mut changed = deletion();
    changed.metadata.generation = Some(2);
    changed.status = Some(last);

    let mut tracked = Tracked::new(changed, at(9_000));
    assert!(!tracked.wants_reports());
    let write = written(&mut tracked, at(9_000), "3");
    assert_eq!((counts(&write), write.notes.len()), ((Phase::Complete, "1/1"), 0));
    assert_eq!((write.status.observed_generation, tracked.next()), (Some(2), None));
}
