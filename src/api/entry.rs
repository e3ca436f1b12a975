//! One entry of an `ImageDeletion`'s `images`, and the rules that the API server checks it with.
//!
//! The grammar is the one of `github.com/distribution/reference`, written as expressions that the API server can cost
//! and evaluate. Each rule stands aside where an earlier one has something to say, so that one mistake gets one message.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The longest entry, in characters.
pub const MAX_LENGTH: u32 = 1024;

/// What to delete, as it was written: a name, a digest, an ID, an ID prefix or a pattern.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ImageEntry(String);

impl ImageEntry {
    /// The entry as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the entry is a pattern: it has a `*`, a `?` or a `{`, which no reference can contain.
    pub fn is_pattern(&self) -> bool {
        self.0.contains(['*', '?', '{'])
    }
}

impl From<&str> for ImageEntry {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl From<String> for ImageEntry {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for ImageEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl JsonSchema for ImageEntry {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "ImageEntry".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An image name, digest, ID, ID prefix of at least 4 digits, or pattern.",
            "type": "string",
            "maxLength": MAX_LENGTH,
            "x-kubernetes-validations": rules(),
        })
    }
}

/// Everything before the tag and the digest. The port of a registry has a slash behind it, a tag has not.
const NAME_PART: &str = r"self.find('^(\\[[^\\]]*\\])?[^:@]*(:[0-9]+/[^:@]*)?')";

/// A host, with its port: dotted components, or an IPv6 address in brackets.
const HOST: &str = r"([a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?([.][a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?)*|\\[[a-fA-F0-9:]+\\])(:[0-9]+)?";

/// One component of a repository's path.
const COMPONENT: &str = "[a-z0-9]+((__|[._]|-+)[a-z0-9]+)*";

const TAG: &str = "[a-zA-Z0-9_][a-zA-Z0-9_.-]{0,127}";

const DIGEST: &str = "(sha256:[a-f0-9]{64}|sha384:[a-f0-9]{96}|sha512:[a-f0-9]{128})";

/// The longest repository path, without the registry (distribution/reference, `RepositoryNameTotalLengthMax`).
const MAX_PATH: u32 = 255;

/// A name of Docker Hub that gets `library/` in front of its path.
const OFFICIAL: &str = "^((index[.])?docker[.]io/)?[^/]+$";

struct Rule {
    /// Where the rule applies, unless everywhere. Elsewhere an earlier rule speaks, or none needs to.
    when: Option<String>,
    holds: String,
    message: Message,
}

enum Message {
    Text(&'static str),
    Expression(String),
}

impl Rule {
    fn to_json(&self) -> Value {
        let rule = match &self.when {
            Some(when) => format!("!({when}) || ({})", self.holds),
            None => self.holds.clone(),
        };
        match &self.message {
            Message::Text(text) => json!({"rule": rule, "message": text}),
            Message::Expression(expression) => json!({
                "rule": rule,
                "message": "not a valid image reference",
                "messageExpression": expression,
            }),
        }
    }
}

fn rules() -> Vec<Value> {
    let printable = "self.matches('^[!-~]+$')";
    let scheme = "self.matches('^[a-zA-Z]+://')";
    let pattern = "self.matches('[*?{]')";
    let reference = format!("{printable} && !{scheme} && !{pattern}");
    let name_is_valid = matches_name(NAME_PART);
    let name_is_valid_in_lowercase = matches_name(&format!("{NAME_PART}.lowerAscii()"));
    let rest = format!("self.substring(size({NAME_PART}))");
    let lowercased =
        format!("'repository name must be lowercase: write ' + {NAME_PART}.lowerAscii() + {rest}");
    let path = format!("{NAME_PART}.substring(size({NAME_PART}.find('^(localhost|[^/]*[.:A-Z][^/]*)/')))");
    let is_pattern = format!("{printable} && !{scheme} && {pattern}");
    let pattern_characters = r"self.matches('^(\\[[a-fA-F0-9:]+\\])?[a-zA-Z0-9._:/@*?{},-]+$')";

    [
        Rule {
            when: None,
            holds: "self != ''".into(),
            message: Message::Text(
                "an entry must not be empty: write an image name such as app:v1, a digest, an ID or a pattern",
            ),
        },
        Rule {
            when: Some("self != ''".into()),
            holds: printable.into(),
            message: Message::Text(
                "an entry must not contain white space or characters outside ASCII: write each image as an entry of its own, such as app:v1",
            ),
        },
        Rule {
            when: Some(format!("{printable} && {scheme}")),
            holds: "false".into(),
            message: Message::Expression(
                "'an image name has no scheme: write ' + self.substring(self.indexOf('://') + 3)".into(),
            ),
        },
        Rule {
            when: Some(format!("{reference} && !{name_is_valid}")),
            holds: format!("!{name_is_valid_in_lowercase}"),
            message: Message::Expression(lowercased.clone()),
        },
        Rule {
            when: Some(reference.clone()),
            holds: format!("{name_is_valid} || {name_is_valid_in_lowercase}"),
            message: Message::Text(
                "not a valid image reference: write [registry[:port]/]repository[:tag][@digest] such as ghcr.io/acme/api:2, a digest, or an ID prefix of at least 4 digits",
            ),
        },
        Rule {
            when: Some(format!("{reference} && {name_is_valid}")),
            holds: format!("size({path}) + ({NAME_PART}.matches('{OFFICIAL}') ? size('library/') : 0) <= {MAX_PATH}"),
            message: Message::Text(
                "repository name must not be longer than 255 characters, counting library/ where it has no slash",
            ),
        },
        Rule {
            when: Some(format!("{reference} && {name_is_valid} && {rest}.find('^[^@]*') != ''")),
            holds: format!("{rest}.find('^[^@]*').matches('^:{TAG}$')"),
            message: Message::Text(
                "not a valid tag: write 1 to 128 letters, digits, underscores, dots and dashes, the first neither a dot nor a dash",
            ),
        },
        Rule {
            when: Some(format!("{reference} && {name_is_valid} && {rest}.matches('^(:{TAG})?@')")),
            holds: format!("{rest}.find('@.*$').matches('^@{DIGEST}$')"),
            message: Message::Text(
                "not a valid digest: write sha256: and 64 lowercase hexadecimal digits (or sha384: and 96, or sha512: and 128)",
            ),
        },
        Rule {
            when: Some(is_pattern.clone()),
            holds: pattern_characters.into(),
            message: Message::Text(
                "not a valid pattern: write an image name with * (within one path component or tag), ** (across slashes), ? or {a,b}, such as ghcr.io/acme/**:1.2.*",
            ),
        },
        Rule {
            when: Some(format!("{is_pattern} && {pattern_characters}")),
            holds: "self.matches('^([^{}]|[{][^{}]+[}])*$')".into(),
            message: Message::Text("every { of a pattern needs its own }: write {a,b}, without another { in it"),
        },
        Rule {
            when: Some(format!("{is_pattern} && {pattern_characters}")),
            holds: "!self.matches('(^/|//|/$|[*]{3})')".into(),
            message: Message::Text(
                "a pattern must not begin or end with a slash, nor have two slashes or three stars together: write ** to match across slashes",
            ),
        },
        Rule {
            when: Some(format!("{is_pattern} && {pattern_characters}")),
            holds: format!("!{NAME_PART}.matches('/.*[A-Z]')"),
            message: Message::Expression(lowercased),
        },
    ]
    .iter()
    .map(Rule::to_json)
    .collect()
}

fn matches_name(name: &str) -> String {
    format!("{name}.matches('^({HOST}/)?{COMPONENT}(/{COMPONENT})*$')")
}
