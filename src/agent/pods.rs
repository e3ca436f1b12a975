//! Pods of this node, as far as they need images.

use k8s_openapi::api::core::v1::{Pod, PodSpec};

use crate::image::{self, Pattern};

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

/// What protects an image by its name in a pod. A name with a tag and a digest is known on the node by each of them.
pub fn patterns(image: &str) -> Vec<Pattern> {
    let (named, digest) =
        image.split_once('@').map_or((image, None), |(named, digest)| (named, Some(digest)));
    let repository = match named.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        _ => named,
    };
    let by_digest = digest.map(|digest| format!("{repository}@{digest}"));
    let by_tag = (digest.is_none() || named != repository).then(|| named.to_owned());
    by_tag.into_iter().chain(by_digest).filter_map(|pattern| pattern.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_protected_by_its_tag_and_by_its_digest() {
        let digest = format!("sha256:{}", "a1".repeat(32));
        let (with_tag, without) = (format!("host:5000/app:v1@{digest}"), format!("host:5000/app@{digest}"));
        let rows: [(&str, &[&str]); 4] = [
            ("host:5000/app:v1", &["host:5000/app:v1"]),
            ("host:5000/app", &["host:5000/app"]),
            (&with_tag, &["host:5000/app:v1", &without]),
            (&without, &[&without]),
        ];
        for (image, expected) in rows {
            let found: Vec<_> = patterns(image).iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{image}");
        }
    }
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
