//! Helm, and what it renders.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use serde_json::Value;

use crate::tools::tool;

/// The release and the namespace that everything is rendered for.
pub(crate) const RELEASE: &str = "secateur";
pub(crate) const NAMESPACE: &str = "tools";

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The chart's folder.
pub(crate) fn chart() -> PathBuf {
    root().join("charts/secateur")
}

/// The text of a file of the chart.
pub(crate) fn chart_file(path: &str) -> String {
    fs::read_to_string(chart().join(path)).unwrap_or_else(|error| panic!("charts/secateur/{path}: {error}"))
}

/// Runs helm, without whatever configuration of it and of kubectl there may be.
pub(crate) fn run(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Output {
    let nowhere = tempfile::tempdir().unwrap();
    let helm = tool("helm", "helm.sh/helm/v4", include_str!("../tools/helm/go.mod")).join("helm");
    Command::new(helm)
        .args(arguments)
        .env_clear()
        .env("HOME", nowhere.path())
        .env("KUBECONFIG", nowhere.path().join("none"))
        .output()
        .unwrap()
}

/// What the chart renders to with each of the value sets.
pub(crate) fn every_rendering() -> impl Iterator<Item = &'static Rendered> {
    static RENDERINGS: LazyLock<Vec<Rendered>> =
        LazyLock::new(|| value_sets().iter().map(|set| Rendered::with(set)).collect());
    RENDERINGS.iter()
}

/// Every value set that something is asserted of, as arguments of helm: what a person might install.
fn value_sets() -> Vec<Vec<String>> {
    let by_hand: &[&[&str]] = &[
        &[],
        &["--set", "controller.replicas=1,agent.priorityClassName=,agent.tolerations=null"],
        &["--set", "fullnameOverride=pruner,logFormat=text,logLevel=debug,image.pullPolicy=Never"],
        &[
            "--set",
            &format!("image.repository=registry.example:5000/a/b,image.digest=sha256:{}", "a".repeat(64)),
        ],
        &["--set", "crds.install=false,admissionPolicy.enabled=false,flowControl.enabled=false"],
        &[
            "--set",
            "crds.keep=false,networkPolicy.enabled=true,apiServer.host=api.example,apiServer.port=8443",
        ],
        &["--set", "image.pullSecrets[0].name=registry,podAnnotations.team=platform"],
    ];
    let files = super::examples::values().into_iter().map(|path| {
        let mut arguments = vec!["--values".to_owned(), path.to_str().unwrap().to_owned()];
        arguments.extend(MONITORING_KINDS.map(str::to_owned));
        arguments
    });
    by_hand.iter().map(|set| set.iter().map(ToString::to_string).collect()).chain(files).collect()
}

/// Arguments that make helm believe in a cluster with the Prometheus operator.
pub(crate) const MONITORING_KINDS: [&str; 4] = [
    "--api-versions",
    "monitoring.coreos.com/v1/PodMonitor",
    "--api-versions",
    "monitoring.coreos.com/v1/PrometheusRule",
];

/// What the chart renders to.
#[derive(Debug)]
pub(crate) struct Rendered {
    /// The arguments that it was rendered with.
    pub(crate) set: String,
    objects: Vec<Value>,
}

impl Rendered {
    /// Renders the chart with its own values.
    pub(crate) fn by_default() -> Self {
        Self::with(&[""; 0])
    }

    /// Renders the chart with these arguments.
    pub(crate) fn with(arguments: &[impl AsRef<str>]) -> Self {
        let set = arguments.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(" ");
        let output = template(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && stderr.is_empty(), "{set}: {stderr}");
        let text = String::from_utf8(output.stdout).unwrap();
        let mut objects: Vec<Value> = serde_saphyr::from_multiple(&text).expect("the chart renders to YAML");
        objects.retain(|object| !object.is_null());
        Self { set, objects }
    }

    /// Every object.
    pub(crate) fn objects(&self) -> &[Value] {
        &self.objects
    }

    /// The objects of a kind.
    pub(crate) fn of(&self, kind: &str) -> Vec<&Value> {
        self.objects.iter().filter(|object| object["kind"] == kind).collect()
    }

    /// The one object of a kind whose name ends so.
    pub(crate) fn one(&self, kind: &str, end: &str) -> &Value {
        let found: Vec<_> = self.of(kind).into_iter().filter(|object| name(object).ends_with(end)).collect();
        assert_eq!(found.len(), 1, "{kind} {end}");
        found[0]
    }

    /// Every pod that the chart runs: its component and its spec.
    pub(crate) fn pods(&self) -> Vec<Pod<'_>> {
        self.objects
            .iter()
            .filter_map(|object| {
                let template = match object["kind"].as_str()? {
                    "Pod" => object,
                    _ => object.pointer("/spec/template")?,
                };
                let labels = &template["metadata"]["labels"];
                let component = labels["app.kubernetes.io/component"].as_str().unwrap();
                Some(Pod { component, labels, spec: &template["spec"] })
            })
            .collect()
    }

    /// The pod of a component.
    pub(crate) fn pod(&self, component: &str) -> Pod<'_> {
        self.pods().into_iter().find(|pod| pod.component == component).unwrap()
    }
}

/// A pod, or the template of one.
#[derive(Debug)]
pub(crate) struct Pod<'a> {
    pub(crate) component: &'a str,
    pub(crate) labels: &'a Value,
    pub(crate) spec: &'a Value,
}

impl Pod<'_> {
    /// Its only container.
    pub(crate) fn container(&self) -> &Value {
        assert_eq!(self.spec["containers"].as_array().unwrap().len(), 1, "{}", self.component);
        assert!(self.spec["initContainers"].is_null(), "{}", self.component);
        &self.spec["containers"][0]
    }

    /// The arguments of its container.
    pub(crate) fn arguments(&self) -> Vec<&str> {
        strings(&self.container()["args"])
    }
}

/// `helm template` with these arguments, however it ends.
pub(crate) fn template(arguments: &[impl AsRef<str>]) -> Output {
    let chart = chart();
    let fixed = ["template", RELEASE, chart.to_str().unwrap(), "--namespace", NAMESPACE];
    run(fixed.into_iter().chain(arguments.iter().map(AsRef::as_ref)))
}

/// The name of an object.
pub(crate) fn name(object: &Value) -> &str {
    object["metadata"]["name"].as_str().expect("every object has a name")
}

/// The strings of an array; none where there is no array.
pub(crate) fn strings(array: &Value) -> Vec<&str> {
    array.as_array().into_iter().flatten().map(|string| string.as_str().unwrap()).collect()
}

#[test]
fn lint_finds_nothing_whatever_the_values() {
    for set in value_sets() {
        let chart = chart();
        let set: Vec<_> =
            set.chunks(2).filter(|pair| pair[0] != "--api-versions").flatten().map(String::as_str).collect();
        let output = run(["lint", "--strict", chart.to_str().unwrap()].into_iter().chain(set));
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 chart(s) linted, 0 chart(s) failed"), "{said}");
        assert!(!said.contains("[WARNING]") && !said.contains("[ERROR]"), "{said}");
    }
}
