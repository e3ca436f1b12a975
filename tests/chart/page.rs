//! The chart's page: its table has every value of `values.yaml`, with its default and what its comment says.
//!
//! With `UPDATE_CHART_DOCS` set (as `make chart-docs` does) the table is written instead.

use std::env;
use std::fs;

use serde_json::Value;

use crate::examples::values;
use crate::helm::{chart, chart_file, root};

const BEGIN: &str = "<!-- The table is made by `make chart-docs` from values.yaml. -->\n";
const END: &str = "<!-- The end of the table. -->\n";
/// How far `values.yaml` sets in what is below a key.
const INDENT: usize = 2;

/// A key of `values.yaml`, and what the comment above it says after `# --`.
#[derive(Debug)]
struct Key {
    path: Vec<String>,
    description: Option<String>,
}

/// The keys in the order of the file. Below one that is described, none is: it is one value.
fn keys(text: &str) -> Vec<Key> {
    let mut keys: Vec<Key> = Vec::new();
    let mut comment: Option<String> = None;
    let mut path: Vec<String> = Vec::new();
    for line in text.lines() {
        let content = line.trim_start();
        if let Some(words) = content.strip_prefix("# -- ") {
            comment = Some(words.to_owned());
        } else if let Some(words) = content.strip_prefix("# ") {
            comment = comment.map(|comment| format!("{comment} {words}"));
        } else if let Some((key, _)) = content.split_once(':').filter(|_| !content.starts_with('-')) {
            path.truncate((line.len() - content.len()) / INDENT);
            path.push(key.to_owned());
            let is_part = keys.iter().any(|key| key.description.is_some() && path.starts_with(&key.path));
            if !is_part {
                keys.push(Key { path: path.clone(), description: comment.take() });
            }
        }
    }
    keys
}

fn table() -> String {
    let text = chart_file("values.yaml");
    let values: Value = serde_saphyr::from_str(&text).unwrap();
    let mut lines = vec!["| value | default | what it is |".to_owned(), "|---|---|---|".to_owned()];
    for Key { path, description } in keys(&text) {
        let value = values.pointer(&format!("/{}", path.join("/"))).unwrap();
        match description {
            Some(description) => lines.push(format!("| `{}` | `{value}` | {description} |", path.join("."))),
            None => assert!(value.is_object(), "values.yaml does not say what {} is", path.join(".")),
        }
    }
    lines.join("\n") + "\n"
}

#[test]
fn the_table_is_current() {
    let page = chart_file("README.md");
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (_, after) = rest.split_once(END).unwrap();
    let current = [before, BEGIN, &table(), END, after].concat();
    if env::var_os("UPDATE_CHART_DOCS").is_some() {
        fs::write(chart().join("README.md"), &current).unwrap();
    } else {
        assert!(page == current, "charts/secateur/README.md is stale: run `make chart-docs`");
    }
}

#[test]
fn the_schema_knows_every_value_and_no_other() {
    let schema: Value = serde_json::from_str(&chart_file("values.schema.json")).unwrap();
    let values: Value = serde_saphyr::from_str(&chart_file("values.yaml")).unwrap();
    assert_same_names("", &values, &schema);
}

fn assert_same_names(path: &str, values: &Value, schema: &Value) {
    let names = |object: &Value| {
        let mut names: Vec<_> = object.as_object().unwrap().keys().cloned().collect();
        names.retain(|name| name != "global");
        names.sort();
        names
    };
    assert_eq!(schema["additionalProperties"], false, "{path}");
    assert_eq!(names(values), names(&schema["properties"]), "{path}");
    for (name, schema) in schema["properties"].as_object().unwrap() {
        if name != "global" && schema.get("properties").is_some() {
            assert_same_names(&format!("{path}/{name}"), &values[name], schema);
        }
    }
}

/// The commands of helm about the release `secateur` on every page and in every example of values, each in one line.
fn helm_commands() -> Vec<String> {
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = docs.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let more = ["README.md", "charts/secateur/README.md"].map(|page| root().join(page));
    let texts = pages.chain(more).chain(values()).map(|path| fs::read_to_string(path).unwrap());
    let text = texts.collect::<String>().replace("\\\n", " ");
    let commands = text.lines().flat_map(|line| line.split(['`', '#'])).map(str::trim);
    commands
        .filter(|command| {
            let is_ours = |word| ["secateur", "charts/secateur"].contains(&word);
            command.starts_with("helm ") && command.split_whitespace().any(is_ours)
        })
        .map(str::to_owned)
        .collect()
}

/// As they are written: where the release is, and with an image that nodes can pull.
#[test]
fn the_commands_of_the_pages_find_the_release_and_an_image() {
    let commands = helm_commands();
    for does in ["install", "upgrade", "rollback", "test", "uninstall"] {
        assert!(commands.iter().any(|command| command.starts_with(&format!("helm {does} "))), "{does}");
    }
    for command in commands {
        assert!(command.contains(" --namespace secateur"), "{command}");
        let names_an_image = ["--set image.repository=", "--reset-then-reuse-values"];
        let brings_the_chart = command.contains("charts/secateur");
        assert!(!brings_the_chart || names_an_image.iter().any(|words| command.contains(words)), "{command}");
    }
}

#[test]
fn the_chart_has_the_version_of_the_program() {
    let chart: Value = serde_saphyr::from_str(&chart_file("Chart.yaml")).unwrap();
    assert_eq!(chart["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
    assert_eq!(chart["description"], env!("CARGO_PKG_DESCRIPTION"));
}
