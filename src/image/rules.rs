//! What holds for every deletion of a request.

use super::pattern::Pattern;
use super::reference::Reference;

/// How far a deletion may go.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// Soft conflicts do not block.
    pub force: bool,
    /// Dangling parents go after their child.
    pub prune: bool,
    /// Images that no one may delete.
    pub protect: Vec<Pattern>,
}

impl Rules {
    /// The rule that protects what the reference names, if there is one.
    pub fn protection(&self, reference: &Reference) -> Option<Box<str>> {
        self.protect.iter().find(|rule| rule.matches(reference)).map(|rule| rule.to_string().into())
    }
}
