//! Which pods of the node have changed, or are gone.

use std::collections::HashSet;

use kube::runtime::watcher::{self, Event};
use kube::{Resource, ResourceExt};

/// So many are told apart: more than a node has.
const TOLD_APART: usize = 1_000;

/// Pods that have changed.
#[derive(Debug, PartialEq)]
pub enum Changed {
    /// These, by namespace and name.
    These(HashSet<(String, String)>),
    /// Any of them may have.
    Any,
}

impl Changed {
    /// None has.
    pub fn none() -> Self {
        Self::These(HashSet::new())
    }

    /// What an event of their watch tells, if anything. What it lists when it begins may be other than it was.
    pub fn by<P: Resource>(event: &Result<Event<P>, watcher::Error>) -> Option<Self> {
        match event {
            Ok(Event::Apply(pod) | Event::Delete(pod)) => {
                Some(Self::These([(pod.namespace().unwrap_or_default(), pod.name_any())].into()))
            }
            Ok(Event::InitDone) => Some(Self::Any),
            Ok(Event::Init | Event::InitApply(_)) | Err(_) => None,
        }
    }

    /// These have changed too.
    pub fn add(&mut self, others: Self) {
        match (&mut *self, others) {
            (Self::These(pods), Self::These(others)) => {
                pods.extend(others);
                if pods.len() > TOLD_APART {
                    *self = Self::Any;
                }
            }
            _ => *self = Self::Any,
        }
    }

    /// Whether this one may have.
    pub fn may_have(&self, namespace: &str, name: &str) -> bool {
        match self {
            Self::These(pods) => pods.contains(&(namespace.to_owned(), name.to_owned())),
            Self::Any => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::core::v1::Pod;

    use super::*;

    fn pod(name: &str) -> Pod {
        let mut pod = Pod::default();
        (pod.metadata.namespace, pod.metadata.name) = (Some("shop".into()), Some(name.into()));
        pod
    }

    #[test]
    fn an_event_tells_of_its_pod_and_the_end_of_a_list_of_any() {
        let rows = [
            (Ok(Event::Apply(pod("cart"))), Some([true, false])),
            (Ok(Event::Delete(pod("cart"))), Some([true, false])),
            (Ok(Event::InitDone), Some([true, true])),
            (Ok(Event::Init), None),
            (Ok(Event::InitApply(pod("cart"))), None),
            (Err(watcher::Error::NoResourceVersion), None),
        ];
        for (event, expected) in rows {
            let changed = Changed::by(&event);
            let told = changed.map(|changed| ["cart", "till"].map(|name| changed.may_have("shop", name)));
            assert_eq!(told, expected, "{event:?}");
        }
    }

    #[test]
    fn more_pods_than_a_node_has_are_any() {
        let mut changed = Changed::none();
        let names = (0..=TOLD_APART).map(|number| format!("pod-{number}"));
        names.for_each(|name| changed.add(Changed::These([("shop".to_owned(), name)].into())));
        assert_eq!(changed, Changed::Any);
        changed.add(Changed::none());
        assert!(changed.may_have("bank", "till"));
    }
}
