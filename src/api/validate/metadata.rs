//! What is wrong with the metadata of an object without a namespace, which no schema of a custom resource says. Owners, finalizers and
//! what the server sets are not looked at.

use serde_json::Value;

use super::{Flaw, Problem};

/// The most bytes of all annotations together.
const ANNOTATIONS_MAX: u64 = 256 << 10;
/// The most bytes of a name.
const NAME_MAX: usize = 253;
/// The most bytes of a label's value, and of a key without its prefix.
const LABEL_MAX: usize = 63;

const NOT_A_SUBDOMAIN: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, \
                               '-' or '.', and must start and end with an alphanumeric character \
                               (e.g. 'example.com', regex used for validation is \
                               '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const NOT_A_KEY: &str = "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an \
                         alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is \
                         '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const NOT_A_VALUE: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and \
                           must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', \
                           regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";

/// What the API server would hold against it.
pub(super) fn problems(metadata: &Value) -> Vec<Problem> {
    let mut problems = names(metadata);
    problems.extend(labels(&metadata["labels"]));
    problems.extend(annotations(&metadata["annotations"]));
    problems
}

fn names(metadata: &Value) -> Vec<Problem> {
    let text = |field: &str| metadata[field].as_str().filter(|name| !name.is_empty());
    let (name, base) = (text("name"), text("generateName"));
    let generated = base.map(without_dash).as_deref().map(subdomain).unwrap_or_default();
    let mut problems: Vec<Problem> = generated
        .into_iter()
        .map(|why| invalid("metadata.generateName", &metadata["generateName"], why))
        .collect();
    match name {
        Some(name) => {
            let flaws = subdomain(name).into_iter();
            problems.extend(flaws.map(|why| invalid("metadata.name", &metadata["name"], why)));
        }
        None if base.is_none() => problems.push(Problem {
            path: "metadata.name".to_owned(),
            flaw: Flaw::Required(Some("name or generateName is required")),
        }),
        None => {}
    }
    problems
}

fn labels(labels: &Value) -> Vec<Problem> {
    let problem = |text: &str, why: String| invalid("metadata.labels", &text.into(), why);
    let pairs = labels.as_object().into_iter().flatten();
    let texts = pairs.filter_map(|(key, value)| Some((key, value.as_str()?)));
    texts
        .flat_map(|(key, value)| {
            let of_key = label_key(key).into_iter().map(move |why| problem(key, why));
            of_key.chain(label_value(value).into_iter().map(move |why| problem(value, why)))
        })
        .collect()
}

fn annotations(annotations: &Value) -> Vec<Problem> {
    let pairs = || annotations.as_object().into_iter().flatten();
    let of_keys = pairs().flat_map(|(key, _)| {
        let flaws = label_key(&key.to_lowercase()).into_iter();
        flaws.map(move |why| invalid("metadata.annotations", &key.as_str().into(), why))
    });
    let mut problems: Vec<Problem> = of_keys.collect();
    let bytes: usize = pairs().map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum();
    if bytes as u64 > ANNOTATIONS_MAX {
        let flaw = Flaw::TooLong { max: ANNOTATIONS_MAX };
        problems.push(Problem { path: "metadata.annotations".to_owned(), flaw });
    }
    problems
}

fn invalid(path: &str, value: &Value, why: String) -> Problem {
    Problem { path: path.to_owned(), flaw: Flaw::invalid(value, why) }
}

/// What a name begins with may end with a dash, for more follows.
fn without_dash(base: &str) -> String {
    match base.strip_suffix('-') {
        Some(rest) if !rest.is_empty() => {
            let mut rest = rest.to_owned();
            rest.pop();
            rest + "a"
        }
        _ => base.to_owned(),
    }
}

fn subdomain(name: &str) -> Vec<String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_label = |label: &str| {
        !label.is_empty() && label.chars().all(allowed) && !label.starts_with('-') && !label.ends_with('-')
    };
    let is_right = name.split('.').all(is_label);
    let too_long = (name.len() > NAME_MAX).then(|| at_most(NAME_MAX));
    too_long.into_iter().chain((!is_right).then(|| NOT_A_SUBDOMAIN.to_owned())).collect()
}

/// A key has a name and, before a slash, the domain of whoever gives it a meaning.
fn label_key(key: &str) -> Vec<String> {
    let parts: Vec<&str> = key.split('/').collect();
    let (prefix, name) = match parts[..] {
        [name] => (None, name),
        [prefix, name] => (Some(prefix), name),
        _ => {
            let shape = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            return vec![format!("a valid label key {NOT_A_KEY} {shape}")];
        }
    };
    let of_prefix = match prefix {
        None => Vec::new(),
        Some("") => vec!["must be non-empty".to_owned()],
        Some(prefix) => subdomain(prefix),
    };
    let of_name = match name.len() {
        0 => Some("must be non-empty".to_owned()),
        length => (length > LABEL_MAX).then(|| at_most(LABEL_MAX)),
    };
    let ill_formed = (!is_label_text(name)).then(|| NOT_A_KEY.to_owned());
    let of_prefix = of_prefix.into_iter().map(|why| format!("prefix part {why}"));
    of_prefix.chain(of_name.into_iter().chain(ill_formed).map(|why| format!("name part {why}"))).collect()
}

fn label_value(value: &str) -> Vec<String> {
    let too_long = (value.len() > LABEL_MAX).then(|| at_most(LABEL_MAX));
    let ill_formed = (!value.is_empty() && !is_label_text(value)).then(|| NOT_A_VALUE.to_owned());
    too_long.into_iter().chain(ill_formed).collect()
}

fn is_label_text(text: &str) -> bool {
    let edge = |b: Option<&u8>| b.is_some_and(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    edge(bytes.first())
        && edge(bytes.last())
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
}

fn at_most(bytes: usize) -> String {
    format!("must be no more than {bytes} bytes")
}
