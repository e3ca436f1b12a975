//! What is wrong with an object, in the API server's words.

use std::fmt;

use serde_json::Value;

/// One thing that is wrong with an object, displayed as the API server says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where: `spec.images[0]`.
    pub path: String,
    /// What is wrong there.
    pub flaw: Flaw,
}

/// What is wrong with a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// It must be there and is not. Holds what more there is to say, if anything.
    Required(Option<&'static str>),
    /// It has another type than the schema says.
    Type {
        /// The type it has.
        found: &'static str,
        /// The type it should have.
        expected: String,
    },
    /// It is none of the values it may have.
    NotSupported {
        /// What it is, as JSON.
        value: String,
        /// What it may be.
        supported: Vec<String>,
    },
    /// It is a string that is too long.
    TooLong {
        /// The greatest length.
        max: u64,
    },
    /// It has too many entries.
    TooMany {
        /// How many it has.
        actual: usize,
        /// How many it may have.
        max: u64,
    },
    /// It is in a set for the second time. Holds it as JSON.
    Duplicate(String),
    /// It breaks a rule.
    Invalid {
        /// What it is, as JSON; absent for lists and objects, which are not repeated.
        value: Option<String>,
        /// The rule's message.
        message: String,
    },
}

impl Flaw {
    /// A value that breaks a rule with this message.
    pub(super) fn invalid(value: &Value, message: impl Into<String>) -> Self {
        let value = (!value.is_object() && !value.is_array()).then(|| value.to_string());
        Flaw::Invalid { value, message: message.into() }
    }

    /// Whether the API server evaluates no rule on an object with this flaw.
    pub(super) fn blocks_rules(&self) -> bool {
        match self {
            Flaw::Required(_)
            | Flaw::Type { .. }
            | Flaw::NotSupported { .. }
            | Flaw::TooLong { .. }
            | Flaw::TooMany { .. } => true,
            Flaw::Duplicate(_) | Flaw::Invalid { .. } => false,
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = &self.path;
        match &self.flaw {
            Flaw::Required(None) => write!(f, "{path}: Required value"),
            Flaw::Required(Some(more)) => write!(f, "{path}: Required value: {more}"),
            Flaw::Type { found, expected } => {
                write!(
                    f,
                    "{path}: Invalid value: \"{found}\": {path} in body must be of type {expected}: \"{found}\""
                )
            }
            Flaw::NotSupported { value, supported } => {
                let supported =
                    supported.iter().map(|one| format!("\"{one}\"")).collect::<Vec<_>>().join(", ");
                write!(f, "{path}: Unsupported value: {value}: supported values: {supported}")
            }
            Flaw::TooLong { max } => write!(f, "{path}: Too long: may not be more than {max} bytes"),
            Flaw::TooMany { actual, max } => {
                write!(f, "{path}: Too many: {actual}: must have at most {max} items")
            }
            Flaw::Duplicate(value) => write!(f, "{path}: Duplicate value: {value}"),
            Flaw::Invalid { value: Some(value), message } => {
                write!(f, "{path}: Invalid value: {value}: {message}")
            }
            Flaw::Invalid { value: None, message } => write!(f, "{path}: Invalid value: {message}"),
        }
    }
}
