//! `docs/operations.md`: it has every metric, reason and alert that there is, and no other.

use std::collections::BTreeSet;

use prometheus::proto::MetricFamily;
use schemars::{JsonSchema, schema_for};
use secateur::api::reason::Reason;
use secateur::api::status::Phase;
use secateur::controller::{ErrorKind, NoteKind};
use secateur::telemetry::metrics::{AgentMetrics, CallTimes, ControllerMetrics, registry};
use secateur::{agent, node};
use serde_json::Value;
use tracing_subscriber::layer::SubscriberExt;

use crate::page::{quoted, read, rows};

const PAGE: &str = "docs/operations.md";

/// The first cells of the table with this head.
fn first_cells(head: &[&str]) -> BTreeSet<String> {
    let page = read(PAGE);
    let rows = rows(&page, head);
    assert!(!rows.is_empty(), "{PAGE} has no table {head:?}");
    for row in &rows {
        assert_eq!(row.len(), head.len(), "{row:?}");
        assert!(row.iter().all(|cell| !cell.is_empty()), "{row:?}");
    }
    rows.iter().map(|row| quoted(row[0]).concat()).collect()
}

/// The names of the variants of an enum of the API.
fn variants<T: JsonSchema>() -> BTreeSet<String> {
    let schema = schema_for!(T).to_value();
    let named = schema["oneOf"].as_array().into_iter().flatten().map(|variant| &variant["const"]);
    named
        .chain(schema["enum"].as_array().into_iter().flatten())
        .map(|name| name.as_str().unwrap().to_owned())
        .collect()
}

/// What an agent and a controller export.
fn exported() -> Vec<MetricFamily> {
    let [of_agent, of_controller] = [(); 2].map(|()| registry().unwrap());
    AgentMetrics::register(&of_agent).unwrap();
    ControllerMetrics::register(&of_controller, ErrorKind::ALL.map(ErrorKind::label)).unwrap();
    let times = CallTimes::register(&of_agent).unwrap();
    // Times of calls have no series before the first call.
    tracing::subscriber::with_default(tracing_subscriber::registry().with(times), || {
        tracing::debug!(target: node::CALLS, method = "images.List", seconds = 0.5);
    });
    [of_agent.gather(), of_controller.gather()].concat()
}

/// The values of a label of the metrics whose names end so.
fn values(end: &str, label: &str) -> BTreeSet<String> {
    let families = exported();
    let series =
        families.iter().filter(|family| family.name().ends_with(end)).flat_map(MetricFamily::get_metric);
    let labels = series.flat_map(|metric| metric.get_label());
    labels.filter(|pair| pair.name() == label).map(|pair| pair.value().to_owned()).collect()
}

#[test]
fn it_has_every_metric_that_is_exported_and_no_other() {
    let exported = exported().iter().map(|family| family.name().to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(first_cells(&["metric", "of", "is", "what to do"]), exported);
}

#[test]
fn labels_have_values_of_a_short_list() {
    let families = exported();
    let labels = families.iter().flat_map(MetricFamily::get_metric).flat_map(|metric| metric.get_label());
    let names: BTreeSet<_> = labels.map(|pair| pair.name()).collect();
    assert_eq!(
        names,
        BTreeSet::from(["kind", "method", "outcome", "phase", "revision", "service", "version"])
    );
}

#[test]
fn it_has_every_kind_that_a_metric_tells_apart() {
    let outcomes = first_cells(&["outcome", "means", "what to do"]);
    assert_eq!(outcomes, values("image_outcomes_total", "outcome"));
    let conflicts = first_cells(&["kind", "means", "what to do"]);
    assert_eq!(conflicts, values("conflicts_total", "kind"));
    let errors = first_cells(&["kind", "of", "means", "what to do"]);
    assert_eq!(errors, values("errors_total", "kind"));
    let page = read(PAGE);
    for phase in values("imagedeletions", "phase") {
        assert!(quoted(&page).contains(&&*phase), "{phase}");
    }
    assert_eq!(values("imagedeletions", "phase"), variants::<Phase>());
}

#[test]
fn it_has_every_reason_of_a_condition_and_of_an_event() {
    assert_eq!(first_cells(&["reason", "of", "means", "what to do"]), variants::<Reason>());
    assert_eq!(first_cells(&["reason", "kind", "means", "what to do"]), variants::<NoteKind>());
}

#[test]
fn it_has_every_alert() {
    let rules: Value = serde_saphyr::from_str(&read("charts/secateur/files/rules.yaml")).unwrap();
    let groups = rules["groups"].as_array().unwrap();
    let alerts = groups.iter().flat_map(|group| group["rules"].as_array().unwrap());
    let severities: BTreeSet<_> = alerts
        .map(|rule| {
            (
                rule["alert"].as_str().unwrap().to_owned(),
                rule["labels"]["severity"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    let page = read(PAGE);
    let told = rows(&page, &["alert", "severity", "what to do"]);
    assert_eq!(
        told.iter().map(|row| (quoted(row[0]).concat(), row[1].to_owned())).collect::<BTreeSet<_>>(),
        severities
    );
}

#[test]
fn it_has_what_an_agent_misses_when_it_is_not_ready() {
    let parts = first_cells(&["part", "of", "missing means"]);
    for part in agent::PARTS {
        assert!(parts.contains(part), "{part}");
    }
}
