//! Pieces of the custom resources' schemas that no derive writes.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

/// A number of things: an `int32` that is never negative.
pub(super) fn count(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "integer", "format": "int32", "minimum": 0})
}

/// A number of bytes: an `int64` that is never negative.
pub(super) fn bytes(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "integer", "format": "int64", "minimum": 0})
}

/// The standard condition list: one entry per type, as server-side apply and `kubectl wait` expect it.
pub(super) fn conditions(generator: &mut SchemaGenerator) -> Schema {
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
    json_schema!({
        "type": "array",
        "items": generator.subschema_for::<Condition>(),
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
    })
}

/// A label selector with the bounds and rules that the API server applies to those of its own kinds, which it does not
/// know in a custom resource.
pub(super) fn node_selector(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "properties": {
            "matchLabels": {
                "description": "Labels that a node must have, with these values.",
                "type": "object",
                "maxProperties": 64,
                "x-kubernetes-validations": [{"rule": format!("self.all(key, {})", is_key("key")), "message": NOT_A_KEY}],
                "additionalProperties": label_value(),
            },
            "matchExpressions": {
                "description": "Requirements that a node's labels must all meet.",
                "type": "array",
                "maxItems": 64,
                "items": {
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": {
                            "description": "The label's key.",
                            "type": "string",
                            "maxLength": 317,
                            "x-kubernetes-validations": [{"rule": is_key("self"), "message": NOT_A_KEY}],
                        },
                        "operator": {
                            "description": "How the label's value relates to `values`.",
                            "type": "string",
                            "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                        },
                        "values": {
                            "description": "The values of In and NotIn; left out with Exists and DoesNotExist.",
                            "type": "array",
                            "maxItems": 64,
                            "items": label_value(),
                        },
                    },
                    "x-kubernetes-validations": [
                        {
                            "rule": "!(self.operator in ['In', 'NotIn']) || (has(self.values) && self.values.size() > 0)",
                            "fieldPath": ".values",
                            "message": "operators In and NotIn need at least one value; write Exists or DoesNotExist to ask only for the key",
                        },
                        {
                            "rule": "!(self.operator in ['Exists', 'DoesNotExist']) || !has(self.values) || self.values.size() == 0",
                            "fieldPath": ".values",
                            "message": "operators Exists and DoesNotExist take no values; write In or NotIn to ask for values",
                        },
                    ],
                },
            },
        },
    })
}

const NOT_A_KEY: &str = "not a label's key: write [prefix/]name such as kubernetes.io/os, a name of at most 63 letters, digits, dashes, \
                         underscores and dots, which begins and ends with a letter or a digit, and a DNS subdomain before it";
const NOT_A_VALUE: &str = "not a label's value: write at most 63 letters, digits, dashes, underscores and dots, a letter or a digit \
                           first and last";

/// The rule of <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set>.
fn is_key(text: &str) -> String {
    let prefix = "[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/";
    let name = "[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?";
    format!("{text}.matches('^({prefix})?{name}$') && size({text}.substring({text}.indexOf('/') + 1)) <= 63")
}

fn label_value() -> Value {
    json!({
        "type": "string",
        "maxLength": 63,
        "x-kubernetes-validations": [{
            "rule": "self.matches('^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$')",
            "message": NOT_A_VALUE,
        }],
    })
}

/// A number of seconds. That it is not negative is for a rule to say, in words of its own.
pub(super) fn seconds(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "integer", "format": "int64"})
}
