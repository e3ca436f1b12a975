//! Pods of this node, as far as they need images.

use k8s_openapi::api::core::v1::{Pod, PodSpec};

use crate::image;

/// What a pod needs; `None` once it has finished, because nothing of it starts any more.
pub fn needs(pod: &Pod) -> Option<image::Pod> {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    if matches!(phase, Some("Succeeded" | "Failed")) {
        return None;
    }
    Some(image::Pod {
        namespace: pod.metadata.namespace.as_deref().unwrap_or_default().into(),
        name: pod.metadata.name.as_deref().unwrap_or_default().into(),
        images: pod.spec.as_ref().map(|spec| images(spec).map(Into::into).collect()).unwrap_or_default(),
    })
}

/// The images of containers of every sort, and of image volumes (KEP-4639), as written.
pub fn images(spec: &PodSpec) -> impl Iterator<Item = &str> {
    let containers = spec.containers.iter().chain(spec.init_containers.iter().flatten());
    let of_containers = containers.filter_map(|container| container.image.as_deref());
    let ephemeral = spec.ephemeral_containers.iter().flatten();
    let volumes = spec.volumes.iter().flatten().filter_map(|volume| volume.image.as_ref());
    of_containers
        .chain(ephemeral.filter_map(|container| container.image.as_deref()))
        .chain(volumes.filter_map(|volume| volume.reference.as_deref()))
        .filter(|image| !image.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn pod(phase: Option<&str>) -> Pod {
        serde_json::from_value(json!({
            "metadata": {"namespace": "shop", "name": "cart"},
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
            let needed = needs(&pod(phase)).unwrap();
            assert_eq!((&*needed.namespace, &*needed.name), ("shop", "cart"));
            assert_eq!(needed.images, ["app:v1", "init:v1", "debug:v1", "model:v1"].map(Box::from));
        }
    }

    #[test]
    fn a_finished_pod_needs_nothing() {
        for phase in ["Succeeded", "Failed"] {
            assert_eq!(needs(&pod(Some(phase))), None);
        }
    }
}
