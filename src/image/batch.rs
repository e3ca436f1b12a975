//! Many images in one operation: each entry is decided on what the entries before it leave.

use std::sync::Arc;

use super::inventory::Inventory;
use super::pattern::{InvalidPattern, Pattern};
use super::plan::{Plan, Refusal, Step};
use super::planner::{NoPlan, plan};
use super::query::Query;
use super::reference::{InvalidReference, Reference};
use super::rules::Rules;
use super::unread::Unread;

/// What a person asks for.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The images, in order.
    pub entries: Vec<Entry>,
    /// What holds for all of them.
    pub rules: Rules,
}

/// One image or one pattern, as written.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The text.
    pub text: String,
    /// What it means.
    pub selector: Selector,
}

/// What an entry means.
#[derive(Debug, Clone)]
pub enum Selector {
    /// One image.
    One(Query),
    /// Every reference of the node that matches, as if each had been named.
    Pattern(Box<Pattern>),
}

/// Why a text is neither. In words, the text itself is left to whoever says them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEntry {
    /// It would be a reference.
    #[error("not a valid image reference: {reason}")]
    Reference {
        /// What was written.
        text: String,
        /// Why it is none.
        reason: InvalidReference,
    },
    /// It would be a pattern.
    #[error("not a valid image pattern: {reason}")]
    Pattern {
        /// What was written.
        text: String,
        /// Why it is none.
        reason: InvalidPattern,
    },
}

impl InvalidEntry {
    /// What was written.
    pub fn text(&self) -> &str {
        match self {
            Self::Reference { text, .. } | Self::Pattern { text, .. } => text,
        }
    }
}

impl std::str::FromStr for Entry {
    type Err = InvalidEntry;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.to_owned();
        let selector = if Pattern::is_pattern(&text) {
            text.parse()
                .map(|pattern| Selector::Pattern(Box::new(pattern)))
                .map_err(|reason| InvalidEntry::Pattern { text: text.clone(), reason })
        } else {
            text.parse()
                .map(Selector::One)
                .map_err(|reason| InvalidEntry::Reference { text: text.clone(), reason })
        }?;
        Ok(Self { text, selector })
    }
}

/// What was decided for one image of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Which entry of the request.
    pub entry: usize,
    /// The plan, or why there is none.
    pub verdict: Result<Plan, Refusal>,
}

/// Decides a whole request. A pattern gives a decision for each reference that it names, an entry without any match the
/// refusal that there is no such image.
///
/// # Errors
///
/// What must be read first, for all entries together.
pub fn decide(inventory: &Inventory, request: &Request) -> Result<Vec<Decision>, Unread> {
    let mut batch = Batch {
        inventory: inventory.clone(),
        rules: &request.rules,
        decisions: Vec::new(),
        unread: Unread::default(),
    };
    for (index, entry) in request.entries.iter().enumerate() {
        match &entry.selector {
            Selector::One(query) => batch.decide(index, query),
            Selector::Pattern(pattern) => batch.decide_all(index, pattern),
        }
    }
    if batch.unread.is_empty() { Ok(batch.decisions) } else { Err(batch.unread) }
}

struct Batch<'a> {
    inventory: Inventory,
    rules: &'a Rules,
    decisions: Vec<Decision>,
    unread: Unread,
}

impl Batch<'_> {
    fn decide(&mut self, entry: usize, query: &Query) {
        let verdict = match plan(&self.inventory, query, self.rules) {
            Ok(plan) => {
                self.inventory.apply(&plan);
                Ok(plan)
            }
            Err(NoPlan::Refused(refusal)) => Err(refusal),
            Err(NoPlan::Unread(unread)) => return self.unread.extend(unread),
        };
        self.decisions.push(Decision { entry, verdict });
    }

    fn decide_all(&mut self, entry: usize, pattern: &Pattern) {
        let found = self.inventory.matching(pattern);
        let named: Vec<Reference> = found.map(|(_, reference)| reference.clone()).collect();
        if named.is_empty() {
            let refusal = Refusal::NoSuchImage(pattern.to_string());
            self.decisions.push(Decision { entry, verdict: Err(refusal) });
        }
        for reference in named {
            if self.inventory.record(&reference.to_string()).is_some() {
                self.decide(entry, &Query::Name(reference));
            }
        }
    }
}

impl Inventory {
    /// The snapshot after the plan was carried out.
    pub fn apply(&mut self, plan: &Plan) {
        for step in &plan.steps {
            match step {
                Step::Keep(record) => self.insert(Arc::new(Self::dangling_record(record))),
                Step::Remove { record, .. } => self.remove(&record.name),
                Step::Deleted(_) => {}
            }
        }
    }
}
