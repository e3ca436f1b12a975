//! What etcd stores.

use std::process::Command;

use serde::Deserialize;

const RANGE: &str = "http://127.0.0.1:2379/v3/kv/range";
/// Everything below `/registry/secateur.dev/`, as etcd's JSON has it.
const OURS: &str =
    r#"{"key": "L3JlZ2lzdHJ5L3NlY2F0ZXVyLmRldi8=", "range_end": "L3JlZ2lzdHJ5L3NlY2F0ZXVyLmRldjA="}"#;

#[derive(Deserialize)]
struct Range {
    #[serde(default)]
    kvs: Vec<Stored>,
}

/// An object: base64 of its key and value, and how often it was written.
#[derive(Deserialize)]
struct Stored {
    key: String,
    value: String,
    version: String,
}

/// The bytes of all keys and values of Secateur's objects, with every version that was written of each: earlier versions
/// are taken to be as long as the last.
pub(crate) fn stored_bytes() -> f64 {
    let output = Command::new("busybox").args(["wget", "-q", "-O", "-", "--post-data", OURS, RANGE]).output();
    let output = output.expect("busybox runs");
    assert!(output.status.success(), "etcd does not answer: {}", String::from_utf8_lossy(&output.stderr));
    let range: Range = serde_json::from_slice(&output.stdout).expect("etcd answers with JSON");
    range.kvs.iter().map(Stored::bytes).sum()
}

impl Stored {
    fn bytes(&self) -> f64 {
        let versions: f64 = self.version.parse().expect("a version is a number");
        versions * (self.key.len() + self.value.len()) as f64 * 3.0 / 4.0
    }
}
