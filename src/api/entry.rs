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

/// The longest repository path, without the registry (distribution/reference, `RepositoryNameTotalLengthMax`).
const MAX_PATH: u32 = 255;

/// A name of Docker Hub that gets `library/` in front of its path.
const OFFICIAL: &str = "^((index[.])?docker[.]io/)?[^/]+$";

const NOT_A_REFERENCE: &str = "not a valid image reference: write [registry[:port]/]repository[:tag][@digest] such as \
                               ghcr.io/acme/api:2, a digest, or an ID prefix of at least 4 digits";

/// A rule holds where one of its alternatives does. They are tried in this order, so the cheap ones come first: those
/// that say that the rule does not apply, or that an earlier rule has something to say.
struct Rule {
    alternatives: Vec<String>,
    message: Message,
}

enum Message {
    Text(&'static str),
    Expression(String),
}

impl Rule {
    fn new(alternatives: &[&str], message: Message) -> Self {
        Self { alternatives: alternatives.iter().map(|one| (*one).to_owned()).collect(), message }
    }

    fn to_json(&self) -> Value {
        let rule = self.alternatives.join(" || ");
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
    let mut rules = rules_for_all();
    rules.extend(rules_for_references());
    rules.extend(rules_for_patterns());
    rules.iter().map(Rule::to_json).collect()
}

const IS_PATTERN: &str = "self.contains('*') || self.contains('?') || self.contains('{')";
const HAS_SCHEME: &str = "self.contains('://')";
const NOT_PRINTABLE: &str = "!self.matches('^[!-~]+$')";

fn rules_for_all() -> Vec<Rule> {
    vec![
        Rule::new(
            &["self != ''"],
            Message::Text(
                "an entry must not be empty: write an image name such as app:v1, a digest, an ID or a pattern",
            ),
        ),
        Rule::new(
            &["self == ''", "self.matches('^[!-~]+$')"],
            Message::Text(
                "an entry must not contain white space or characters outside ASCII: write each image as an entry of its own, such as app:v1",
            ),
        ),
        Rule::new(
            &["!self.contains('://')", NOT_PRINTABLE],
            Message::Expression(
                "'an image name has no scheme: write ' + self.substring(self.indexOf('://') + 3)".into(),
            ),
        ),
    ]
}

fn rules_for_references() -> Vec<Rule> {
    let name_is_valid = matches_name(NAME_PART);
    let name_is_invalid = format!("!{name_is_valid}");
    let lowercase_name_is_valid = matches_name(&format!("{NAME_PART}.lowerAscii()"));
    let path = format!("{NAME_PART}.substring(size({NAME_PART}.find('^(localhost|[^/]*[.:A-Z][^/]*)/')))");
    let library = format!("({NAME_PART}.matches('{OFFICIAL}') ? size('library/') : 0)");
    let tag = format!("{}.find('^[^@]*')", rest());
    let tag_is_valid = format!("{tag}.matches('^(:[a-zA-Z0-9_][a-zA-Z0-9_.-]*)?$') && size({tag}) <= 129");
    let digest = format!("{}.find('@.*$')", rest());
    vec![
        Rule::new(
            &[IS_PATTERN, HAS_SCHEME, NOT_PRINTABLE, &name_is_valid],
            Message::Expression(format!(
                "{lowercase_name_is_valid} ? {} : '{NOT_A_REFERENCE}'",
                lowercased()
            )),
        ),
        Rule::new(
            &[
                &format!("size(self) + size('library/') <= {MAX_PATH}"),
                IS_PATTERN,
                HAS_SCHEME,
                NOT_PRINTABLE,
                &format!("size({path}) + {library} <= {MAX_PATH}"),
                &name_is_invalid,
            ],
            Message::Text(
                "repository name must not be longer than 255 characters, counting library/ where it has no slash",
            ),
        ),
        Rule::new(
            &[IS_PATTERN, HAS_SCHEME, NOT_PRINTABLE, &format!("({tag_is_valid})"), &name_is_invalid],
            Message::Text(
                "not a valid tag: write 1 to 128 letters, digits, underscores, dots and dashes, the first neither a dot nor a dash",
            ),
        ),
        Rule::new(
            &[
                "!self.contains('@')",
                IS_PATTERN,
                HAS_SCHEME,
                NOT_PRINTABLE,
                &digest_is("sha256", 64, &digest),
                &digest_is("sha384", 96, &digest),
                &digest_is("sha512", 128, &digest),
                &format!("!({tag_is_valid})"),
                &name_is_invalid,
            ],
            Message::Text(
                "not a valid digest: write sha256: and 64 lowercase hexadecimal digits (or sha384: and 96, or sha512: and 128)",
            ),
        ),
    ]
}

const HAS_PAIRED_BRACES: &str = "self.matches('^([^{}]|[{][^{}]+[}])*$')";

/// Two stars beside anything but a slash, the end of an alternative, and the start or the end of the name, tag or digest. What
/// is behind the last slash and behind the last colon there is a tag.
const STARS_IN_A_COMPONENT: &str =
    "[^/{,:@][*][*]|[*][*][^/},:@]|[*][*]:[^@]*[:/]|:[*][*][^@]*[:/]|@.*([:@][*][*]|[*][*][:@])";

fn rules_for_patterns() -> Vec<Rule> {
    let not_pattern = format!("!({IS_PATTERN})");
    let has_good_characters = r"self.matches('^(\\[[a-fA-F0-9:]+\\])?[a-zA-Z0-9._:/@*?{},-]+$')";
    let has_bad_characters = format!("!{has_good_characters}");
    let rule = |holds: &str, message| {
        Rule::new(&[&not_pattern, HAS_SCHEME, NOT_PRINTABLE, holds, &has_bad_characters], message)
    };
    vec![
        Rule::new(
            &[&not_pattern, HAS_SCHEME, NOT_PRINTABLE, has_good_characters],
            Message::Text(
                "not a valid pattern: write an image name with * (within one path component or tag), ** (across slashes), ? or {a,b}, such as ghcr.io/acme/**:1.2.*",
            ),
        ),
        rule(
            HAS_PAIRED_BRACES,
            Message::Text("every { of a pattern needs its own }: write {a,b}, without another { in it"),
        ),
        rule(
            "!self.matches('(^/|//|/$|[*]{3})')",
            Message::Text(
                "a pattern must not begin or end with a slash, nor have two slashes or three stars together: write ** to match across slashes",
            ),
        ),
        rule(&format!("!{NAME_PART}.matches('/.*[A-Z]')"), Message::Expression(lowercased())),
        rule(
            &format!("!self.matches('[{{][^{{}}]*[:@]') || !{HAS_PAIRED_BRACES}"),
            Message::Text("`:` and `@` cannot stand inside the braces of a pattern: write an entry for each"),
        ),
        rule(
            &format!("!self.matches('{STARS_IN_A_COMPONENT}') || self.contains('***')"),
            Message::Text(
                "`**` of a pattern stands for whole path components: write it between slashes, as in ghcr.io/acme/**, and * within a component",
            ),
        ),
    ]
}

/// The tag and the digest.
fn rest() -> String {
    format!("self.substring(size({NAME_PART}))")
}

/// What to write where the repository has an upper case letter. The tag keeps its own.
fn lowercased() -> String {
    format!("'repository name must be lowercase: write ' + {NAME_PART}.lowerAscii() + {}", rest())
}

fn matches_name(name: &str) -> String {
    format!("{name}.matches('^({HOST}/)?{COMPONENT}(/{COMPONENT})*$')")
}

/// Lengths are compared apart from the characters: a counted repetition makes a large automaton.
fn digest_is(algorithm: &str, digits: usize, digest: &str) -> String {
    let size = "@".len() + algorithm.len() + ":".len() + digits;
    format!("({digest}.matches('^@{algorithm}:[a-f0-9]+$') && size({digest}) == {size})")
}
