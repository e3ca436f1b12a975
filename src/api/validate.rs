//! Reads an `ImageDeletion` from text and refuses what the API server would refuse, in its words.
//!
//! The checks come from the CustomResourceDefinition itself: its schema, its defaults and its rules. There is no second
//! list of them that could say something else.

mod metadata;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::core::cel::{Validator, apply_defaults};
use kube::{CustomResourceExt, Resource};
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use super::deletion::ImageDeletion;
use super::problem::{Flaw, Problem};
use super::structural;

/// Why a text is not an `ImageDeletion`.
#[derive(Debug, thiserror::Error)]
pub enum InvalidDeletion {
    /// It is neither YAML nor JSON.
    #[error("not valid YAML or JSON: {}", in_one_line(.0))]
    Syntax(#[source] Box<serde_saphyr::Error>),
    /// There is nothing in it.
    #[error("no object in it: write one ImageDeletion")]
    Empty,
    /// It holds several objects. Holds their number.
    #[error("{0} documents in it: write one ImageDeletion, and each further one to a file of its own")]
    SeveralDocuments(usize),
    /// It is another kind of object.
    #[error(
        "not an ImageDeletion (apiVersion: {api_version}, kind: {kind}): write apiVersion: secateur.dev/v1alpha1 and kind: ImageDeletion"
    )]
    WrongKind {
        /// The `apiVersion` it has, or `none`.
        api_version: String,
        /// The `kind` it has, or `none`.
        kind: String,
    },
    /// It has fields that there are not. Holds their paths.
    #[error("strict decoding error: {}", list_unknown(.0))]
    UnknownFields(Vec<String>),
    /// Some of its values are not allowed.
    #[error("{}", one_a_line(.0))]
    NotAllowed(Vec<Problem>),
    /// Its metadata has a value that cannot be read, such as a time.
    #[error("not readable as an ImageDeletion: {0}")]
    Unreadable(#[source] serde_json::Error),
}

fn in_one_line(error: &serde_saphyr::Error) -> String {
    error.without_snippet().render_with_formatter(&serde_saphyr::UserMessageFormatter)
}

fn list_unknown(paths: &[String]) -> String {
    paths.iter().map(|path| format!("unknown field \"{path}\"")).collect::<Vec<_>>().join(", ")
}

fn one_a_line(problems: &[Problem]) -> String {
    problems.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n")
}

/// What the API server says when it found too much wrong to evaluate rules.
const RULES_NOT_CHECKED: &str = "some validation rules were not checked because the object was invalid; \
                                 correct the existing errors to complete validation";

/// What the API server sets in metadata, whatever an object says that is created.
const SET_BY_THE_SERVER: [&str; 7] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "uid",
];

/// Reads one `ImageDeletion` from YAML or JSON, as if it were created in a cluster: unknown fields are refused, defaults
/// filled in, rules checked; its status and what the API server sets in metadata are dropped.
pub fn parse(text: &str) -> Result<ImageDeletion, InvalidDeletion> {
    let object = read_one(text)?;
    expect_kind(&object)?;
    let schema = schema();

    let unknown = structural::unknown_fields(&schema, &object);
    if !unknown.is_empty() {
        return Err(InvalidDeletion::UnknownFields(unknown));
    }
    let object = as_created(&schema, object);
    let problems = check(&schema, &object);
    if !problems.is_empty() {
        return Err(InvalidDeletion::NotAllowed(problems));
    }
    serde_json::from_value(object).map_err(InvalidDeletion::Unreadable)
}

/// What the API server would hold against this deletion if it were created; empty when nothing.
pub fn problems(deletion: &ImageDeletion) -> Result<Vec<Problem>, serde_json::Error> {
    let schema = schema();
    let object = as_created(&schema, serde_json::to_value(deletion)?);
    Ok(check(&schema, &object))
}

fn read_one(text: &str) -> Result<Value, InvalidDeletion> {
    let mut documents: Vec<Value> =
        serde_saphyr::from_multiple(text).map_err(|error| InvalidDeletion::Syntax(Box::new(error)))?;
    documents.retain(|document| !document.is_null());
    match documents.len() {
        1 => documents.pop().ok_or(InvalidDeletion::Empty),
        0 => Err(InvalidDeletion::Empty),
        several => Err(InvalidDeletion::SeveralDocuments(several)),
    }
}

fn expect_kind(object: &Value) -> Result<(), InvalidDeletion> {
    let (api_version, kind) = (object["apiVersion"].as_str(), object["kind"].as_str());
    if api_version == Some(&*ImageDeletion::api_version(&())) && kind == Some(&*ImageDeletion::kind(&())) {
        return Ok(());
    }
    Err(InvalidDeletion::WrongKind {
        api_version: api_version.unwrap_or("none").to_owned(),
        kind: kind.unwrap_or("none").to_owned(),
    })
}

/// The schema of the CustomResourceDefinition, with that of metadata in its place.
pub(super) fn schema() -> Value {
    let definition = ImageDeletion::crd();
    let version = definition.spec.versions.into_iter().next();
    let mut schema =
        json!(version.and_then(|version| version.schema).and_then(|schema| schema.open_api_v3_schema));
    schema["properties"]["apiVersion"] = json!({"type": "string"});
    schema["properties"]["kind"] = json!({"type": "string"});
    schema["properties"]["metadata"] = metadata_schema();
    schema
}

/// The schema of metadata, which a CustomResourceDefinition must leave out.
fn metadata_schema() -> Value {
    let settings = SchemaSettings::openapi3().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<ObjectMeta>().to_value()
}

fn as_created(schema: &Value, mut object: Value) -> Value {
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|name, _| !SET_BY_THE_SERVER.contains(&name.as_str()));
    }
    structural::drop_nulls(schema, &mut object);
    apply_defaults(schema, &object)
}

fn check(schema: &Value, object: &Value) -> Vec<Problem> {
    let mut problems = metadata::problems(&object["metadata"]);
    problems.extend(structural::check(schema, object));
    if problems.iter().any(|problem| problem.flaw.blocks_rules()) {
        let flaw = Flaw::invalid(&Value::Null, RULES_NOT_CHECKED);
        problems.push(Problem { path: "<nil>".to_owned(), flaw });
    } else {
        problems.extend(broken_rules(schema, object));
    }
    problems
}

fn broken_rules(schema: &Value, object: &Value) -> Vec<Problem> {
    let Err(errors) = Validator::new().validate(schema, object, None) else {
        return Vec::new();
    };
    errors
        .into_iter()
        .map(|error| match structural::locate(schema, object, &error.field_path) {
            Some((path, value)) => Problem { path, flaw: Flaw::invalid(value, error.message) },
            None => Problem {
                path: error.field_path,
                flaw: Flaw::Invalid { value: None, message: error.message },
            },
        })
        .collect()
}

#[cfg(test)]
mod tests;
