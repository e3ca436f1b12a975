//! What is on a node, what is asked of it, and what others do there: a scenario for every branch of the algorithm.

use secateur::api::deletion::ImageDeletion;
use serde_json::{Value, json};

use crate::bed::Image;

/// The name that most scenarios delete.
pub(crate) const APP: &str = "docker.io/library/app:v1";
const OTHER: &str = "docker.io/library/other:v1";

/// A deletion to be created.
pub(crate) fn deletion(name: &str, spec: &Value) -> ImageDeletion {
    let object = json!({
        "apiVersion": "secateur.dev/v1alpha1", "kind": "ImageDeletion", "metadata": {"name": name}, "spec": spec,
    });
    serde_json::from_value(object).expect("it is an ImageDeletion")
}

/// A container that only containerd knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Container {
    pub(crate) id: &'static str,
    /// The record that it is made of.
    pub(crate) image: &'static str,
    pub(crate) runs: bool,
}

/// What somebody else does on the node.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// A new name.
    Tag { name: &'static str, like: &'static str },
    /// The same name for something else.
    Move { name: &'static str, like: &'static str },
    /// A name goes.
    Untag(&'static str),
    /// A container is made.
    Use(Container),
    /// A container goes.
    Free(&'static str),
}

/// One scenario.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// The images that are imported: a name, and what its layers hold, the base first.
    images: &'static [(&'static str, &'static [&'static str])],
    /// The image that has no name of its own, and is named for now.
    pub(crate) dangles: Option<&'static str>,
    /// More names: of what, by the name of another.
    pub(crate) names: Vec<(&'static str, &'static str)>,
    pub(crate) containers: Vec<Container>,
    entries: &'static [&'static str],
    options: Value,
    /// What others do at the time of the fault.
    pub(crate) act: Option<Act>,
    /// What others do once the deletion is held.
    pub(crate) release: Option<Act>,
    /// Whether the agent starts when the deletion is there, so that faults are also at what it does first.
    pub(crate) begins: bool,
}

impl Scenario {
    fn new(name: &'static str, entries: &'static [&'static str]) -> Self {
        Self {
            name,
            images: &[(APP, &["base", "app"])],
            dangles: None,
            names: vec![("docker.io/library/app@TARGET", APP)],
            containers: Vec::new(),
            entries,
            options: json!({}),
            act: None,
            release: None,
            begins: false,
        }
    }

    /// A deletion that finds nothing to do.
    pub(crate) fn nothing() -> Self {
        Self::new("nothing", &["absent:v1"])
    }

    /// Every container that there may be.
    pub(crate) fn containers(&self) -> impl Iterator<Item = Container> {
        let other =
            self.act.and_then(|act| if let Act::Use(container) = act { Some(container) } else { None });
        self.containers.iter().copied().chain(other)
    }

    pub(crate) fn images(&self) -> Vec<Image> {
        let image = |(name, layers): &(&str, &[&str])| {
            let bare = if self.containers.iter().any(|container| container.runs) {
                Image::new(*name)
            } else {
                Image::bare(*name)
            };
            layers.iter().fold(bare.label("name", *name), |image, layer| image.layer(*layer))
        };
        self.images.iter().map(image).collect()
    }

    /// The spec of the deletion; `target` is the digest of the first image.
    pub(crate) fn spec(&self, target: &str) -> Value {
        let entries: Vec<String> = self.entries.iter().map(|entry| entry.replace("TARGET", target)).collect();
        let mut spec = json!({"images": entries});
        let options = self.options.as_object().expect("options are an object").clone();
        spec.as_object_mut().expect("a spec is an object").extend(options);
        spec
    }

    /// Whether the image itself is to go whatever yields.
    pub(crate) fn is_forced_by_id(&self) -> bool {
        self.options["force"] == true && self.entries == ["TARGET"]
    }

    pub(crate) fn is_dry_run(&self) -> bool {
        self.options["dryRun"] == true
    }

    fn with(self, options: Value) -> Self {
        Self { options, ..self }
    }

    fn and(mut self, name: &'static str, like: &'static str) -> Self {
        self.names.push((name, like));
        self
    }

    fn of(self, images: &'static [(&'static str, &'static [&'static str])]) -> Self {
        Self { images, ..self }
    }

    fn used_by(mut self, container: Container) -> Self {
        self.containers.push(container);
        self
    }

    fn while_others(self, act: Act) -> Self {
        Self { act: Some(act), ..self }
    }
}

const STOPPED: Container = Container { id: "stopped", image: APP, runs: false };
const RUNNING: Container = Container { id: "running", image: APP, runs: true };
const TWO: &[(&str, &[&str])] = &[(APP, &["base", "app"]), (OTHER, &["base", "other"])];
const FAMILY: &[(&str, &[&str])] = &[(APP, &["base", "app"]), (OTHER, &["base"])];
const MANY: &[(&str, &[&str])] = &[
    (APP, &["base", "app"]),
    (OTHER, &["base", "other"]),
    ("docker.io/batch/one:v1", &["base", "one"]),
    ("docker.io/batch/two:v1", &["two"]),
];

/// All of them.
pub(crate) fn all() -> Vec<Scenario> {
    let one = |name| Scenario::new(name, &["app:v1"]);
    vec![
        one("an_idle_image"),
        one("one_of_two_tags").and("docker.io/library/app:v2", APP),
        one("one_of_two_repositories").and("ghcr.io/acme/app:v1", APP),
        one("an_image_in_use").used_by(RUNNING),
        one("an_image_in_use_forced").used_by(STOPPED).with(json!({"force": true})),
        one("an_image_of_a_stopped_container").used_by(STOPPED),
        Scenario::new("an_id_of_several_names_forced", &["TARGET"])
            .and("ghcr.io/acme/app:v1", APP)
            .with(json!({"force": true})),
        Scenario::new("an_id_of_a_stopped_container_forced", &["TARGET"])
            .used_by(STOPPED)
            .with(json!({"force": true})),
        Scenario::new("its_digest_reference", &["app@TARGET"]).and("ghcr.io/acme/app:v1", APP),
        Scenario::new("a_pattern_of_which_one_is_held", &["batch/*:v1"])
            .of(MANY)
            .used_by(Container { image: "docker.io/batch/one:v1", ..STOPPED }),
        Scenario::new("several_images", &["app:v1", "absent:v1", "other:v1", "batch/*:v1"]).of(MANY),
        Scenario {
            dangles: Some(OTHER),
            ..one("its_dangling_parent").of(FAMILY).with(json!({"prune": true}))
        },
        Scenario {
            release: Some(Act::Free(STOPPED.id)),
            ..one("one_that_is_waited_for").used_by(STOPPED).with(json!({"onConflict": "Wait"}))
        },
        Scenario { begins: true, ..one("one_that_an_agent_begins_with") },
        Scenario {
            begins: true,
            release: Some(Act::Free(STOPPED.id)),
            ..one("one_that_an_agent_begins_with_and_waits_for")
                .used_by(STOPPED)
                .with(json!({"onConflict": "Wait"}))
        },
        one("a_dry_run").with(json!({"dryRun": true})),
        one("others_move_the_tag").of(TWO).while_others(Act::Move { name: APP, like: OTHER }),
        one("others_tag_it").while_others(Act::Tag { name: "docker.io/library/app:new", like: APP }),
        one("others_untag_it").while_others(Act::Untag(APP)),
        one("others_use_it").while_others(Act::Use(STOPPED)),
    ]
}
