//! Pods of this node, as far as they need images.

use serde::Deserialize;

use crate::image;

/// A list of them.
#[derive(Debug, Deserialize)]
pub struct Pods {
    /// The pods.
    pub items: Vec<Pod>,
}

/// A pod, as far as it matters here: of all the rest nothing can keep it from being read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Pod {
    /// What it is known by.
    pub metadata: Metadata,
    spec: Spec,
    status: Status,
}

/// What a pod is known by.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Metadata {
    /// Its namespace.
    pub namespace: String,
    /// Its name in that.
    pub name: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Spec {
    containers: Vec<Container>,
    init_containers: Vec<Container>,
    ephemeral_containers: Vec<Container>,
    volumes: Vec<Volume>,
}

#[derive(Debug, Deserialize)]
struct Container {
    image: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Volume {
    image: Option<ImageVolume>,
}

#[derive(Debug, Deserialize)]
struct ImageVolume {
    reference: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    phase: Option<String>,
}

impl Pod {
    /// What it needs; `None` once it has finished, because nothing of it starts any more.
    pub fn needs(&self) -> Option<image::Pod> {
        let has_finished = matches!(self.status.phase.as_deref(), Some("Succeeded" | "Failed"));
        (!has_finished).then(|| image::Pod {
            namespace: self.metadata.namespace.as_str().into(),
            name: self.metadata.name.as_str().into(),
            images: self.images().map(Into::into).collect(),
        })
    }

    /// The images of containers of every sort, and of image volumes (KEP-4639), as written.
    pub fn images(&self) -> impl Iterator<Item = &str> {
        let Spec { containers, init_containers, ephemeral_containers, volumes } = &self.spec;
        let containers = containers.iter().chain(init_containers).chain(ephemeral_containers);
        let volumes = volumes.iter().filter_map(|volume| volume.image.as_ref());
        containers
            .filter_map(|container| container.image.as_deref())
            .chain(volumes.filter_map(|image| image.reference.as_deref()))
            .filter(|image| !image.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use serde_json::json;

    fn pod(phase: Option<&str>) -> Pod {
        serde_json::from_value(json!({
            "metadata": {
                "namespace": "shop", "name": "cart",
                "managedFields": [{"manager": "x", "time": "9999-12-31T23:00:00Z"}],
            },
            "spec": {
                "containers": [{"name": "a", "image": "app:v1"}, {"name": "b"}],
                "initContainers": [{"name": "i", "image": "init:v1"}],
                "ephemeralContainers": [{"name": "e", "image": "debug:v1"}],
                "volumes": [
                    {"name": "v", "image": {"reference": "model:v1"}},
                    {"name": "later", "image": {}},
                    {"name": "w", "emptyDir": {}},
                ],
            },
            "status": {"phase": phase},
        }))
        .unwrap()
    }

    #[test]
    fn an_unfinished_pod_needs_every_image_that_it_names() {
        for phase in [None, Some("Pending"), Some("Running"), Some("Unknown")] {
            let needed = pod(phase).needs().unwrap();
            assert_eq!((&*needed.namespace, &*needed.name), ("shop", "cart"));
            assert_eq!(needed.images, ["app:v1", "init:v1", "debug:v1", "model:v1"].map(Box::from));
        }
    }

    #[test]
    fn a_finished_pod_needs_nothing() {
        for phase in ["Succeeded", "Failed"] {
            assert_eq!(pod(Some(phase)).needs(), None);
        }
    }
}
