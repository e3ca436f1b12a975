//! Objects of the API server, read as far as they can be understood.
//!
//! The API server takes times that are none here: `9999-12-31T23:00:00Z`, `2026-01-01T00:00:00+99:99`. Whoever may change an object
//! may write the first into its `managedFields`, and whoever may write a report the second into that. An object that can't be read
//! would end the list or the watch that it comes in, and again each time: so one of these is told apart, and the others go on.

use std::borrow::Cow;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
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
        let mut object = Value::deserialize(deserializer)?;
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        let metadata = Box::new(identity(&object));
        Ok(match serde_json::from_value(object) {
            Ok(object) => Self::Understood(object),
            Err(reason) => Self::Strange { metadata, reason: reason.to_string() },
        })
    }
}

fn identity(object: &Value) -> ObjectMeta {
    let text =
        |key: &str| object.pointer(&format!("/metadata/{key}")).and_then(Value::as_str).map(str::to_owned);
    ObjectMeta {
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

        deletion["metadata"]["creationTimestamp"] = json!("2026-01-01T00:00:00+99:99");
        let strange: Lenient<ImageDeletion> = serde_json::from_value(deletion).unwrap();
        assert_eq!((strange.name_any(), strange.resource_version().as_deref()), ("drop".into(), Some("7")));
        assert!(strange.understood().is_none());
    }
}
