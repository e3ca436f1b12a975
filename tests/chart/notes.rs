//! What a person reads after `helm install`.

use secateur::api::validate;

use crate::helm::{NAMESPACE, RELEASE, chart, run};

fn notes(set: &str) -> String {
    let chart = chart();
    let fixed = ["install", RELEASE, chart.to_str().unwrap(), "--namespace", NAMESPACE, "--dry-run=client"];
    let output = run(fixed.into_iter().chain(["--set", set]));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_once("NOTES:\n").expect("there are notes").1.to_owned()
}

#[test]
fn they_say_what_to_type_next() {
    let notes = notes("protect={ghcr.io/acme/**}");
    for line in [
        "  kubectl --namespace tools rollout status daemonset/secateur-agent deployment/secateur-controller\n",
        "  helm test secateur --namespace tools\n",
        "Nobody may delete: ghcr.io/acme/**, localhost/secateur:dev\n",
    ] {
        assert!(notes.contains(line), "{notes}");
    }
    assert!(!notes.contains("NOTE:"), "{notes}");
    assert!(notes.lines().all(|line| line.len() <= 120), "{notes}");
}

#[test]
fn their_deletion_is_one_that_a_cluster_takes() {
    let notes = notes("logLevel=info");
    let (_, from_here) = notes.split_once("<<EOF\n").unwrap();
    let (manifest, _) = from_here.split_once("  EOF\n").unwrap();
    assert!(validate::parse(manifest).unwrap().spec.dry_run);
}

#[test]
fn they_say_what_was_asked_for_and_is_not_there() {
    let notes = notes("metrics.podMonitor=true,metrics.rules=true,admissionPolicy.enabled=false");
    for words in
        ["there is no PodMonitor,", "there is no PrometheusRule,", "admissionPolicy.enabled is false"]
    {
        assert!(notes.contains(words), "{notes}");
    }
}
