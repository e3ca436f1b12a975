//! What must hold after every fault: between what was on the node, what is there now, and what was reported.

use std::collections::{BTreeMap, BTreeSet};

use secateur::api::result::{ImageResult, Outcome, Record};

use crate::bed::{Digest, Imported};
use crate::machine::Store;
use crate::scenario::{APP, Act, Scenario};

/// One deletion from beginning to end.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) imported: Vec<Imported>,
    pub(crate) before: Store,
    /// Whether the deletion had decided, when others meddled, and goes on with that.
    pub(crate) had_begun: bool,
    pub(crate) after: Store,
    /// The containers at the end.
    pub(crate) containers: Vec<String>,
    pub(crate) results: Vec<ImageResult>,
}

/// What came of an entry, without what may differ from time to time.
type Told = (String, Outcome, BTreeSet<Record>);

impl Run {
    /// Everything that must hold however it ended.
    pub(crate) fn check(&self, scenario: &Scenario) -> Result<(), String> {
        self.is_told_once()?;
        if scenario.is_dry_run() {
            let same = self.after == self.before;
            return if same {
                Ok(())
            } else {
                Err(format!("not there any more: {}", self.before.beyond(&self.after)))
            };
        }
        self.what_was_told_went(scenario)?;
        self.containers_keep_their_images(scenario)?;
        self.nothing_leaks()?;
        self.what_moved_is_left(scenario)
    }

    /// Nothing that differs from a run without a fault.
    pub(crate) fn is_like(&self, clean: &Self) -> Result<(), String> {
        let (told, expected) = (self.told(), clean.told());
        if told != expected {
            return Err(format!("reported {told:?} instead of {expected:?}; {}", self.messages()));
        }
        self.ends_like(clean)
    }

    /// Nothing is on the node that is not there after a run without a fault, and nothing is missing.
    pub(crate) fn ends_like(&self, clean: &Self) -> Result<(), String> {
        if self.after != clean.after {
            return Err(format!(
                "too much is left: {}; too little: {}",
                self.after.beyond(&clean.after),
                clean.after.beyond(&self.after)
            ));
        }
        Ok(())
    }

    /// The bytes that the report counts.
    pub(crate) fn reclaimed(&self) -> u64 {
        self.results.iter().map(|result| result.reclaimed_bytes).sum()
    }

    fn told(&self) -> Vec<Told> {
        let told = |result: &ImageResult| {
            (result.image.clone(), result.outcome, result.records.iter().cloned().collect())
        };
        self.results.iter().map(told).collect()
    }

    fn messages(&self) -> String {
        let messages: Vec<_> = self.results.iter().filter_map(|result| result.message.as_deref()).collect();
        format!("messages {messages:?}")
    }

    fn records(&self) -> impl Iterator<Item = &Record> {
        self.results.iter().flat_map(|result| &result.records)
    }

    fn is_told_once(&self) -> Result<(), String> {
        let mut told = BTreeSet::new();
        match self.records().find(|record| !told.insert(*record)) {
            Some(twice) => Err(format!("told twice: {twice:?}")),
            None => Ok(()),
        }
    }

    /// The names that are no longer what they were, but for those that go without a word.
    fn gone(&self) -> BTreeMap<&str, &Digest> {
        let is_gone = |(name, target): &(&String, &Digest)| self.after.records.get(*name) != Some(target);
        let gone = self.before.records.iter().filter(is_gone);
        gone.map(|(name, target)| (name.as_str(), target)).filter(|(name, _)| is_reference(name)).collect()
    }

    /// Whatever is gone is in the report.
    pub(crate) fn what_went_was_told(&self, scenario: &Scenario) -> Result<(), String> {
        let told: BTreeSet<&Record> = self.records().collect();
        for name in self.gone().into_keys().filter(|name| !scenario.may_touch(name)) {
            if !told.contains(&Record::Untagged(familiar(name))) {
                return Err(format!("{name} is gone, and nobody said so: {told:?}; {}", self.messages()));
            }
        }
        for image in self.lost() {
            if !told.contains(&Record::Deleted(image.target.to_string())) && scenario.act.is_none() {
                return Err(format!(
                    "{} is gone, and nobody said so: {told:?}",
                    image.target.as_ref() as &str
                ));
            }
        }
        Ok(())
    }

    fn what_was_told_went(&self, scenario: &Scenario) -> Result<(), String> {
        for record in self.records() {
            let went = match record {
                Record::Untagged(name) => {
                    let is_it = |there: &&String| familiar(there) == *name;
                    let is_back = self.after.records.keys().any(|there| is_it(&there));
                    !is_back || scenario.may_touch_familiar(name)
                }
                Record::Deleted(image) => {
                    !self.after.content.iter().any(|there| (there.as_ref() as &str) == image)
                }
            };
            if !went {
                return Err(format!("{record:?} was told, and it is there"));
            }
        }
        Ok(())
    }

    /// The images of which nothing is left.
    fn lost(&self) -> impl Iterator<Item = &Imported> {
        self.imported.iter().filter(|image| !self.after.content.contains(&image.target))
    }

    /// The content and the root file system of what a container is made of.
    fn containers_keep_their_images(&self, scenario: &Scenario) -> Result<(), String> {
        let used =
            scenario.containers().filter(|container| self.containers.iter().any(|id| id == container.id));
        for container in used {
            let is_it = |image: &&Imported| image.name == container.image;
            let image = self.imported.iter().find(is_it).expect("a container has an image of the scenario");
            let snapshots: BTreeSet<String> = image.chain_ids().iter().map(ToString::to_string).collect();
            let content: BTreeSet<Digest> = image.content().into_iter().collect();
            // A container that does not run yields to force, and has its root file system still.
            let may_lose_content = scenario.is_forced_by_id() && !container.runs;
            let has_content = may_lose_content || content.is_subset(&self.after.content);
            if !snapshots.is_subset(&self.after.snapshots) || !has_content {
                return Err(format!(
                    "container {} has lost of its image: {:?}",
                    container.id,
                    content.difference(&self.after.content).collect::<Vec<_>>()
                ));
            }
        }
        Ok(())
    }

    /// Every image that has records is whole, and of every other nothing is left.
    fn nothing_leaks(&self) -> Result<(), String> {
        if !self.after.leases.is_empty() {
            return Err(format!("leases are left: {:?}", self.after.leases));
        }
        let named: BTreeSet<&Digest> = self.after.records.values().collect();
        let there = self.imported.iter().filter(|image| named.contains(&image.target));
        let kept: BTreeSet<Digest> = there.flat_map(Imported::content).collect();
        let all: BTreeSet<Digest> = self.imported.iter().flat_map(Imported::content).collect();
        let known: BTreeSet<Digest> = self.before.content.iter().cloned().collect();
        let unknown: Vec<_> = self.after.content.difference(&known).collect();
        if !unknown.is_empty() {
            return Err(format!("content is left that was not there: {unknown:?}"));
        }
        let missing: Vec<_> = kept.difference(&self.after.content).collect();
        if !missing.is_empty() {
            return Err(format!("records are left without their content: {missing:?}"));
        }
        let leaked: Vec<_> =
            self.after.content.intersection(&all).filter(|digest| !kept.contains(*digest)).collect();
        if !leaked.is_empty() {
            return Err(format!("content is left without a record: {leaked:?}"));
        }
        Ok(())
    }

    /// A tag that was moved after it was decided is left alone.
    fn what_moved_is_left(&self, scenario: &Scenario) -> Result<(), String> {
        let Some(Act::Move { name, like }) = scenario.act else { return Ok(()) };
        if self.had_begun && self.after.records.get(name) != self.before.records.get(like) {
            return Err(format!("{name} was moved to {like} meanwhile, and is not there any more"));
        }
        Ok(())
    }
}

impl Scenario {
    /// Whether others change this name.
    fn may_touch(&self, name: &str) -> bool {
        match self.act {
            Some(Act::Move { name: touched, .. } | Act::Untag(touched)) => name == touched,
            _ => false,
        }
    }

    fn may_touch_familiar(&self, name: &str) -> bool {
        self.act.is_some() && familiar(APP) == name
    }
}

/// Whether a name is one that people use: no identity and no dangling record.
fn is_reference(name: &str) -> bool {
    !name.starts_with("sha256:") && !name.starts_with("moby-dangling@")
}

/// How a report calls a name.
fn familiar(name: &str) -> String {
    name.strip_prefix("docker.io/library/")
        .or_else(|| name.strip_prefix("docker.io/"))
        .unwrap_or(name)
        .to_owned()
}
