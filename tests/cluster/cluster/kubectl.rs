//! `kubectl` and `helm`, as people type them.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::Cluster;
use super::control::kubernetes;
use crate::bed::tools::{path_with, tool};

impl Cluster {
    /// Runs `kubectl` and returns what it prints.
    #[track_caller]
    pub(crate) fn kubectl<'a>(&self, arguments: impl AsRef<[&'a str]>) -> String {
        succeeded(&mut self.kubectl_command(arguments.as_ref()), "")
    }

    /// Runs a `kubectl` that must fail, and returns what it says of that.
    #[track_caller]
    pub(crate) fn kubectl_fails<'a>(&self, arguments: impl AsRef<[&'a str]>) -> String {
        failed(&mut self.kubectl_command(arguments.as_ref()), "")
    }

    /// `kubectl apply` of some YAML.
    #[track_caller]
    pub(crate) fn apply(&self, yaml: &str) -> String {
        succeeded(&mut self.kubectl_command(&["apply", "-f", "-"]), yaml)
    }

    /// `kubectl create` of an object in YAML. Returns its name.
    #[track_caller]
    pub(crate) fn create(&self, yaml: &str) -> String {
        let created = succeeded(&mut self.kubectl_command(&["create", "-f", "-", "-o", "name"]), yaml);
        created.trim_end().rsplit('/').next().unwrap_or_default().to_owned()
    }

    /// `kubectl apply` of some YAML that the API server checks and does not keep.
    #[track_caller]
    pub(crate) fn apply_dry_run(&self, yaml: &str) -> String {
        succeeded(&mut self.kubectl_command(&["apply", "--dry-run=server", "-f", "-"]), yaml)
    }

    /// What the API server would make of some YAML.
    #[track_caller]
    pub(crate) fn dry_run(&self, yaml: &str) -> Value {
        self.try_dry_run(yaml).unwrap_or_else(|said| panic!("{said}"))
    }

    /// What the API server would make of some YAML, or what it says against it.
    pub(crate) fn try_dry_run(&self, yaml: &str) -> Result<Value, String> {
        let output =
            output(&mut self.kubectl_command(&["create", "--dry-run=server", "-f", "-", "-o", "json"]), yaml);
        match output.status.success() {
            true => Ok(serde_json::from_slice(&output.stdout).expect("kubectl prints JSON")),
            false => Err(text(output.stderr)),
        }
    }

    /// `kubectl apply` of some YAML that the API server must refuse. Returns what it says.
    #[track_caller]
    pub(crate) fn apply_fails(&self, yaml: &str) -> String {
        failed(&mut self.kubectl_command(&["apply", "-f", "-"]), yaml)
    }

    /// `kubectl wait --for=CONDITION` of something, for a minute.
    #[track_caller]
    pub(crate) fn wait<'a>(&self, condition: &'a str, what: impl AsRef<[&'a str]>) -> String {
        let condition = format!("--for={condition}");
        let arguments = [&["wait", "--timeout=60s", &condition][..], what.as_ref()].concat();
        succeeded(&mut self.kubectl_command(&arguments), "")
    }

    /// Whether a command line succeeds in a shell whose `kubectl` is that of this cluster.
    pub(crate) fn types(&self, line: &str) -> bool {
        let mut command = Command::new("sh");
        command.args(["-c", line]).env("PATH", path_with(&kubernetes())).env("KUBECONFIG", self.kubeconfig());
        output(&mut command, "").status.success()
    }

    /// Runs `helm` and returns what it prints.
    #[track_caller]
    pub(crate) fn helm<'a>(&self, arguments: impl AsRef<[&'a str]>) -> String {
        succeeded(&mut self.helm_command(arguments.as_ref()), "")
    }

    /// Runs a `helm` that must fail, and returns what it says of that.
    #[track_caller]
    pub(crate) fn helm_fails<'a>(&self, arguments: impl AsRef<[&'a str]>) -> String {
        failed(&mut self.helm_command(arguments.as_ref()), "")
    }

    /// A `kubectl` that is not started yet.
    pub(crate) fn kubectl_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(kubernetes().join("kubectl"));
        command
            .args(arguments)
            .env("KUBECONFIG", self.kubeconfig())
            .env("KUBECACHEDIR", self.directory().join("kubectl"));
        command
    }

    fn helm_command(&self, arguments: &[&str]) -> Command {
        let directory = tool("helm", "helm.sh/helm/v4", include_str!("../../tools/helm/go.mod"));
        let mut command = Command::new(directory.join("helm"));
        command.args(arguments).env("KUBECONFIG", self.kubeconfig());
        for kind in ["CACHE", "CONFIG", "DATA"] {
            command.env(format!("HELM_{kind}_HOME"), self.directory().join("helm"));
        }
        command
    }
}

#[track_caller]
pub(super) fn succeeded(command: &mut Command, input: &str) -> String {
    let output = output(command, input);
    let (stdout, stderr) = (text(output.stdout), text(output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{stdout}{stderr}", output.status);
    stdout
}

#[track_caller]
pub(super) fn failed(command: &mut Command, input: &str) -> String {
    let output = output(command, input);
    assert!(!output.status.success(), "{command:?} did not fail: {}", text(output.stdout));
    text(output.stderr)
}

fn output(command: &mut Command, input: &str) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut process = command.spawn().unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let mut stdin = process.stdin.take().expect("the input is a pipe");
    stdin.write_all(input.as_bytes()).expect("the program reads its input");
    drop(stdin);
    process.wait_with_output().expect("the program can be waited for")
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("programs print text")
}
