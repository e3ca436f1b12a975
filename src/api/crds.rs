//! The CustomResourceDefinitions, and their YAML as it is in `crds/`.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

use super::deletion::ImageDeletion;
use super::report::ImageDeletionReport;

/// Every CustomResourceDefinition of this project.
pub fn all() -> Vec<CustomResourceDefinition> {
    vec![ImageDeletion::crd(), ImageDeletionReport::crd()]
}
#[test]
fn dump() {
    for c in all() {
        std::fs::write(
            format!("/tmp/{}.json", c.spec.names.kind),
            serde_json::to_string_pretty(&c).unwrap(),
        )
        .unwrap();
        std::fs::write(
            format!("/tmp/{}.yaml", c.spec.names.kind),
            serde_saphyr::to_string(&c).unwrap(),
        )
        .unwrap();
    }
}
