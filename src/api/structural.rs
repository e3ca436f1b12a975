//! An object against a structural schema, as the API server checks it.
//!
//! It knows the keywords that the schema of `ImageDeletion`'s spec uses, and a test holds it to that. Expressions
//! (`x-kubernetes-validations`) are not evaluated here.

use serde_json::{Map, Value};

use super::problem::{Flaw, Problem};

/// The paths of the fields that the schema does not know.
pub(super) fn unknown_fields(schema: &Value, object: &Value) -> Vec<String> {
    let mut unknown = Vec::new();
    collect_unknown(schema, object, "", &mut unknown);
    unknown
}

fn collect_unknown(schema: &Value, value: &Value, path: &str, unknown: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let path = child(path, name);
                match field_schema(schema, name) {
                    Some(schema) => collect_unknown(schema, field, &path, unknown),
                    None if schema.get("properties").is_some() => unknown.push(path),
                    None => {}
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect_unknown(&schema["items"], item, &format!("{path}[{index}]"), unknown);
            }
        }
        _ => {}
    }
}

/// Drops the fields that are null and may not be, as the API server does before it fills in defaults.
pub(super) fn drop_nulls(schema: &Value, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, field| {
                !field.is_null()
                    || field_schema(schema, name).is_some_and(|schema| schema["nullable"] == true)
            });
            for (name, field) in fields {
                if let Some(schema) = field_schema(schema, name) {
                    drop_nulls(schema, field);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| drop_nulls(&schema["items"], item)),
        _ => {}
    }
}

/// Everything about an object that the schema does not allow, in the order of the schema's fields.
pub(super) fn check(schema: &Value, object: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    check_value(schema, object, "", &mut problems);
    problems
}

fn check_value(schema: &Value, value: &Value, path: &str, problems: &mut Vec<Problem>) {
    let mut report = |flaw| problems.push(Problem { path: path.to_owned(), flaw });
    let found = type_of(value);
    if let Some(expected) = schema["type"].as_str()
        && expected != found
        && !(expected == "number" && found == "integer")
    {
        let expected = match schema["format"].as_str() {
            Some(format) if found == "float64" => format,
            _ => expected,
        };
        return report(Flaw::Type { found, expected: expected.to_owned() });
    }
    if let Some(supported) = schema["enum"].as_array()
        && !supported.contains(value)
    {
        let supported = supported.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        report(Flaw::NotSupported { value: value.to_string(), supported });
    }
    match value {
        Value::String(text) => {
            if let Some(max) = schema["maxLength"].as_u64()
                && text.chars().count() as u64 > max
            {
                report(Flaw::TooLong { max });
            }
        }
        Value::Array(items) => check_items(schema, items, path, problems),
        Value::Object(fields) => check_fields(schema, fields, path, problems),
        _ => {}
    }
}

fn check_items(schema: &Value, items: &[Value], path: &str, problems: &mut Vec<Problem>) {
    if let Some(max) = schema["maxItems"].as_u64()
        && items.len() as u64 > max
    {
        problems.push(Problem { path: path.to_owned(), flaw: Flaw::TooMany { actual: items.len(), max } });
    }
    for (index, item) in items.iter().enumerate() {
        let path = format!("{path}[{index}]");
        check_value(&schema["items"], item, &path, problems);
        let before = &items[..index];
        let is_first_repetition = before.iter().filter(|one| *one == item).count() == 1;
        if schema["x-kubernetes-list-type"] == "set" && is_first_repetition {
            problems.push(Problem { path, flaw: Flaw::Duplicate(item.to_string()) });
        }
    }
}

fn check_fields(schema: &Value, fields: &Map<String, Value>, path: &str, problems: &mut Vec<Problem>) {
    if let Some(max) = schema["maxProperties"].as_u64()
        && fields.len() as u64 > max
    {
        problems.push(Problem { path: path.to_owned(), flaw: Flaw::TooMany { actual: fields.len(), max } });
    }
    for required in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(required) {
            problems.push(Problem { path: child(path, required), flaw: Flaw::Required(None) });
        }
    }
    for (name, field) in fields {
        if let Some(schema) = field_schema(schema, name)
            && !(field.is_null() && schema["nullable"] == true)
        {
            check_value(schema, field, &child(path, name), problems);
        }
    }
}

/// What is at a field path, if anything is, and the path as the API server writes that of a rule: with the keys of maps in brackets.
pub(super) fn locate<'a>(schema: &Value, value: &'a Value, path: &str) -> Option<(String, &'a Value)> {
    if path.is_empty() {
        return Some((String::new(), value));
    }
    if let Some((index, rest)) = path.strip_prefix('[').and_then(|path| path.split_once(']')) {
        let item = value.get(index.parse::<usize>().ok()?)?;
        let (rest, found) = locate(&schema["items"], item, rest)?;
        return Some((format!("[{index}]{rest}"), found));
    }
    let (dot, path) = path.strip_prefix('.').map_or(("", path), |path| (".", path));
    value.as_object()?.iter().find_map(|(name, field)| {
        let rest = path.strip_prefix(name.as_str())?;
        if !rest.is_empty() && !rest.starts_with(['.', '[']) {
            return None;
        }
        let (rest, found) = locate(field_schema(schema, name)?, field, rest)?;
        let path = match schema["properties"].get(name) {
            Some(_) => format!("{dot}{name}{rest}"),
            None => format!("[{name}]{rest}"),
        };
        Some((path, found))
    })
}

fn field_schema<'a>(schema: &'a Value, name: &str) -> Option<&'a Value> {
    schema["properties"].get(name).or_else(|| schema.get("additionalProperties"))
}

fn child(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// The type of a value in the API server's words.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_i64() => "integer",
        Value::Number(_) => "float64",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
