//! Which nodes a deletion selects, by their labels. Agents and the controller ask here, so that they agree.

use std::collections::BTreeMap;

use kube::core::{Selector, SelectorExt};

use super::deletion::ImageDeletionSpec;

/// A deletion's `nodeSelector`, ready to be held against nodes.
#[derive(Clone, Debug)]
pub struct NodeSelector(Option<Selector>);

impl NodeSelector {
    /// The nodes that this deletion asks for. One without a `nodeSelector` asks for every node. A `nodeSelector` that is
    /// none, which the API server refuses, selects no node: the wrong images on too few nodes are better than on too many.
    pub fn of(spec: &ImageDeletionSpec) -> Self {
        #[cfg(test)]
        MADE.with(|made| made.set(made.get() + 1));
        Self(spec.node_selector.clone().unwrap_or_default().try_into().ok())
    }

    /// Whether a node with these labels is selected.
    pub fn selects(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.as_ref().is_some_and(|selector| selector.matches(labels))
    }
}

#[cfg(test)]
thread_local! {
    static MADE: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

/// How many this thread has made. Each costs a copy of the spec's.
#[cfg(test)]
pub(crate) fn made() -> usize {
    MADE.with(std::cell::Cell::get)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn selects(selector: Value, labels: &[(&str, &str)]) -> bool {
        let mut spec = ImageDeletionSpec::of(["app:v1"]);
        spec.node_selector = serde_json::from_value(selector).unwrap();
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        NodeSelector::of(&spec).selects(&labels)
    }

    /// The rules of <https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors>.
    #[test]
    fn a_node_meets_every_requirement_or_is_not_selected() {
        let expression = |key, operator, values: Value| json!({"matchExpressions": [{"key": key, "operator": operator, "values": values}]});
        let zone_a: &[_] = &[("zone", "a"), ("gpu", "")];
        let rows = [
            (Value::Null, zone_a, true),
            (json!({}), zone_a, true),
            (json!({"matchLabels": {"zone": "a"}}), zone_a, true),
            (json!({"matchLabels": {"zone": "b"}}), zone_a, false),
            (json!({"matchLabels": {"zone": "a", "disk": "ssd"}}), zone_a, false),
            (json!({"matchLabels": {"zone": ""}}), &[], false),
            (expression("zone", "In", json!(["a", "b"])), zone_a, true),
            (expression("zone", "In", json!(["b"])), zone_a, false),
            (expression("disk", "In", json!(["ssd"])), zone_a, false),
            (expression("zone", "NotIn", json!(["b"])), zone_a, true),
            (expression("zone", "NotIn", json!(["a"])), zone_a, false),
            (expression("disk", "NotIn", json!(["ssd"])), zone_a, true),
            (expression("gpu", "Exists", Value::Null), zone_a, true),
            (expression("disk", "Exists", Value::Null), zone_a, false),
            (expression("disk", "DoesNotExist", Value::Null), zone_a, true),
            (expression("gpu", "DoesNotExist", Value::Null), zone_a, false),
            (
                json!({
                    "matchLabels": {"zone": "a"},
                    "matchExpressions": [{"key": "gpu", "operator": "DoesNotExist"}],
                }),
                zone_a,
                false,
            ),
            (expression("zone", "Near", json!(["a"])), zone_a, false),
            (expression("zone", "In", Value::Null), zone_a, false),
        ];
        for (selector, labels, expected) in rows {
            assert_eq!(selects(selector.clone(), labels), expected, "{selector} {labels:?}");
        }
    }
}
