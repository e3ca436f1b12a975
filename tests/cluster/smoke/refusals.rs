//! What the API server refuses, in the words that [`secateur::api::validate`] uses too.

use secateur::api::validate;
use serde_json::{Value, json};

use crate::cluster::Cluster;
use crate::suite::{Test, tests};

pub(crate) fn tests() -> Vec<Test> {
    tests![Shared: an_empty_list_is_refused, sixty_five_images_are_refused, an_uppercase_repository_is_refused,
        a_pattern_that_no_agent_could_read_is_refused, a_label_that_no_node_can_have_is_refused,
        a_label_that_no_object_can_have_is_refused, a_negative_deadline_is_refused, an_unknown_field_is_refused, other_images_are_refused_afterwards,
        what_validates_is_accepted]
}

async fn an_empty_list_is_refused(cluster: &Cluster) {
    assert_refused(cluster, json!({"images": []}), "name at least one image, such as app:v1").await;
}

async fn sixty_five_images_are_refused(cluster: &Cluster) {
    let images: Vec<String> = (0..65).map(|number| format!("app:v{number}")).collect();
    assert_refused(
        cluster,
        json!({"images": images}),
        "spec.images: Too many: 65: must have at most 64 items",
    )
    .await;
}

async fn an_uppercase_repository_is_refused(cluster: &Cluster) {
    assert_refused(cluster, json!({"images": ["ghcr.io/Acme/api:v1"]}), "lowercase").await;
}

async fn a_pattern_that_no_agent_could_read_is_refused(cluster: &Cluster) {
    assert_refused(cluster, json!({"images": ["ghcr.io/acme**"]}), "write it between slashes").await;
    assert_refused(cluster, json!({"images": ["{app:v1,app:v2}"]}), "write an entry for each").await;
}

async fn a_label_that_no_node_can_have_is_refused(cluster: &Cluster) {
    let selecting = |selector: Value| json!({"images": ["app:v1"], "nodeSelector": selector});
    let expression = json!({"matchExpressions": [{"key": "-zone", "operator": "DoesNotExist"}]});
    assert_refused(cluster, selecting(expression), "not a label's key").await;
    let labels = json!({"matchLabels": {"no key": "linux", "kubernetes.io/os": "no value"}});
    assert_refused(cluster, selecting(labels), "not a label's value").await;
}

async fn a_label_that_no_object_can_have_is_refused(cluster: &Cluster) {
    let labelled = |labels: Value, annotations: Value| {
        let metadata = json!({"name": "smoke-refused", "labels": labels, "annotations": annotations});
        let spec = json!({"images": ["app:v1"]});
        json!({"apiVersion": "secateur.dev/v1alpha1", "kind": "ImageDeletion", "metadata": metadata, "spec": spec})
    };
    let long = "a".repeat(64);
    let rows = [
        (json!({"a b": "c d"}), json!({"no key": ""}), "a valid label must be an empty string or consist of"),
        (json!({"Example.com/a": long, &long: ""}), json!({}), "prefix part a lowercase RFC 1123 subdomain"),
        (
            json!({"a/b/c": "", "/": ""}),
            json!({"a": "b".repeat(1 << 18)}),
            "with an optional DNS subdomain prefix",
        ),
    ];
    for (labels, annotations, words) in rows {
        assert_refused_as(cluster, &labelled(labels, annotations).to_string(), words).await;
    }
}

async fn a_negative_deadline_is_refused(cluster: &Cluster) {
    let spec = json!({"images": ["app:v1"], "activeDeadlineSeconds": -1});
    assert_refused(cluster, spec, "write 600 for ten minutes").await;
    let spec = json!({"images": ["app:v1"], "ttlSecondsAfterFinished": -1});
    assert_refused(cluster, spec, "must not be negative").await;
}

async fn an_unknown_field_is_refused(cluster: &Cluster) {
    assert_refused(cluster, json!({"images": ["app:v1"], "dryrun": true}), r#"unknown field "spec.dryrun""#)
        .await;
}

async fn other_images_are_refused_afterwards(cluster: &Cluster) {
    let cluster = cluster.with_definitions().await;
    cluster.apply(&object("smoke-immutable", json!({"images": ["smoke/none:v1"], "dryRun": true})));
    let answer =
        cluster.apply_fails(&object("smoke-immutable", json!({"images": ["smoke/none:v2"], "dryRun": true})));
    let words = "what is deleted is immutable: create another ImageDeletion \
                 (only activeDeadlineSeconds and ttlSecondsAfterFinished may change)";
    assert!(answer.contains("spec.images: Invalid value") && answer.contains(words), "{answer}");
    let longer = json!({"images": ["smoke/none:v1"], "dryRun": true, "activeDeadlineSeconds": 900});
    cluster.apply(&object("smoke-immutable", longer));
}

async fn what_validates_is_accepted(cluster: &Cluster) {
    let cluster = cluster.with_definitions().await;
    let deletion =
        object("smoke-accepted", json!({"images": ["app", "ghcr.io/acme/**:1.2.*", "276aff71fc50"]}));
    assert!(validate::parse(&deletion).is_ok());
    cluster.apply_dry_run(&deletion);
}

/// The API server refuses it in the words of the command line, and they hold what helps a person.
async fn assert_refused(cluster: &Cluster, spec: Value, words: &str) {
    assert_refused_as(cluster, &object("smoke-refused", spec), words).await;
}

async fn assert_refused_as(cluster: &Cluster, deletion: &str, words: &str) {
    let cluster = cluster.with_definitions().await;
    let expected = validate::parse(deletion).unwrap_err().to_string();
    let answer = cluster.apply_fails(deletion);
    assert!(expected.contains(words), "{expected}");
    let missing: Vec<&str> = expected.lines().filter(|line| !answer.contains(line)).collect();
    assert!(missing.is_empty(), "{missing:#?} not in: {answer}");
}

fn object(name: &str, spec: Value) -> String {
    json!({"apiVersion": "secateur.dev/v1alpha1", "kind": "ImageDeletion", "metadata": {"name": name}, "spec": spec})
        .to_string()
}
