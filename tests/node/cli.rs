//! The binary itself, from its arguments to its exit code, on real nodes.

use std::collections::BTreeMap;
use std::io::{Read, Write as _};
use std::process::{Child, Command, Output, Stdio};

use nix::unistd::Pid;
use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::bed::{Digest, Image, Imported, Node, State, Version};

mod deletion;
mod hostile;
mod listing;
mod object;
mod process;
mod terminal;

const APP: &str = "docker.io/library/app:v1";

/// What a command did.
#[derive(Debug)]
struct Answer {
    exit: i32,
    stdout: String,
    stderr: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {}", self.stdout))
    }

    fn yaml(&self) -> Value {
        serde_saphyr::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {}", self.stdout))
    }
}

impl From<Output> for Answer {
    fn from(output: Output) -> Self {
        Self {
            exit: output.status.code().expect("no signal ends it"),
            stdout: String::from_utf8(output.stdout).expect("it prints text"),
            stderr: String::from_utf8(output.stderr).expect("it prints text"),
        }
    }
}

fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env_remove("SECATEUR_ADDRESS").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn secateur(node: &Node, arguments: &[&str]) -> Command {
    let mut command = command(env!("CARGO_BIN_EXE_secateur"));
    command.args(arguments).env("SECATEUR_ADDRESS", node.socket());
    command
}

async fn run(mut command: Command) -> Answer {
    let output = spawn_blocking(move || command.output()).await.expect("it is waited for");
    output.expect("it starts").into()
}

async fn call(node: &Node, arguments: &[&str]) -> Answer {
    run(secateur(node, arguments)).await
}

/// `secateur run -f -` with that object, as JSON.
async fn apply(node: &Node, object: &Value, arguments: &[&str]) -> Answer {
    feed(secateur(node, &[&["run", "-f", "-"], arguments].concat()), object.to_string()).await
}

/// Reads until a command has said something, and returns all that it has said by then.
fn until_said(from: &mut impl Read, what: &str) -> String {
    let mut said = Vec::new();
    while !said.ends_with(what.as_bytes()) {
        let mut byte = [0];
        from.read_exact(&mut byte)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&said)));
        said.extend(byte);
    }
    String::from_utf8(said).expect("it is text")
}

/// Starts a command that reads a text.
fn begin(mut command: Command, text: &str) -> Child {
    let mut child = command.stdin(Stdio::piped()).spawn().expect("it starts");
    child.stdin.take().expect("a pipe").write_all(text.as_bytes()).expect("it reads");
    child
}

async fn end(child: Child) -> Answer {
    let output = spawn_blocking(|| child.wait_with_output()).await.expect("it is waited for");
    output.expect("it ends").into()
}

/// Waits until a command has stopped where `SECATEUR_STOP_AT` says.
async fn stops(child: &Child) -> Pid {
    let status = format!("/proc/{}/stat", child.id());
    while !std::fs::read_to_string(&status).unwrap().contains(") T ") {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    Pid::from_raw(child.id().cast_signed())
}

async fn feed(command: Command, text: String) -> Answer {
    end(begin(command, &text)).await
}

fn deletion(spec: Value) -> Value {
    json!({
        "apiVersion": "secateur.dev/v1alpha1",
        "kind": "ImageDeletion",
        "metadata": {"name": "drop"},
        "spec": spec,
    })
}

async fn is_gone(node: &Node, image: &Imported) -> bool {
    let (records, content) = (node.records().await, node.content().await);
    !records.values().any(|record| record.target == image.target) && !content.contains_key(&image.target)
}
