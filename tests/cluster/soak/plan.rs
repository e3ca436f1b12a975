//! What is done to the cluster: a sequence of actions that a seed decides, and nothing that the cluster does.

use serde_json::{Value, json};

use crate::chance::Chance;

/// Images, tags and pods that are remembered, to do something with them.
const REMEMBERED: usize = 10;
/// Pods at one time.
const PODS: usize = 6;

/// Something that is done. Images, tags, pods and deletions are known by their numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// An image is imported on some nodes.
    Import { image: usize, nodes: [bool; 2] },
    /// An image gets one more name, on the nodes that have it.
    Tag { tag: usize, image: usize },
    /// A name is moved to another image.
    Move { tag: usize, image: usize },
    /// A pod of an image is made on a node.
    Start { pod: usize, image: usize, node: usize },
    /// A pod is removed.
    Stop { pod: usize },
    /// The process of a pod's container is killed.
    Restart { pod: usize },
    /// Images are deleted.
    Delete { deletion: usize, entries: Vec<Entry>, manner: Manner },
    /// An agent is killed.
    KillAgent { node: usize },
    /// A containerd is killed, and started again after a while.
    KillContainerd { node: usize, away: u64 },
    /// A replica of the controller is killed, if the node has one.
    KillController { node: usize },
}

/// How an image is named in a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Entry {
    /// By the name that it was imported under.
    Name(usize),
    /// By one more name.
    Tag(usize),
    /// By its repository and digest.
    Digest(usize),
    /// By the beginning of the ID that the CRI shows.
    Id(usize),
    /// By a pattern that matches the name that it was imported under.
    Pattern(usize),
}

/// How images are deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Manner {
    pub(super) force: bool,
    pub(super) dry_run: bool,
    /// It waits for so many seconds.
    pub(super) wait: Option<u64>,
}

impl Manner {
    /// As a part of a deletion's spec.
    pub(super) fn spec(self, images: Vec<String>) -> Value {
        let mut spec = json!({"images": images, "force": self.force, "dryRun": self.dry_run});
        if let Some(seconds) = self.wait {
            spec["onConflict"] = json!("Wait");
            spec["activeDeadlineSeconds"] = json!(seconds);
        }
        spec
    }
}

/// Which daemons are killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Faults {
    /// All sorts.
    All,
    /// Only containerds: what agents and controllers count and hold can be compared then.
    Containerds,
}

/// The sequence, as far as it goes.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    chance: Chance,
    images: usize,
    tags: usize,
    deletions: usize,
    pods: usize,
    running: Vec<usize>,
}

impl Plan {
    /// The sequence of a seed, from its beginning.
    pub(super) fn of(seed: u64) -> Self {
        Self { chance: Chance::of(seed), images: 0, tags: 0, deletions: 0, pods: 0, running: Vec::new() }
    }

    /// How long to wait before the next action, in milliseconds.
    pub(super) fn pause(&mut self) -> u64 {
        20 + self.chance.below(200) as u64
    }

    /// The next action.
    pub(super) fn next(&mut self, faults: Faults) -> Action {
        if self.images < 4 {
            return self.import();
        }
        match self.chance.below(100) {
            0..20 => self.import(),
            20..29 => self.tag(),
            29..35 if self.tags > 0 => {
                Action::Move { tag: self.recent(self.tags), image: self.recent(self.images) }
            }
            35..52 if self.running.len() < PODS => self.start(),
            52..60 if !self.running.is_empty() => {
                let index = self.chance.below(self.running.len());
                Action::Stop { pod: self.running.remove(index) }
            }
            60..67 if !self.running.is_empty() => Action::Restart { pod: *self.chance.one_of(&self.running) },
            67..70 if faults == Faults::All => Action::KillAgent { node: self.chance.below(2) },
            70..72 => {
                Action::KillContainerd { node: self.chance.below(2), away: self.chance.below(1_000) as u64 }
            }
            72..74 if faults == Faults::All => Action::KillController { node: self.chance.below(2) },
            _ => self.delete(),
        }
    }

    fn import(&mut self) -> Action {
        let (image, first) = (self.images, self.chance.below(2));
        self.images += 1;
        let both = self.chance.percent(40);
        Action::Import { image, nodes: [both || first == 0, both || first == 1] }
    }

    fn tag(&mut self) -> Action {
        let tag = self.tags;
        self.tags += 1;
        Action::Tag { tag, image: self.recent(self.images) }
    }

    fn start(&mut self) -> Action {
        let pod = self.pods;
        self.pods += 1;
        self.running.push(pod);
        Action::Start { pod, image: self.recent(self.images), node: self.chance.below(2) }
    }

    fn delete(&mut self) -> Action {
        let deletion = self.deletions;
        self.deletions += 1;
        let entries = (0..1 + self.chance.below(3)).map(|_| self.entry()).collect();
        let manner = Manner {
            force: self.chance.percent(20),
            dry_run: self.chance.percent(10),
            wait: self.chance.percent(20).then_some(4 + self.chance.below(8) as u64),
        };
        Action::Delete { deletion, entries, manner }
    }

    fn entry(&mut self) -> Entry {
        let image = self.recent(self.images);
        match self.chance.below(10) {
            0..4 => Entry::Name(image),
            4..6 if self.tags > 0 => Entry::Tag(self.recent(self.tags)),
            6..7 => Entry::Digest(image),
            7..9 => Entry::Id(image),
            _ => Entry::Pattern(image),
        }
    }

    /// One of the last of so many.
    fn recent(&mut self, count: usize) -> usize {
        let back = self.chance.below(count.min(REMEMBERED));
        count - 1 - back
    }
}
