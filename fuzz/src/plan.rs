//! Plans on arbitrary nodes: what is in use stays, what is guarded stays, and what is planned is what is reported.

mod node;

use std::collections::BTreeSet;
use std::sync::Arc;

use arbitrary::Unstructured;
use secateur::image::{
    Decision, Inventory, Plan, Query, Record, Removal, Request, Rules, Selector, State, Unread, decide,
};

use self::node::Node;

/// Decides whatever the input asks of whatever node it is.
pub fn check(data: &[u8]) {
    let Ok((node, request)) = node::arbitrary(&mut Unstructured::new(data)) else {
        return;
    };
    let before = node.inventory();
    let decisions = decided(&before, &request);
    assert_eq!(decisions, read_as_asked(&node, &request), "what was read when does not matter");
    let mut now = before.clone();
    for plan in plans(&decisions) {
        let after = applied(&now, plan);
        check_plan(&now, plan, &after, &request.rules);
        now = after;
    }
    check_end(now, &request);
}

fn decided(inventory: &Inventory, request: &Request) -> Vec<Decision> {
    decide(inventory, request).expect("everything was read")
}

fn plans(decisions: &[Decision]) -> impl Iterator<Item = &Plan> {
    decisions.iter().filter_map(|decision| decision.verdict.as_ref().ok())
}

fn applied(inventory: &Inventory, plan: &Plan) -> Inventory {
    let mut after = inventory.clone();
    after.apply(plan);
    after
}

/// Decides with nothing read beforehand, and reads what is asked for.
fn read_as_asked(node: &Node, request: &Request) -> Vec<Decision> {
    let mut inventory = node.unread();
    let mut read = BTreeSet::new();
    loop {
        let Unread(contents) = match decide(&inventory, request) {
            Ok(decisions) => return decisions,
            Err(unread) => unread,
        };
        assert!(!contents.is_empty());
        for image in contents {
            assert!(read.insert(image.clone()), "{image} was read before");
            inventory.learn(image.clone(), Arc::new(node.content(&image)));
        }
    }
}

fn check_plan(before: &Inventory, plan: &Plan, after: &Inventory, rules: &Rules) {
    let records = |inventory: &Inventory| -> BTreeSet<Arc<str>> {
        inventory.records().map(|record| Arc::clone(&record.name)).collect()
    };
    let (was, is) = (records(before), records(after));
    let gone: BTreeSet<_> = was.difference(&is).cloned().collect();
    let removed: Vec<_> = plan.removed().map(|record| Arc::clone(&record.name)).collect();
    assert!(!removed.is_empty(), "a plan does something");
    assert_eq!(gone, removed.iter().cloned().collect(), "what is planned is what goes");
    assert_eq!(gone.len(), removed.len(), "each once");

    for image in before.images() {
        let users = before.usage().containers(before, image).expect("everything was read");
        let runs = users.iter().any(|container| container.state == State::Running);
        let is_there = after.has_image(image);
        assert!(is_there || !runs, "{image} is gone under a running container");
        let is_reported = plan.report().contains(&Removal::Deleted(image.clone()));
        assert_eq!(is_reported, !is_there, "{image}");
        let forced_away = rules.force && *image == plan.image;
        if !is_there && !forced_away {
            assert!(users.is_empty(), "{image} was in use");
        }
    }
    let is_guarded = |record: &Record| {
        record.pinned || record.reference().is_some_and(|reference| rules.protection(reference).is_some())
    };
    for record in before.records().filter(|record| is_guarded(record)) {
        assert!(is.contains(&record.name), "{} was to stay", record.name);
    }
}

/// Once nothing more is planned, the same request plans nothing; and a name by itself is done the first time.
fn check_end(mut now: Inventory, request: &Request) {
    let is_plain = |entry: &secateur::image::Entry| matches!(&entry.selector, Selector::One(Query::Name(reference)) if reference.digest().is_none());
    let most = now.records().count() + 1;
    for round in 0..=most {
        let decisions = decided(&now, request);
        if plans(&decisions).next().is_none() {
            return;
        }
        assert!(round < most, "it never ends");
        let is_once = request.entries.len() == 1 && request.entries.iter().all(is_plain);
        assert!(!is_once, "a second time there is something to do: {decisions:?}");
        for plan in plans(&decisions) {
            now.apply(plan);
        }
    }
}
