use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::api::deletion::ImageDeletionSpec;
use crate::api::report::{ImageDeletionReport, ImageDeletionReportSpec};
use crate::api::selector::made;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

fn deletion(name: &str) -> ImageDeletion {
    let mut deletion = ImageDeletion::new(name, ImageDeletionSpec::of(["app:v1"]));
    deletion.spec.ttl_seconds_after_finished = 100;
    deletion.metadata.uid = Some(format!("uid-{name}"));
    deletion.metadata.generation = Some(1);
    deletion.metadata.resource_version = Some("1".into());
    deletion.metadata.creation_timestamp = Some(Time(at(0)));
    deletion
}

fn uid(name: &str) -> Uid {
    Uid::of(&deletion(name))
}

fn open(name: &str) -> Seen {
    Seen::Open(Box::new(deletion(name)))
}

fn begins(name: &str) -> Interest {
    Interest::Begins(Target::of(&deletion(name)))
}

fn report(name: &str) -> ImageDeletionReportSpec {
    ImageDeletionReport::of(&deletion(name), "a", vec![], Time(at(0)), Some(Time(at(0)))).spec
}

/// The reports on this deletion are so many, none or that of the one node.
fn listed(name: &str, reports: usize) -> ReportChange {
    let mut all = Reports::on(uid(name).as_str());
    for report in std::iter::repeat_n(report(name), reports) {
        all.insert(report);
    }
    Change::Listed(all)
}

fn agent() -> AgentPod {
    AgentPod { name: "agent-a".into(), node: Some("a".into()), is_bound: true }
}

/// Knows a cluster of one node with an agent, and no deletions.
fn ledger() -> Ledger {
    let mut ledger = Ledger::default();
    ledger.nodes(Change::Listed(vec![Node { name: "a".into(), labels: BTreeMap::new(), created: at(0) }]));
    ledger.agents(Change::Listed(vec![agent()]), at(0));
    assert!(!ledger.is_known());
    assert_eq!(ledger.deletions(Change::Listed(vec![]), at(0)), []);
    assert!(ledger.is_known());
    ledger
}

#[track_caller]
fn only_write(orders: Vec<Order>) -> StatusWrite {
    match &orders[..] {
        [Order::Write(write)] => (**write).clone(),
        other => panic!("{other:?}"),
    }
}

fn phases(ledger: &Ledger) -> [usize; 4] {
    ledger.phases().into_values().collect::<Vec<_>>().try_into().unwrap()
}

#[test]
fn a_deletion_is_followed_written_settled_and_removed() {
    let mut ledger = ledger();
    assert_eq!(ledger.deletions(Change::Applied(open("one")), at(1)), [begins("one")]);
    assert_eq!((ledger.next(), phases(&ledger)), (None, [1, 0, 0, 0]));
    ledger.reports(&uid("one"), listed("one", 0));
    assert_eq!(ledger.next(), Some(at(2)));
    assert_eq!(ledger.due(at(1)), []);
    ledger.reports(&uid("one"), Change::Applied(report("one")));
    let write = only_write(ledger.due(at(1)));
    assert_eq!(ledger.due(at(9)), []);

    assert_eq!(ledger.written(&write, Some("2".into())), Some(Interest::Ends(uid("one"))));
    assert_eq!((ledger.next(), phases(&ledger)), (Some(at(101)), [0, 0, 1, 0]));
    let removal = ledger.due(at(101));
    assert!(
        matches!(&removal[..], [Order::Remove(target)] if target.resource_version.as_deref() == Some("2"))
    );
    assert_eq!(ledger.deletions(Change::Gone("uid-one".into()), at(102)), [Interest::Ends(uid("one"))]);
    assert_eq!((ledger.next(), phases(&ledger)), (None, [0; 4]));
}

#[test]
fn reports_that_were_listed_before_the_cluster_was_known_count_when_it_is() {
    let mut ledger = Ledger::default();
    ledger.deletions(Change::Listed(vec![open("one")]), at(1));
    ledger.reports(&uid("one"), listed("one", 1));
    ledger.nodes(Change::Listed(vec![]));
    assert_eq!(ledger.next(), None);
    ledger.agents(Change::Listed(vec![]), at(1));
    assert_eq!(only_write(ledger.due(at(1))).status.nodes_reported, "1/1");
}

#[test]
fn a_list_ends_what_is_not_in_it() {
    let mut ledger = ledger();
    ledger.deletions(Change::Listed(vec![open("one"), open("two")]), at(1));
    let mut interests = ledger.deletions(Change::Listed(vec![open("two"), open("three")]), at(2));
    interests.sort_by_key(|interest| matches!(interest, Interest::Begins(_)));
    assert_eq!(interests, [Interest::Ends(uid("one")), begins("three")]);
    assert_eq!(phases(&ledger), [2, 0, 0, 0]);
}

#[test]
fn a_deletion_that_another_controller_has_finished_is_settled() {
    let mut ledger = ledger();
    ledger.deletions(Change::Applied(open("one")), at(1));
    ledger.reports(&uid("one"), listed("one", 1));
    let write = only_write(ledger.due(at(1)));
    let mut finished = deletion("one");
    finished.metadata.resource_version = Some("2".into());
    finished.status = Some(write.status.clone());
    let seen = Seen::Settled(Settled::of(&finished).unwrap());
    assert_eq!(ledger.deletions(Change::Applied(seen), at(1)), [Interest::Ends(uid("one"))]);
    assert_eq!(ledger.written(&write, Some("2".into())), None);
    assert_eq!((ledger.due(at(2)), phases(&ledger)), (vec![], [0, 0, 1, 0]));
}

#[test]
fn what_failed_or_was_abandoned_is_asked_again() {
    let mut ledger = ledger();
    ledger.deletions(Change::Applied(open("one")), at(1));
    ledger.reports(&uid("one"), listed("one", 1));
    let write = only_write(ledger.due(at(1)));
    ledger.failed(&uid("one"), at(1));
    assert_eq!(ledger.due(at(1)), []);
    assert_eq!(only_write(ledger.due(at(2))).notes, write.notes);
    assert_eq!(ledger.due(at(2)), []);
    ledger.abandon();
    assert_eq!(only_write(ledger.due(at(2))).notes, write.notes);

    ledger.written(&write, None);
    assert_eq!(ledger.due(at(101)).len(), 1);
    ledger.abandon();
    assert_eq!(ledger.due(at(101)).len(), 1);
    ledger.failed(&uid("one"), at(101));
    assert_eq!((ledger.due(at(101)).len(), ledger.due(at(102)).len()), (0, 1));
}

#[test]
fn a_node_that_vanishes_ends_what_waits_for_it() {
    let mut ledger = ledger();
    ledger.deletions(Change::Applied(open("one")), at(1));
    ledger.reports(&uid("one"), listed("one", 0));
    ledger.nodes(Change::Gone("a".into()));
    assert_eq!(only_write(ledger.due(at(1))).status.phase, Phase::Complete);
}

#[test]
fn a_selector_is_made_once_however_many_nodes_change() {
    let node = |number: usize| format!("node-{number}");
    let nodes = |zone: &str| -> Vec<Node> {
        let labels: BTreeMap<_, _> = [("zone".to_owned(), zone.to_owned())].into();
        (0..1_000).map(|n| Node { name: node(n), labels: labels.clone(), created: at(0) }).collect()
    };
    let pods = |number: usize| -> Vec<AgentPod> {
        (0..number)
            .map(|n| AgentPod { name: format!("agent-{n}"), node: Some(node(n)), is_bound: true })
            .collect()
    };
    let mut ledger = ledger();
    let before = made();
    ledger.deletions(Change::Applied(open("one")), at(1));
    ledger.reports(&uid("one"), listed("one", 0));
    ledger.nodes(Change::Listed(nodes("x")));
    ledger.nodes(Change::Listed(nodes("y")));
    ledger.agents(Change::Listed(pods(1_000)), at(1));
    assert_eq!(made() - before, 1);
}

/// Between two pods of a node's agent there is none for a while, and a deletion that is applied just then is for that node, too.
#[test]
fn an_agent_that_is_being_replaced_is_waited_for_and_one_that_does_not_come_back_is_not() {
    for comes_back in [true, false] {
        let mut ledger = ledger();
        ledger.agents(Change::Gone("agent-a".into()), at(1));
        ledger.deletions(Change::Applied(open("one")), at(2));
        ledger.reports(&uid("one"), listed("one", 0));
        let write = only_write(ledger.due(at(3)));
        assert_eq!((write.status.phase, write.status.nodes.desired), (Phase::Pending, 1));
        ledger.written(&write, Some("2".into()));
        assert_eq!(ledger.next(), Some(at(31)), "it looks again then");
        if comes_back {
            ledger.agents(Change::Applied(agent()), at(30));
            assert_eq!((ledger.due(at(31)), ledger.next()), (vec![], Some(at(605))));
            ledger.reports(&uid("one"), Change::Applied(report("one")));
        }
        let last = only_write(ledger.due(at(31))).status;
        let expected = if comes_back { (1, 0) } else { (0, 1) };
        assert_eq!(
            (last.phase, (last.nodes.reported, last.nodes.without_agent)),
            (Phase::Complete, expected)
        );
    }
}

/// Who does not lead decides as well who is asked, and may lead next.
#[test]
fn the_time_passes_also_where_nothing_is_carried_out() {
    let mut ledger = ledger();
    ledger.agents(Change::Gone("agent-a".into()), at(1));
    ledger.pass(at(31));
    ledger.deletions(Change::Applied(open("one")), at(32));
    ledger.reports(&uid("one"), listed("one", 0));
    assert_eq!(only_write(ledger.due(at(32))).status.nodes.without_agent, 1);
}

#[test]
fn answers_about_what_is_gone_are_read_over() {
    let mut ledger = ledger();
    ledger.reports(&uid("one"), Change::Applied(report("one")));
    ledger.recounted(&uid("one"), Reports::default());
    ledger.failed(&uid("one"), at(1));
    assert_eq!((ledger.next(), phases(&ledger)), (None, [0; 4]));
}
