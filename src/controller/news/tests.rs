//! What a watch does when the API server ends it. The API server is a script: a real one forgets a version only when it is
//! started anew, and by then another controller may lead, whose watch is new.

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::*;
use crate::api::report::MAX_TEXT_BYTES;
use crate::controller::fixture::{Exchange, Nobody, api_server, report};

const LATEST: &str = "9999-12-31T23:00:00Z";

fn versions(version: &str) -> Vec<Value> {
    vec![json!({
        "apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList",
        "metadata": {"resourceVersion": version}, "items": [],
    })]
}

fn event(kind: &str, node: &str, version: &str) -> Value {
    let mut report = report(node);
    report.metadata.resource_version = Some(version.into());
    json!({"type": kind, "object": report})
}

fn error(code: u16, reason: &str) -> Value {
    json!({"type": "ERROR", "object": {
        "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure",
        "code": code, "reason": reason, "message": "it says why",
    }})
}

/// The first of the news, in words.
async fn told(exchanges: Vec<Exchange>, count: usize) -> Vec<String> {
    let (inputs, mut told) = mpsc::channel(1);
    let watching =
        tokio::spawn(Newsroom::new(api_server(exchanges, Duration::ZERO), inputs, Arc::new(Nobody)).run());
    let mut words = Vec::new();
    while words.len() < count {
        let news = timeout(Duration::from_secs(10), told.recv()).await.expect("there is more news");
        let Some(Input::News(news)) = news else { panic!("it told {words:?}, and then {news:?}") };
        words.push(match news {
            News::Begins => "begins".to_owned(),
            News::Applied(report) => report.node_name,
            News::Gone(report) => format!("{} is gone", report.node_name),
        });
    }
    watching.abort();
    words
}

#[tokio::test]
async fn it_goes_on_where_it_was_when_it_ends_as_watches_do() {
    let script = vec![
        ("limit=1", versions("5")),
        ("resourceVersion=5", vec![event("ADDED", "a", "7"), event("DELETED", "b", "8")]),
        ("resourceVersion=8", vec![event("ADDED", "c", "9")]),
        ("resourceVersion=9", vec![error(500, "InternalError")]),
        ("resourceVersion=9", vec![event("MODIFIED", "d", "11")]),
    ];
    assert_eq!(told(script, 5).await, ["begins", "a", "b is gone", "c", "d"]);
}

#[tokio::test]
async fn it_goes_on_after_a_report_that_is_not_understood() {
    let mut strange = event("MODIFIED", "b", "8");
    strange["object"]["startTime"] = json!("2026-01-01T00:00:00+99:99");
    let mut of_another_version = event("ADDED", "c", "9");
    of_another_version["object"]["outcome"] = json!("Postponed");
    let mut too_long = event("ADDED", "d", "10");
    too_long["object"]["results"] = json!([{
        "image": "app:v1", "outcome": "Failed", "records": [], "conflicts": [], "reclaimedBytes": 0,
        "message": "x".repeat(MAX_TEXT_BYTES + 1),
    }]);
    // A time that the API server takes for who wrote a field, and that is none here.
    let mut changed = event("MODIFIED", "e", "11");
    changed["object"]["metadata"]["managedFields"] = json!([{"manager": "x", "time": LATEST}]);
    let mut first = versions("5");
    first[0]["items"] = json!([changed["object"]]);
    let script = vec![
        ("limit=1", first),
        ("resourceVersion=5", vec![event("ADDED", "a", "7"), strange, of_another_version, too_long, changed]),
        ("resourceVersion=11", vec![event("ADDED", "f", "12")]),
    ];
    assert_eq!(told(script, 4).await, ["begins", "a", "e", "f"]);
}

#[tokio::test]
async fn it_begins_anew_where_its_version_is_too_old() {
    let script = vec![
        ("limit=1", versions("5")),
        ("resourceVersion=5", vec![event("ADDED", "a", "7"), error(410, "Expired")]),
        ("limit=1", versions("20")),
        ("resourceVersion=20", vec![event("ADDED", "b", "21")]),
    ];
    assert_eq!(
        told(script, 4).await,
        ["begins", "a", "begins", "b"],
        "what is missed is listed by who is told"
    );
}
