//! Objects of the API server, read as far as they can be understood.
//!
//! The API server takes times that are none here: `9999-12-31T23:00:00Z`, `2026-01-01T00:00:00+99:99`. Whoever may change an object
//! may write the first into its `managedFields`, and whoever may write a report the second into that. An object that can't be read
//! would end the list or the watch that it comes in, and again each time: so one of these is told apart, and the others go on.

use std::borrow::Cow;
use std::fmt;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time};
use kube::Resource;
use serde::de::{DeserializeOwned, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};
use tracing::warn;

/// An object that was read without an error.
#[derive(Clone, Debug)]
pub enum Lenient<K> {
    /// What it is, without its `managedFields`: who wrote which field matters to nobody here.
    Understood(K),
    /// It is none of this kind.
    Strange {
        /// What it is known by.
        metadata: Box<ObjectMeta>,
        /// Why.
        reason: String,
    },
}

impl<K> Lenient<K> {
    /// The object, if it can be understood. One that can't is mentioned in the log.
    pub fn understood(self) -> Option<K> {
        match self {
            Self::Understood(object) => Some(object),
            Self::Strange { metadata, reason } => {
                let name = metadata.name.unwrap_or_default();
                warn!(name, reason, "an object is not understood, and left out");
                None
            }
        }
    }
}

/// Those that can be understood.
pub fn understood<K>(objects: Vec<Lenient<K>>) -> Vec<K> {
    objects.into_iter().filter_map(Lenient::understood).collect()
}

impl<'de, K: DeserializeOwned> Deserialize<'de> for Lenient<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Document { metadata, mut rest } = Document::deserialize(deserializer)?;
        rest.insert("metadata".to_owned(), Value::Object(metadata));
        let object = Value::Object(rest);
        let metadata = Box::new(identity(&object));
        Ok(match serde_json::from_value(object) {
            Ok(object) => Self::Understood(object),
            Err(reason) => Self::Strange { metadata, reason: reason.to_string() },
        })
    }
}

/// An object of whatever kind.
#[derive(Deserialize)]
struct Document {
    #[serde(default, deserialize_with = "without_managed_fields")]
    metadata: Map<String, Value>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

/// These are passed over and never built: they may be nested as deep as anybody likes.
fn without_managed_fields<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Map<String, Value>, D::Error> {
    struct Metadata;

    impl<'de> Visitor<'de> for Metadata {
        type Value = Map<String, Value>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the metadata of an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
            let mut metadata = Map::new();
            while let Some(key) = fields.next_key::<String>()? {
                if key == "managedFields" {
                    fields.next_value::<IgnoredAny>()?;
                } else {
                    metadata.insert(key, fields.next_value()?);
                }
            }
            Ok(metadata)
        }
    }

    deserializer.deserialize_map(Metadata)
}

fn identity(object: &Value) -> ObjectMeta {
    let field = |key: &str| object.pointer(&format!("/metadata/{key}"));
    let text = |key: &str| field(key).and_then(Value::as_str).map(str::to_owned);
    ObjectMeta {
        creation_timestamp: field("creationTimestamp").and_then(|time| Time::deserialize(time).ok()),
        name: text("name"),
        namespace: text("namespace"),
        uid: text("uid"),
        resource_version: text("resourceVersion"),
        ..ObjectMeta::default()
    }
}

impl<K: Resource> Resource for Lenient<K> {
    type DynamicType = K::DynamicType;
    type Scope = K::Scope;

    fn kind(of: &Self::DynamicType) -> Cow<'_, str> {
        K::kind(of)
    }

    fn group(of: &Self::DynamicType) -> Cow<'_, str> {
        K::group(of)
    }

    fn version(of: &Self::DynamicType) -> Cow<'_, str> {
        K::version(of)
    }

    fn plural(of: &Self::DynamicType) -> Cow<'_, str> {
        K::plural(of)
    }

    fn metadata_api() -> bool {
        K::metadata_api()
    }

    fn meta(&self) -> &ObjectMeta {
        match self {
            Self::Understood(object) => object.meta(),
            Self::Strange { metadata, .. } => metadata,
        }
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        match self {
            Self::Understood(object) => object.meta_mut(),
            Self::Strange { metadata, .. } => metadata,
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::ResourceExt;
    use kube::api::WatchEvent;
    use serde_json::json;

    use super::*;
    use crate::api::deletion::{ImageDeletion, ImageDeletionSpec};

    #[test]
    fn no_time_keeps_an_object_from_being_read() {
        let mut deletion = json!(ImageDeletion::new("drop", ImageDeletionSpec::of(["app:v1"])));
        deletion["metadata"]["resourceVersion"] = json!("7");
        deletion["metadata"]["managedFields"] = json!([{"manager": "x", "time": "9999-12-31T23:00:00Z"}]);
        assert!(serde_json::from_value::<ImageDeletion>(deletion.clone()).is_err(), "it would be no test");
        let read: Lenient<ImageDeletion> = serde_json::from_value(deletion.clone()).unwrap();
        assert_eq!(read.understood().unwrap().name_any(), "drop");

        let deep = format!("{}{{}}{}", "{\"f:x\":".repeat(200), "}".repeat(200));
        let deep = format!(
            r#"{{"metadata": {{"managedFields": [{deep}], "name": "drop"}}, "spec": {{"images": ["a"]}}}}"#
        );
        assert!(serde_json::from_str::<Value>(&deep).is_err(), "it would be no test");
        let event: WatchEvent<Lenient<ImageDeletion>> =
            serde_json::from_str(&format!(r#"{{"type": "ADDED", "object": {deep}}}"#)).unwrap();
        let WatchEvent::Added(read) = event else { panic!("{event:?}") };
        assert_eq!(read.understood().unwrap().name_any(), "drop");

        deletion["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00+99:99");
        let strange: Lenient<ImageDeletion> = serde_json::from_value(deletion).unwrap();
        assert_eq!((strange.name_any(), strange.resource_version().as_deref()), ("drop".into(), Some("7")));
        assert_eq!(strange.creation_timestamp(), None);
        assert!(strange.understood().is_none());

        let strange = json!({"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"}, "spec": 7});
        let strange: Lenient<ImageDeletion> = serde_json::from_value(strange).unwrap();
        let created = strange.creation_timestamp().unwrap();
        assert_eq!(created.0.to_string(), "2026-01-01T00:00:00Z");
        assert!(strange.understood().is_none());
    }
}
