//! Image records: the rows of containerd's image store, and what their names say.

use std::collections::HashMap;
use std::sync::Arc;

use super::digest::{Digest, ImageId};
use super::reference::Reference;

/// What the name of a dangling record starts with; the target's digest follows.
const DANGLING_PREFIX: &str = "moby-dangling@";
/// The label by which the CRI plugin pins an image, and its value.
const PINNED_LABEL: (&str, &str) = ("io.cri-containerd.pinned", "pinned");
/// The label in which the classic builder keeps an image's parent.
pub(crate) const PARENT_LABEL: &str = "org.mobyproject.image.parent";

/// One row of the image store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The unique name.
    pub name: Arc<str>,
    /// What the name is.
    pub kind: Kind,
    /// The image it points at.
    pub target: ImageId,
    /// Whether containerd's pinned label is on it.
    pub pinned: bool,
    /// The parent that the classic builder has written down.
    pub parent: Option<ImageId>,
}

/// What the name of a record is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A canonical repository reference.
    Reference(Reference),
    /// A bare digest. It is a CRI identity record if it is the digest of a config of its target.
    Digest(Digest),
    /// The record that keeps an image without a reference.
    Dangling,
    /// Anything else.
    Unparsable,
}

impl Record {
    /// The record of that name, target and labels.
    pub fn new(name: &str, target: ImageId, labels: &HashMap<String, String>) -> Self {
        Self {
            kind: Kind::of(name, &target),
            pinned: labels.get(PINNED_LABEL.0).is_some_and(|value| value == PINNED_LABEL.1),
            parent: labels.get(PARENT_LABEL).and_then(|parent| parent.parse().ok()),
            name: name.into(),
            target,
        }
    }

    /// The reference that the name is, if it is one.
    pub const fn reference(&self) -> Option<&Reference> {
        match &self.kind {
            Kind::Reference(reference) => Some(reference),
            Kind::Digest(_) | Kind::Dangling | Kind::Unparsable => None,
        }
    }

    /// The name as people type it.
    pub fn familiar(&self) -> String {
        self.reference().map_or_else(|| self.name.to_string(), |reference| reference.familiar().to_string())
    }
}

impl Kind {
    /// Whether such a record makes its image more than a dangling one, going by the name alone.
    pub(super) const fn names(&self) -> bool {
        match self {
            Self::Reference(_) | Self::Unparsable => true,
            Self::Digest(_) | Self::Dangling => false,
        }
    }

    /// The digest that the name is, if it is one.
    pub const fn digest(&self) -> Option<&Digest> {
        match self {
            Self::Digest(digest) => Some(digest),
            Self::Reference(_) | Self::Dangling | Self::Unparsable => None,
        }
    }

    fn of(name: &str, target: &ImageId) -> Self {
        if name == dangling_name(target) {
            return Self::Dangling;
        }
        match name.parse() {
            Ok(digest) => Self::Digest(digest),
            Err(_) => Reference::canonical(name).map_or(Self::Unparsable, Self::Reference),
        }
    }
}

/// The name of the dangling record of an image.
pub fn dangling_name(image: &ImageId) -> String {
    format!("{DANGLING_PREFIX}{image}")
}

/// The image whose dangling record has that name.
pub(super) fn parse_dangling_name(name: &str) -> Option<ImageId> {
    name.strip_prefix(DANGLING_PREFIX).and_then(|digest| digest.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_what_it_looks_like() {
        let digest = format!("sha256:{}", "a1".repeat(32));
        let other = format!("sha256:{}", "b2".repeat(32));
        let target: ImageId = digest.parse().unwrap();
        let reference = |name: &str| Kind::Reference(Reference::canonical(name).unwrap());
        let rows = [
            ("docker.io/library/app:v1".to_owned(), reference("docker.io/library/app:v1")),
            (format!("ghcr.io/a/b@{digest}"), reference(&format!("ghcr.io/a/b@{digest}"))),
            (other.clone(), Kind::Digest(other.parse().unwrap())),
            (format!("moby-dangling@{digest}"), Kind::Dangling),
            (format!("moby-dangling@{other}"), Kind::Unparsable),
            ("app:v1".to_owned(), Kind::Unparsable),
            ("app".to_owned(), Kind::Unparsable),
            ("import-2024-01-01".to_owned(), Kind::Unparsable),
            ("Not a name".to_owned(), Kind::Unparsable),
            (String::new(), Kind::Unparsable),
        ];
        for (name, kind) in rows {
            assert_eq!(Record::new(&name, target.clone(), &HashMap::new()).kind, kind, "{name}");
        }
    }

    #[test]
    fn labels_say_pinned_and_parent() {
        let target: ImageId = format!("sha256:{}", "a1".repeat(32)).parse().unwrap();
        let parent = format!("sha256:{}", "b2".repeat(32));
        let labels = HashMap::from([
            ("io.cri-containerd.pinned".to_owned(), "pinned".to_owned()),
            (PARENT_LABEL.to_owned(), parent.clone()),
        ]);
        let record = Record::new("docker.io/library/app:v1", target.clone(), &labels);
        assert!(record.pinned);
        assert_eq!(record.parent, Some(parent.parse().unwrap()));
        let unpinned = HashMap::from([("io.cri-containerd.pinned".to_owned(), "no".to_owned())]);
        assert!(!Record::new("docker.io/library/app:v1", target, &unpinned).pinned);
    }
}
