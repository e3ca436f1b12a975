//! The CustomResourceDefinitions, and their YAML as `crds/` and the chart hold it.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use kube::CustomResourceExt;

use super::deletion::ImageDeletion;
use super::report::ImageDeletionReport;

/// Every CustomResourceDefinition of this project, always in the same order.
pub fn all() -> Vec<CustomResourceDefinition> {
    let mut all = vec![ImageDeletion::crd(), ImageDeletionReport::crd()];
    let versions = all.iter_mut().flat_map(|definition| &mut definition.spec.versions);
    let schemas = versions.filter_map(|version| version.schema.as_mut()?.open_api_v3_schema.as_mut());
    schemas.for_each(count_alternatives);
    all
}

/// Where an object has exactly one of its properties, says so by their number. It means the same as `oneOf`, for which an API server
/// validates each object once for each alternative: thousands of records, in the reports of a large cluster.
fn count_alternatives(schema: &mut JSONSchemaProps) {
    if has_one_of_its_properties(schema) {
        schema.one_of = None;
        (schema.min_properties, schema.max_properties) = (Some(1), Some(1));
    }
    schema.properties.iter_mut().flat_map(|properties| properties.values_mut()).for_each(count_alternatives);
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &mut schema.items {
        count_alternatives(items);
    }
}

fn has_one_of_its_properties(schema: &JSONSchemaProps) -> bool {
    let (Some(alternatives), Some(properties)) = (&schema.one_of, &schema.properties) else { return false };
    let mut required: Vec<_> = alternatives.iter().filter_map(|one| one.required.as_deref()).collect();
    required.sort_unstable();
    required.len() == alternatives.len() && properties.keys().map(std::slice::from_ref).eq(required)
}

/// The name of the file in `crds/` that holds this definition: `imagedeletions.secateur.dev` is in
/// `secateur.dev_imagedeletions.yaml`, as other generators call it.
pub fn file_name(definition: &CustomResourceDefinition) -> String {
    format!("{}_{}.yaml", definition.spec.group, definition.spec.names.plural)
}

/// The definition as a YAML document with its separator. The same definition gives the same bytes.
pub fn to_yaml(definition: &CustomResourceDefinition) -> Result<String, serde_saphyr::SerializeError> {
    let body = serde_saphyr::to_string(definition)?;
    Ok(format!("---\n# Generated from the types in src/api: change those, then run `make crds`.\n{body}"))
}

/// Every definition as one stream of YAML documents, ready for `kubectl apply -f -`.
pub fn all_as_yaml() -> Result<String, serde_saphyr::SerializeError> {
    all().iter().map(to_yaml).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::Path;

    /// Where the definitions are: for those who install them by hand, and in the chart.
    const FOLDERS: [&str; 2] = ["crds", "charts/secateur/files/crds"];

    /// With `UPDATE_CRDS` set (as `make crds` does) the files are written instead.
    #[test]
    fn the_files_in_crds_and_in_the_chart_are_current() {
        let generated: BTreeMap<_, _> =
            all().iter().map(|definition| (file_name(definition), to_yaml(definition).unwrap())).collect();
        for name in FOLDERS {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
            if std::env::var_os("UPDATE_CRDS").is_some() {
                fs::create_dir_all(&folder).unwrap();
                for (file, yaml) in &generated {
                    fs::write(folder.join(file), yaml).unwrap();
                }
            }
            let on_disk = read(&folder);
            assert!(on_disk.keys().eq(generated.keys()), "{name} has other files than are generated");
            for (file, yaml) in &generated {
                assert!(on_disk[file] == *yaml, "{name}/{file} is stale: run `make crds`");
            }
        }
    }

    fn read(folder: &Path) -> BTreeMap<String, String> {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
        entries
            .map(|entry| {
                (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap())
            })
            .collect()
    }

    #[test]
    fn the_stream_has_every_definition() {
        let documents: Vec<Value> = serde_saphyr::from_multiple(&all_as_yaml().unwrap()).unwrap();
        assert_eq!(documents, all().iter().map(|definition| json!(definition)).collect::<Vec<_>>());
    }

    #[test]
    fn the_definitions_say_what_people_type_and_see() {
        let [deletion, report] = [0, 1].map(|index| json!(all()[index]));
        for (definition, kind, short) in
            [(&deletion, "ImageDeletion", "imgdel"), (&report, "ImageDeletionReport", "imgdelrep")]
        {
            let spec = &definition["spec"];
            assert_eq!(spec["group"], crate::api::GROUP);
            assert_eq!(spec["scope"], "Cluster");
            assert_eq!(spec["names"]["kind"], kind);
            assert_eq!(spec["names"]["shortNames"], json!([short]));
            assert_eq!(spec["names"]["categories"], json!(["secateur"]));
            assert_eq!(spec["versions"][0]["name"], crate::api::VERSION);
        }
        assert_eq!(deletion["spec"]["versions"][0]["subresources"], json!({"status": {}}));
        assert_eq!(
            report["spec"]["versions"][0]["selectableFields"],
            json!([{"jsonPath": ".nodeName"}, {"jsonPath": ".imageDeletion"}])
        );
        let columns = |definition: &Value, wide: bool| {
            let columns =
                definition["spec"]["versions"][0]["additionalPrinterColumns"].as_array().unwrap().clone();
            let is_shown = |column: &Value| wide || column["priority"].is_null();
            columns.into_iter().filter(is_shown).map(|column| column["name"].clone()).collect::<Vec<_>>()
        };
        assert_eq!(
            columns(&deletion, false),
            ["Phase", "Nodes", "Deleted", "Conflicted", "Reclaimed", "Age"]
        );
        assert_eq!(columns(&report, false), ["Deletion", "Node", "Outcome", "Age"]);
    }

    #[test]
    fn a_record_is_one_thing_or_the_other() {
        let schema =
            |index: usize| json!(all()[index])["spec"]["versions"][0]["schema"]["openAPIV3Schema"].take();
        let report = schema(1);
        let result = &report["properties"]["results"]["items"]["properties"];
        let record = &result["records"]["items"];
        assert_eq!((&record["minProperties"], &record["maxProperties"]), (&json!(1), &json!(1)));
        assert_eq!(record["properties"].as_object().unwrap().len(), 2);
        assert_eq!(record.get("oneOf"), None);

        let deletion = schema(0);
        let merged = &deletion["properties"]["status"]["properties"]["records"]["items"];
        assert!(merged["oneOf"].is_array(), "it has a number beside: {merged}");
    }

    #[test]
    fn the_schema_has_the_defaults_of_the_types() {
        let schema =
            &json!(all()[0])["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        assert_eq!(schema["required"], json!(["images"]));
        let defaults: serde_json::Map<_, _> = schema["properties"]
            .as_object()
            .unwrap()
            .iter()
            .filter_map(|(name, field)| Some((name.clone(), field.get("default")?.clone())))
            .collect();
        let mut of_the_types = json!(crate::api::deletion::ImageDeletionSpec::of(["app"]));
        of_the_types.as_object_mut().unwrap().remove("images");
        assert_eq!(Value::Object(defaults), of_the_types);
    }
}
