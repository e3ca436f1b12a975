//! The CustomResourceDefinitions: those of `crds/`, kept unless that was not wanted.

use secateur::api::crds;
use serde_json::{Value, json};

use crate::helm::Rendered;

const KEEP: &str = "helm.sh/resource-policy";

fn rendered(set: &str) -> Vec<Value> {
    Rendered::with(&["--set", set]).of("CustomResourceDefinition").into_iter().cloned().collect()
}

#[test]
fn they_are_those_of_the_types() {
    let mut definitions = rendered("crds.keep=true");
    for definition in &mut definitions {
        let metadata = definition["metadata"].as_object_mut().unwrap();
        assert_eq!(metadata.remove("annotations"), Some(json!({KEEP: "keep"})));
        assert_eq!(metadata.remove("labels").unwrap()["app.kubernetes.io/instance"], "secateur");
        whole_numbers(definition);
    }
    let mut of_the_types = crds::all().iter().map(|definition| json!(definition)).collect::<Vec<_>>();
    of_the_types.iter_mut().for_each(whole_numbers);
    definitions.sort_by_key(|definition| definition["metadata"]["name"].to_string());
    of_the_types.sort_by_key(|definition| definition["metadata"]["name"].to_string());
    assert_eq!(definitions, of_the_types);
}

/// Helm writes 0 where the types write 0.0; the API server takes one for the other.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => *value = json!(number.as_f64()),
        Value::Array(values) => values.iter_mut().for_each(whole_numbers),
        Value::Object(fields) => fields.values_mut().for_each(whole_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

#[test]
fn they_go_with_the_chart_only_where_that_was_wanted() {
    for definition in rendered("crds.keep=false") {
        assert!(definition["metadata"]["annotations"].is_null());
    }
    assert_eq!(rendered("crds.keep=false").len(), 2);
    assert_eq!(rendered("crds.install=false").len(), 0);
}
