//! Small nodes that can be read at a glance.
//!
//! An image is called by a few hex digits: its target is those digits over and over, and its config is `c` and those digits
//! over and over. Names of records are written short (see [`Node::image`]), and so are plans (see [`Node::outcome`]).

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::image::*;

/// A node under construction. All content counts as read beforehand.
#[derive(Debug, Clone, Default)]
pub struct Node {
    pub records: Vec<Record>,
    pub contents: BTreeMap<ImageId, Content>,
    pub containers: Vec<Container>,
    pub pods: Vec<Pod>,
    pub rules: Rules,
}

/// The digits over and over, up to the length of a digest.
pub fn hex(digits: &str) -> String {
    digits.chars().cycle().take(64).collect()
}

pub fn digest(digits: &str) -> Digest {
    format!("sha256:{}", hex(digits)).parse().unwrap()
}

pub fn image(id: &str) -> ImageId {
    ImageId::new(digest(id))
}

/// The config of an image that was not given another.
pub fn config(id: &str) -> Digest {
    digest(&format!("c{id}"))
}

fn diff_ids(layers: &[&str]) -> Vec<Digest> {
    layers.iter().map(|layer| digest(layer)).collect()
}

/// The chain IDs of these layers.
pub fn chains(layers: &[&str]) -> Vec<ChainId> {
    ChainId::of(&diff_ids(layers))
}

/// The chain ID of all these layers.
pub fn chain(layers: &[&str]) -> ChainId {
    chains(layers).pop().unwrap()
}

/// `app:v1` in its canonical form; `app@` with the digest of its image; `=…` is taken as it is.
fn full_name(name: &str, id: &str) -> String {
    match name {
        "identity" => config(id).to_string(),
        "dangling" => dangling_name(&image(id)),
        _ => match name.strip_prefix('=') {
            Some(name) => name.to_owned(),
            None => {
                let name =
                    name.strip_suffix('@').map_or(name.to_owned(), |name| format!("{name}@{}", image(id)));
                Reference::normalize(&name).unwrap().to_string()
            }
        },
    }
}

impl Node {
    /// An image with records of these names: `app:v1`, `app@`, `app:v1@` (references, the last two with the image's
    /// digest), `identity`, `dangling`, or `=any other name`. It has one config with one layer of its own.
    pub fn image(self, id: &str, names: &[&str]) -> Self {
        self.labelled(id, names, &[])
    }

    /// The same with labels on each record.
    pub fn labelled(mut self, id: &str, names: &[&str], labels: &[(&str, &str)]) -> Self {
        let labels: HashMap<_, _> =
            labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        for name in names {
            self.records.push(Record::new(&full_name(name, id), image(id), &labels));
        }
        let own_layer = format!("{id}0");
        match self.contents.contains_key(&image(id)) {
            true => self,
            false => self.layers(id, &[&own_layer]),
        }
    }

    pub fn pinned(self, id: &str, names: &[&str]) -> Self {
        self.labelled(id, names, &[("io.cri-containerd.pinned", "pinned")])
    }

    /// An image that the classic builder has built on `parent`.
    pub fn child(self, parent: &str, id: &str, names: &[&str]) -> Self {
        let parent = image(parent).to_string();
        self.labelled(id, names, &[("org.mobyproject.image.parent", &parent)])
    }

    /// Gives an image these layers.
    pub fn layers(self, id: &str, layers: &[&str]) -> Self {
        let own_config = format!("c{id}");
        self.platforms(id, &[(&own_config, layers)])
    }

    /// Makes an image an index of these configs, each with its layers.
    pub fn platforms(mut self, id: &str, configs: &[(&str, &[&str])]) -> Self {
        let configs =
            configs.iter().map(|(config, layers)| Config { digest: digest(config), chains: chains(layers) });
        self.contents.insert(image(id), Content { configs: configs.collect(), ..Content::default() });
        self
    }

    /// Takes the content of an image away.
    pub fn unreadable(self, id: &str) -> Self {
        self.platforms(id, &[])
    }

    /// Some of the image's content is not there.
    pub fn partial(mut self, id: &str) -> Self {
        self.contents.entry(image(id)).or_default().partial = true;
        self
    }

    /// Something of the image's content is there and can't be read; what was told of it before was.
    pub fn illegible(mut self, id: &str) -> Self {
        let illegible = Illegible { document: digest(id), flaw: Flaw::NotJson };
        self.contents.entry(image(id)).or_default().illegible = Some(illegible);
        self
    }

    pub fn container(mut self, container: Container) -> Self {
        self.containers.push(container);
        self
    }

    /// A pod `namespace/name` that is bound to the node and has not finished.
    pub fn pod(mut self, name: &str, images: &[&str]) -> Self {
        let (namespace, name) = name.split_once('/').unwrap();
        self.pods.push(Pod {
            namespace: namespace.into(),
            name: name.into(),
            images: images.iter().map(|image| (*image).into()).collect(),
        });
        self
    }

    pub fn force(mut self) -> Self {
        self.rules.force = true;
        self
    }

    pub fn prune(mut self) -> Self {
        self.rules.prune = true;
        self
    }

    pub fn protect(mut self, pattern: &str) -> Self {
        self.rules.protect.push(pattern.parse().unwrap());
        self
    }

    /// The snapshot before anything was read.
    pub fn unread(&self) -> Inventory {
        Inventory::new(self.records.clone(), self.containers.clone(), self.pods.clone())
    }

    pub fn inventory(&self) -> Inventory {
        let mut inventory = self.unread();
        for (image, content) in &self.contents {
            inventory.learn(image.clone(), Arc::new(content.clone()));
        }
        inventory
    }

    pub fn request(&self, entries: &[&str]) -> Request {
        Request {
            entries: entries.iter().map(|entry| entry.parse().unwrap()).collect(),
            rules: self.rules.clone(),
        }
    }

    pub fn decide(&self, entries: &[&str]) -> Vec<Decision> {
        decide(&self.inventory(), &self.request(entries)).unwrap()
    }

    pub fn verdict(&self, entry: &str) -> Result<Plan, Refusal> {
        let mut decisions = self.decide(&[entry]);
        assert_eq!(decisions.len(), 1, "{decisions:?}");
        decisions.remove(0).verdict
    }

    /// What is decided for an entry: the refusal's message, or the steps: `-name` a record goes, `+dangling` one is made,
    /// `!id` an image is gone.
    pub fn outcome(&self, entry: &str) -> String {
        self.show(&self.verdict(entry))
    }

    pub fn show(&self, verdict: &Result<Plan, Refusal>) -> String {
        let shown = |step: &Step| match step {
            Step::Keep(_) => "+dangling".to_owned(),
            Step::Remove { record, .. } => format!("-{}", self.short_name(record)),
            Step::Deleted(image) => format!("!{}", short_id(image)),
        };
        match verdict {
            Ok(plan) => plan.steps.iter().map(shown).collect::<Vec<_>>().join(" "),
            Err(refusal) => refusal.to_string(),
        }
    }

    fn short_name(&self, record: &Record) -> String {
        match &record.kind {
            Kind::Dangling => "dangling".to_owned(),
            Kind::Digest(digest)
                if self.contents[&record.target].has_config(digest)
                    || self.contents[&record.target].configs.is_empty() =>
            {
                "identity".to_owned()
            }
            _ => record.familiar().replace(&format!("@{}", record.target), "@"),
        }
    }
}

/// The digits that an image was called by.
fn short_id(image: &ImageId) -> String {
    let hex = image.digest().encoded();
    (1..).map(|length| &hex[..length]).find(|start| self::hex(start) == hex).unwrap().to_owned()
}

/// A container whose ID is those characters over and over.
pub fn container(id: &str, state: State, image: Evidence) -> Container {
    Container { id: hex(id).into(), state, owner: None, image, volumes: Vec::new() }
}

pub fn running(id: &str, image: Evidence) -> Container {
    container(id, State::Running, image)
}

pub fn stopped(id: &str, image: Evidence) -> Container {
    container(id, State::Stopped, image)
}

impl Container {
    /// Makes it a container of the pod `namespace/name`, or its sandbox.
    pub fn of_pod(mut self, pod: &str, container: Option<&str>) -> Self {
        let (namespace, pod) = pod.split_once('/').unwrap();
        self.owner = Some(Owner {
            namespace: namespace.into(),
            pod: pod.into(),
            container: container.map(Into::into),
        });
        self
    }

    /// Mounts an image into it.
    pub fn with_volume(mut self, volume: Evidence) -> Self {
        self.volumes.push(volume);
        self
    }
}

/// The CRI says that it was made of this image.
pub fn by_config(id: &str) -> Evidence {
    Evidence::Config(config(id))
}

pub fn by_chain(layers: &[&str], name: &str) -> Evidence {
    Evidence::Chain { chain: chain(layers), name: name.into() }
}

pub fn by_name(name: &str) -> Evidence {
    Evidence::Name(name.into())
}

/// Checks a table of nodes, entries and outcomes.
pub fn check(rows: impl IntoIterator<Item = (&'static str, Node, String, &'static str)>) {
    for (rule, node, entry, expected) in rows {
        assert_eq!(node.outcome(&entry), expected, "{rule}");
    }
}
