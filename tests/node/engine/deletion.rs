//! Deletions as their callers ask for them, with the checks that hold for every one.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use secateur::image::{Entry, Pod, Removal, Request, Rules};
use secateur::node::{self, Done, EntryResult, Needs, Operation, Outcome, Progress, Watch};
use tokio_util::sync::CancellationToken;

use super::agreement::assert_agreement;
use crate::bed::{Digest, Disk, Imported, Node};

/// What is asked for; by default as `secateur delete` asks.
#[derive(Clone)]
pub(super) struct Deletion {
    operation: Operation,
    namespace: &'static str,
}

/// What came of a deletion.
pub(super) struct Ran {
    pub results: Vec<EntryResult>,
    /// The names of the records that are gone.
    pub gone: BTreeSet<String>,
    /// The names of the records that are new.
    pub made: BTreeSet<String>,
    /// The digests and chain IDs of what left the disk.
    pub freed: BTreeSet<String>,
}

/// What can be compared before and after.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Store {
    records: BTreeMap<String, Digest>,
    disk: Disk,
}

impl Deletion {
    pub(super) fn of(entries: &[&str]) -> Self {
        let entries = entries.iter().map(|text| text.parse::<Entry>().unwrap());
        let request =
            Request { entries: entries.collect(), rules: Rules { prune: true, ..Rules::default() } };
        Self { operation: Operation { request, ..Operation::default() }, namespace: "k8s.io" }
    }

    pub(super) fn forced(mut self) -> Self {
        self.operation.request.rules.force = true;
        self
    }

    pub(super) fn without_pruning(mut self) -> Self {
        self.operation.request.rules.prune = false;
        self
    }

    pub(super) fn protecting(mut self, pattern: &str) -> Self {
        self.operation.request.rules.protect.push(pattern.parse().unwrap());
        self
    }

    pub(super) fn needed_by(mut self, pod: Pod) -> Self {
        self.operation.pods.push(pod);
        self
    }

    /// Its pods were listed just now.
    pub(super) async fn listed_now(mut self, node: &Node) -> Self {
        self.operation.sandboxes = self.engine(node).await.sandboxes().await.unwrap();
        self
    }

    pub(super) fn in_namespace(mut self, namespace: &'static str) -> Self {
        self.namespace = namespace;
        self
    }

    /// Carries it out and nothing else. The results are not acknowledged.
    pub(super) async fn carry_out(&self, node: &Node) -> (node::Node, Done) {
        let (engine, done) = self.carry_out_as(node, &self.operation.pods).await;
        (engine, done.unwrap())
    }

    /// The same, where somebody else says which pods need images once the records are gone.
    pub(super) async fn carry_out_as(
        &self,
        node: &Node,
        needs: &dyn Needs,
    ) -> (node::Node, Result<Done, node::Error>) {
        let engine = self.engine(node).await;
        let watch = Watch { cancel: CancellationToken::new(), progress: &|_: Progress| {}, needs };
        let done = async {
            let turn = engine.turn(&watch.cancel).await?;
            engine.delete(turn, &self.operation, &watch).await
        };
        let done = done.await;
        (engine, done)
    }

    pub(super) async fn dry_run(&self, node: &Node) -> Vec<EntryResult> {
        self.dry_run_by(&self.engine(node).await).await
    }

    /// Says what it would do, by an engine that may know something of the node already.
    pub(super) async fn dry_run_by(&self, engine: &node::Node) -> Vec<EntryResult> {
        engine.dry_run(&self.operation).await.unwrap()
    }

    pub(super) async fn engine(&self, node: &Node) -> node::Node {
        node::Node::connect(&node.socket(), self.namespace).await.unwrap()
    }

    /// Carries it out on a node that nothing else works on, and checks what must be so of every deletion: a dry run changes
    /// nothing and says the same, the reclaimed bytes are those that left the disk, nothing of ours is left, and the CRI
    /// agrees with the store.
    pub(super) async fn run(&self, node: &Node) -> Ran {
        let before = Store::of(node).await;
        let foretold = self.dry_run(node).await;
        assert_eq!(Store::of(node).await, before, "a dry run changes nothing");

        let (engine, done) = self.carry_out(node).await;
        assert_eq!(done.recovered, []);
        let results = done.results.clone();
        let after = Store::of(node).await.without(&journals(node).await);
        engine.acknowledge(done).await.unwrap();
        assert_eq!(leases(node).await, BTreeMap::new());
        node.collect_garbage().await;
        assert_eq!(Store::of(node).await, after, "nothing was left to collect but the journal");

        let bytes: u64 = results.iter().map(|result| result.reclaimed_bytes).sum();
        assert_eq!(bytes, before.disk.bytes() - after.disk.bytes(), "{results:#?}");
        let unmeasured = |result: &EntryResult| EntryResult { reclaimed_bytes: 0, ..result.clone() };
        assert_eq!(foretold, results.iter().map(unmeasured).collect::<Vec<_>>());
        if node.sandbox_image().is_some() {
            assert_agreement(node).await;
        }
        Ran {
            gone: difference(before.records.keys(), after.records.keys()),
            made: difference(after.records.keys(), before.records.keys()),
            freed: difference(before.disk.keys(), after.disk.keys()),
            results,
        }
    }
}

impl Ran {
    /// What became of the only entry.
    pub(super) fn outcome(&self) -> Outcome {
        self.only().outcome
    }

    /// What the report of the only entry says.
    pub(super) fn removals(&self) -> &[Removal] {
        &self.only().removals
    }

    /// What was said about the only entry.
    pub(super) fn messages(&self) -> &[String] {
        &self.only().messages
    }

    fn only(&self) -> &EntryResult {
        let [result] = &self.results[..] else { panic!("one entry: {:#?}", self.results) };
        result
    }

    /// Nothing was done, and this was said.
    pub(super) fn assert_refused(&self, outcome: Outcome, messages: &[String]) {
        assert_eq!((self.outcome(), self.messages()), (outcome, messages));
        assert_eq!(self.removals(), []);
        self.assert_untouched();
    }

    /// Nothing changed on the node.
    pub(super) fn assert_untouched(&self) {
        let changed: Vec<_> = self.gone.iter().chain(&self.made).chain(&self.freed).collect();
        assert_eq!(changed, Vec::<&String>::new());
    }
}

impl Store {
    async fn of(node: &Node) -> Self {
        let records = node.records().await.into_iter();
        Self {
            records: records.map(|(name, record)| (name, record.target)).collect(),
            disk: node.disk().await,
        }
    }

    fn without(mut self, content: &[Digest]) -> Self {
        self.disk.content.retain(|digest, _| !content.contains(digest));
        self
    }
}

/// Our leases. The CRI has some too, one for each sandbox.
pub(super) async fn leases(node: &Node) -> BTreeMap<String, HashMap<String, String>> {
    let mut leases = node.leases().await;
    leases.retain(|id, _| id.starts_with("secateur-"));
    leases
}

/// The blobs that the leases of operations name as their journals; one that is in labels is no blob.
async fn journals(node: &Node) -> Vec<Digest> {
    let leases = leases(node).await;
    let journals = leases.values().filter_map(|labels| labels.get("secateur.dev/journal"));
    let blobs = journals.filter(|journal| journal.starts_with("sha256:"));
    blobs.map(|digest| Digest::from(digest.clone())).collect()
}

/// What the report says of a name.
pub(super) fn untagged(name: &str) -> Removal {
    Removal::Untagged(name.to_owned())
}

/// What the report says of an image.
pub(super) fn deleted(image: &Imported) -> Removal {
    Removal::Deleted(image.target.parse().unwrap())
}

/// A set of names, to compare with.
pub(super) fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

/// All that these images have on the disk and these others have not.
pub(super) fn belongings<'a>(
    images: impl IntoIterator<Item = &'a Imported>,
    others: impl IntoIterator<Item = &'a Imported>,
) -> BTreeSet<String> {
    let of = |images: &mut dyn Iterator<Item = &'a Imported>| -> BTreeSet<String> {
        images
            .flat_map(|image| {
                let chains = image.host.iter().flat_map(|host| host.chain_ids());
                image.content().into_iter().chain(chains)
            })
            .map(|digest| digest.to_string())
            .collect()
    };
    let others = of(&mut others.into_iter());
    &of(&mut images.into_iter()) - &others
}

fn difference(
    these: impl Iterator<Item = impl ToString>,
    those: impl Iterator<Item = impl ToString>,
) -> BTreeSet<String> {
    let set = |items: &mut dyn Iterator<Item = String>| items.collect::<BTreeSet<_>>();
    &set(&mut these.map(|item| item.to_string())) - &set(&mut those.map(|item| item.to_string()))
}
