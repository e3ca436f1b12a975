//! Values that the chart refuses, and what it says.

use crate::helm::template;

#[test]
fn a_wrong_value_is_refused_by_its_path() {
    let rows = [
        ("agnt.hostNetwork=true", "at '': additional properties 'agnt' not allowed"),
        ("agent.hostNetwrk=true", "at '/agent': additional properties 'hostNetwrk' not allowed"),
        ("agent.hostNetwork=yes", "at '/agent/hostNetwork': got string, want boolean"),
        (
            "agent.containerdSocket=containerd.sock",
            "at '/agent/containerdSocket': 'containerd.sock' does not match",
        ),
        (
            "agent.containerdSocket=/containerd.sock",
            "at '/agent/containerdSocket': '/containerd.sock' does not match",
        ),
        (
            "agent.containerdSocket=/run/../containerd.sock",
            "at '/agent/containerdSocket': '/run/../containerd.sock'",
        ),
        ("agent.resources.limits.memory=lots", "at '/agent/resources/limits/memory': 'lots' does not match"),
        ("agent.tolerations[0].effect=NoSuchThing", "at '/agent/tolerations/0/effect': value must be one of"),
        ("controller.replicas=0", "at '/controller/replicas': minimum: got 0, want 1"),
        ("image.digest=latest", "at '/image/digest': 'latest' does not match"),
        ("image.tag=", "at '/image': 'anyOf' failed"),
        (
            "image.pullPolicy=Sometimes",
            "at '/image/pullPolicy': value must be one of 'Always', 'IfNotPresent', 'Never'",
        ),
        ("image.repository=Acme/secateur", "at '/image/repository': 'Acme/secateur' does not match"),
        ("protect=registry.k8s.io", "at '/protect': got string, want array"),
        ("protect={not an image}", "at '/protect/0': 'not an image' does not match"),
        // An agent would not start with these.
        (r"protect={a\{b}", "at '/protect/0': 'a{b' does not match"),
        (r"protect={\{app:v1\,b\}}", "at '/protect/0': '{app:v1,b}' does not match"),
        ("protect={acme/a**b}", "at '/protect/0': 'not' failed"),
        ("protect={ghcr.io/Acme/**}", "at '/protect/0': 'not' failed"),
        ("protect={acme//app}", "at '/protect/0': 'not' failed"),
        ("apiServer.host=https://10.0.0.1", "at '/apiServer/host': 'https://10.0.0.1' does not match"),
        ("apiServer.port=70000", "at '/apiServer/port': maximum: got 70,000, want 65,535"),
        ("logLevel=verbose", "at '/logLevel': value must be one of 'error', 'warn', 'info', 'debug'"),
        ("metrics.podMonitor=1", "at '/metrics/podMonitor': got number, want boolean"),
        ("metrics.labels.release=1", "at '/metrics/labels/release': got number, want string"),
        ("crds.keep=no", "at '/crds/keep': got string, want boolean"),
    ];
    for (set, words) in rows {
        let output = template(&["--set", set]);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{set} is taken");
        assert!(said.contains(words), "{set}: {said}");
    }
}

#[test]
fn a_cluster_that_is_too_old_is_refused() {
    let output = template(&["--kube-version", "1.31.9"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("chart requires kubeVersion: >=1.32.0-0"), "{said}");
}
