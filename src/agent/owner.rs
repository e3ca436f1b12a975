//! Whose operation a node carries out: what its journal is found by after the agent was killed.

use std::fmt;

use kube::ResourceExt;

use crate::api::deletion::ImageDeletion;

/// The owner of an operation: a deletion's name and UID, written `NAME/UID`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The name of the deletion.
    pub name: String,
    /// Its UID.
    pub uid: String,
}

impl Owner {
    /// The owner of operations for this deletion.
    pub fn of(deletion: &ImageDeletion) -> Self {
        Self { name: deletion.name_any(), uid: deletion.uid().unwrap_or_default() }
    }

    /// The owner that a journal names; `None` for a command line.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, uid) = text.split_once('/')?;
        Some(Self { name: name.to_owned(), uid: uid.to_owned() })
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.name, self.uid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_is_read_as_it_was_written() {
        let owner = Owner { name: "drop-app-v1".into(), uid: "5f2c1f7e-3c55".into() };
        assert_eq!(Owner::parse(&owner.to_string()), Some(owner));
        assert_eq!(Owner::parse(""), None);
    }
}
