//! Arbitrary small nodes, dense enough that images share configs, layers, repositories and users.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use super::fixture::*;
use crate::image::*;

/// A node and what is asked of it.
#[derive(Debug, Clone)]
pub struct Case {
    pub node: Node,
    pub entries: Vec<String>,
}

impl Case {
    pub fn request(&self) -> Request {
        let entries: Vec<_> = self.entries.iter().map(String::as_str).collect();
        self.node.request(&entries)
    }

    /// The same with its first entry alone.
    pub fn first(mut self) -> Self {
        self.entries.truncate(1);
        self
    }
}

/// The IDs that images can have: `beef` starts two of them, and `beef` can be a name.
const IDS: [&str; 4] = ["a1", "b2", "beef01", "beef02"];
const CONFIGS: [&str; 4] = ["c1", "c2", "c3", "beef03"];
const STACKS: [&[&str]; 6] = [&[], &["1"], &["1", "2"], &["1", "2", "3"], &["2"], &["2", "3"]];
const NAMES: [&str; 7] = [
    "docker.io/library/app:v1",
    "docker.io/library/app:v2",
    "docker.io/library/beef:latest",
    "x.io/app:v1",
    "x.io/app",
    "odd",
    "odd too",
];
const PATTERNS: [&str; 4] = ["app:v1", "x.io/**", "app:*", "**"];

/// The name of a record: one of a few, or made with a digest.
fn name() -> impl Strategy<Value = String> {
    let id = || select(&IDS[..]).prop_map(digest);
    prop_oneof![
        5 => select(&NAMES[..]).prop_map(str::to_owned),
        1 => id().prop_map(|id| format!("docker.io/library/app@{id}")),
        1 => id().prop_map(|id| format!("docker.io/library/app:v1@{id}")),
        1 => id().prop_map(|id| format!("x.io/app@{id}")),
        2 => id().prop_map(|id| dangling_name(&ImageId::new(id))),
        3 => select(&CONFIGS[..]).prop_map(|config| digest(config).to_string()),
    ]
}

/// What a person may write: the names, shorter forms, IDs, configs, prefixes and patterns.
fn entry() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => name().prop_filter("a query", |name| name.parse::<Entry>().is_ok()),
        1 => select(&["app:v1", "beef", "odd", "a1a1", "b2b2", "c1c1", "sha256:beef", "beef01"][..])
            .prop_map(str::to_owned),
        1 => select(&IDS[..]).prop_map(|id| digest(id).to_string()),
        1 => select(&PATTERNS[..]).prop_map(str::to_owned),
    ]
}

fn content() -> impl Strategy<Value = Content> {
    let config =
        (select(&CONFIGS[..]), select(&STACKS[..])).prop_map(|(config, layers)| (digest(config), layers));
    (vec(config, 0..3), prop::bool::weighted(0.1)).prop_map(|(configs, is_illegible)| {
        let configs: BTreeMap<_, _> = configs.into_iter().collect();
        let configs = configs.into_iter().map(|(digest, layers)| Config { digest, chains: chains(layers) });
        let illegible = is_illegible.then(|| Illegible { document: digest("e5"), flaw: Flaw::NotJson });
        Content { configs: configs.collect(), illegible, ..Content::default() }
    })
}

/// A record of one of the images; one with the digest of an image in its name mostly points at that image, and a dangling
/// record always does: nobody makes another, and what keeps an image could not be made beside it.
fn record() -> impl Strategy<Value = Record> {
    let parent = prop_oneof![3 => Just(None), 1 => select(&["a1", "b2", "beef01", "e5"][..]).prop_map(Some)];
    let own = prop::bool::weighted(0.9);
    (name(), select(&IDS[..]), parent, prop::bool::weighted(0.1), own).prop_map(
        |(name, id, parent, pinned, own)| {
            let target = name
                .split_once('@')
                .filter(|(start, _)| own || *start == "moby-dangling")
                .map_or(image(id), |(_, digest)| digest.parse().unwrap());
            let mut labels = std::collections::HashMap::new();
            if let Some(parent) = parent {
                labels.insert("org.mobyproject.image.parent".to_owned(), digest(parent).to_string());
            }
            if pinned {
                labels.insert("io.cri-containerd.pinned".to_owned(), "pinned".to_owned());
            }
            Record::new(&name, target, &labels)
        },
    )
}

fn evidence() -> impl Strategy<Value = Evidence> {
    prop_oneof![
        select(&CONFIGS[..]).prop_map(|config| Evidence::Config(digest(config))),
        (select(&STACKS[1..]), name()).prop_map(|(layers, name)| by_chain(layers, &name)),
        name().prop_map(|name| by_name(&name)),
    ]
}

fn a_container() -> impl Strategy<Value = Container> {
    let state = select(&[State::Running, State::Stopped][..]);
    let owner = select(&[None, Some(None), Some(Some("main"))][..]);
    (state, evidence(), vec(evidence(), 0..2), owner).prop_map(|(state, evidence, volumes, owner)| {
        let mut made = container("0", state, evidence);
        made.volumes = volumes;
        match owner {
            Some(name) => made.of_pod("shop/cart", name),
            None => made,
        }
    })
}

/// Arbitrary nodes and requests.
pub fn case() -> impl Strategy<Value = Case> {
    let contents = vec(content(), IDS.len());
    let pods = vec(vec(name(), 0..3), 0..2);
    let rules = (any::<bool>(), any::<bool>(), subsequence(&PATTERNS[..2], 0..=1), prop::bool::weighted(0.3));
    (vec(record(), 0..10), contents, vec(a_container(), 0..3), pods, rules, vec(entry(), 1..4)).prop_map(
        |(records, contents, containers, pods, (force, prune, protect, protects), entries)| {
            let mut node =
                Node { contents: IDS.into_iter().map(image).zip(contents).collect(), ..Node::default() };
            let by_name: BTreeMap<_, _> =
                records.into_iter().map(|record| (record.name.clone(), record)).collect();
            node.records = by_name.into_values().collect();
            for (number, container) in containers.into_iter().enumerate() {
                let id = hex(&number.to_string()).into();
                node.containers.push(Container { id, ..container });
            }
            for (number, images) in pods.into_iter().enumerate() {
                let pod = ["shop/cart", "shop/web"][number];
                node = node.pod(pod, &images.iter().map(String::as_str).collect::<Vec<_>>());
            }
            node.rules.force = force;
            node.rules.prune = prune;
            for pattern in protect.into_iter().filter(|_| protects) {
                node = node.protect(pattern);
            }
            Case { node, entries }
        },
    )
}

/// The same node, with everything listed in another order.
pub fn shuffled(node: &Node, order: &[Index]) -> Node {
    let mut node = node.clone();
    shuffle(&mut node.records, order);
    shuffle(&mut node.containers, order);
    shuffle(&mut node.pods, order);
    node
}

fn shuffle<T>(list: &mut [T], order: &[Index]) {
    if list.is_empty() {
        return;
    }
    for (place, index) in order.iter().enumerate() {
        let length = list.len();
        list.swap(place % length, index.index(length));
    }
}
