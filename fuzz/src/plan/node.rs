//! Arbitrary small nodes, dense enough that images share configs, layers, repositories and users.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use arbitrary::{Result, Unstructured};
use secateur::image::{
    ChainId, Config, Container, Content, Digest, Entry, Evidence, Flaw, Illegible, ImageId, Inventory, Owner,
    Pod, Record, Request, Rules, State, dangling_name,
};

/// The digits of what targets, configs and layers there can be: some start alike, and `beef` can be a name.
const TARGETS: [&str; 4] = ["a1", "b2", "beef01", "beef02"];
const CONFIGS: [&str; 4] = ["c1", "c2", "a1", "beef03"];
const LAYERS: [&str; 3] = ["1", "2", "3"];
const NAMES: [&str; 8] = [
    "docker.io/library/app:v1",
    "docker.io/library/app:v2",
    "docker.io/library/beef:latest",
    "x.io/app:v1",
    "x.io/app",
    "odd",
    "odd\n\u{1b}[2J\u{202e}",
    "",
];
const ENTRIES: [&str; 10] =
    ["app:v1", "app:v2", "beef", "odd", "a1a1", "b2b2", "c1c1", "sha256:beef", "beef01", "x.io/app:v1"];
const PATTERNS: [&str; 4] = ["app:v1", "x.io/**", "app:*", "**"];
/// The most of anything that a node has.
const MANY: usize = 8;

/// A node of which everything is known.
#[derive(Debug, Default)]
pub struct Node {
    records: BTreeMap<String, Record>,
    contents: HashMap<ImageId, Content>,
    containers: Vec<Container>,
    pods: Vec<Pod>,
}

impl Node {
    /// Before any content was read.
    pub fn unread(&self) -> Inventory {
        Inventory::new(self.records.values().cloned(), self.containers.clone(), self.pods.clone())
    }

    /// With everything read.
    pub fn inventory(&self) -> Inventory {
        let mut inventory = self.unread();
        for target in TARGETS.map(image) {
            inventory.learn(target.clone(), Arc::new(self.content(&target)));
        }
        inventory
    }

    /// What is there of an image.
    pub fn content(&self, image: &ImageId) -> Content {
        self.contents.get(image).cloned().unwrap_or_default()
    }
}

fn digest(digits: &str) -> Digest {
    let hex: String = digits.chars().cycle().take(64).collect();
    format!("sha256:{hex}").parse().expect("a digest")
}

fn image(digits: &str) -> ImageId {
    ImageId::new(digest(digits))
}

/// A node and what is asked of it.
pub fn arbitrary(input: &mut Unstructured<'_>) -> Result<(Node, Request)> {
    let mut node = Node::default();
    for _ in 0..input.int_in_range(0..=MANY)? {
        let record = record(input)?;
        node.records.insert(record.name.to_string(), record);
    }
    for target in TARGETS {
        node.contents.insert(image(target), content(input)?);
    }
    for number in 0..input.int_in_range(0..=3)? {
        node.containers.push(container(input, number)?);
    }
    for number in 0..input.int_in_range(0..=2)? {
        let images =
            (0..input.int_in_range(0..=2)?).map(|_| Ok(name(input)?.into())).collect::<Result<_>>()?;
        node.pods.push(Pod { namespace: "shop".into(), name: format!("pod-{number}").into(), images });
    }
    let mut rules = Rules { force: input.arbitrary()?, prune: input.arbitrary()?, ..Rules::default() };
    if input.ratio(1, 4)? {
        rules.protect.push(input.choose(&PATTERNS)?.parse().expect("a pattern"));
    }
    let mut entries = Vec::new();
    for _ in 0..input.int_in_range(1..=4)? {
        entries.extend(entry(input)?.parse::<Entry>());
    }
    Ok((node, Request { entries, rules }))
}

fn name(input: &mut Unstructured<'_>) -> Result<String> {
    let target = digest(input.choose(&TARGETS)?);
    Ok(match input.int_in_range(0..=8)? {
        0 => format!("docker.io/library/app@{target}"),
        1 => format!("docker.io/library/app:v1@{target}"),
        2 => format!("x.io/app@{target}"),
        3 => dangling_name(&ImageId::new(target)),
        4 => digest(input.choose(&CONFIGS)?).to_string(),
        _ => (*input.choose(&NAMES)?).to_owned(),
    })
}

/// A dangling record points at its image: nobody makes another, and what keeps an image could not be made beside it.
fn record(input: &mut Unstructured<'_>) -> Result<Record> {
    let name = name(input)?;
    let target = match name.strip_prefix("moby-dangling@") {
        Some(digest) => digest.parse().expect("a digest"),
        None => image(input.choose(&TARGETS)?),
    };
    let mut labels = HashMap::new();
    if input.ratio(1, 4)? {
        labels.insert("org.mobyproject.image.parent".to_owned(), digest(input.choose(&TARGETS)?).to_string());
    }
    if input.ratio(1, 10)? {
        labels.insert("io.cri-containerd.pinned".to_owned(), "pinned".to_owned());
    }
    Ok(Record::new(&name, target, &labels))
}

fn chains(input: &mut Unstructured<'_>) -> Result<Vec<ChainId>> {
    let layers = (0..input.int_in_range(0..=3)?).map(|_| Ok(digest(input.choose(&LAYERS)?)));
    Ok(ChainId::of(&layers.collect::<Result<Vec<_>>>()?))
}

fn content(input: &mut Unstructured<'_>) -> Result<Content> {
    let mut configs = BTreeMap::new();
    for _ in 0..input.int_in_range(0..=2)? {
        configs.insert(digest(input.choose(&CONFIGS)?), chains(input)?);
    }
    let configs = configs.into_iter().map(|(digest, chains)| Config { digest, chains }).collect();
    let illegible = Illegible { document: digest("e5"), flaw: Flaw::NotJson };
    let illegible = input.ratio(1, 8)?.then_some(illegible);
    Ok(Content { configs, partial: input.ratio(1, 8)?, illegible })
}

fn evidence(input: &mut Unstructured<'_>) -> Result<Evidence> {
    Ok(match input.int_in_range(0..=2)? {
        0 => Evidence::Config(digest(input.choose(&CONFIGS)?)),
        1 => match chains(input)?.pop() {
            Some(chain) => Evidence::Chain { chain, name: name(input)?.into() },
            None => Evidence::Name(name(input)?.into()),
        },
        _ => Evidence::Name(name(input)?.into()),
    })
}

fn container(input: &mut Unstructured<'_>, number: usize) -> Result<Container> {
    let owner = Owner {
        namespace: "shop".into(),
        pod: format!("pod-{}", input.int_in_range(0..=1)?).into(),
        container: input.arbitrary::<bool>()?.then(|| "main".into()),
    };
    let volumes = if input.ratio(1, 4)? { vec![evidence(input)?] } else { Vec::new() };
    Ok(Container {
        id: format!("{number:064}").into(),
        state: *input.choose(&[State::Running, State::Stopped])?,
        owner: input.arbitrary::<bool>()?.then_some(owner),
        image: evidence(input)?,
        volumes,
    })
}

fn entry(input: &mut Unstructured<'_>) -> Result<String> {
    Ok(match input.int_in_range(0..=9)? {
        0 => (*input.choose(&PATTERNS)?).to_owned(),
        1 => digest(input.choose(&TARGETS)?).to_string(),
        2 => digest(input.choose(&CONFIGS)?).to_string(),
        3..=5 => (*input.choose(&ENTRIES)?).to_owned(),
        _ => name(input)?,
    })
}
