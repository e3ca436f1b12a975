//! Who may do what: nothing to spare.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::helm::{NAMESPACE, Rendered, every_rendering, name, strings};

/// What a role grants, one line for each resource: `group/resource [of these names]: verbs`.
fn grants(role: &Value) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for rule in role["rules"].as_array().unwrap() {
        assert!(rule["nonResourceURLs"].is_null(), "{}", name(role));
        let verbs = strings(&rule["verbs"]).join(" ");
        let names = strings(&rule["resourceNames"]).join(" ");
        let of = if names.is_empty() { String::new() } else { format!(" {names}") };
        for group in strings(&rule["apiGroups"]) {
            for resource in strings(&rule["resources"]) {
                assert!(lines.insert(format!("{group}/{resource}{of}: {verbs}")), "said twice: {resource}");
            }
        }
    }
    lines
}

#[test]
fn every_role_grants_this_and_nothing_else() {
    let rendered = Rendered::by_default();
    let expected: BTreeMap<&str, &[&str]> = BTreeMap::from([
        (
            "ClusterRole secateur-agent",
            &[
                "secateur.dev/imagedeletions: get list watch",
                "secateur.dev/imagedeletionreports: get create patch",
                "/nodes: get",
                "/pods: list watch",
            ][..],
        ),
        (
            "ClusterRole secateur-controller",
            &[
                "secateur.dev/imagedeletions: list watch delete",
                "secateur.dev/imagedeletions/status: patch",
                "secateur.dev/imagedeletionreports: list watch",
                "/nodes: list watch",
            ],
        ),
        (
            "Role secateur-controller",
            &[
                "/pods: list watch",
                "coordination.k8s.io/leases secateur-controller: get update",
                "coordination.k8s.io/leases: create",
            ],
        ),
        ("Role secateur-controller-events", &["events.k8s.io/events: create"]),
        (
            "ClusterRole secateur-delete",
            &[
                "secateur.dev/imagedeletions: get list watch create update patch delete",
                "secateur.dev/imagedeletionreports: get list watch",
            ],
        ),
        (
            "ClusterRole secateur-view",
            &[
                "secateur.dev/imagedeletions: get list watch",
                "secateur.dev/imagedeletionreports: get list watch",
            ],
        ),
        ("ClusterRole secateur-test", &["secateur.dev/imagedeletions: create list watch delete"]),
    ]);
    let roles = rendered.of("ClusterRole").into_iter().chain(rendered.of("Role"));
    let granted: BTreeMap<_, _> = roles
        .map(|role| (format!("{} {}", role["kind"].as_str().unwrap(), name(role)), grants(role)))
        .collect();
    assert!(granted.keys().eq(expected.keys()), "{:?}", granted.keys());
    for (role, lines) in expected {
        assert_eq!(granted[role], lines.iter().map(ToString::to_string).collect(), "{role}");
    }
}

#[test]
fn the_roles_of_people_are_part_of_view_and_of_admin() {
    let rendered = Rendered::by_default();
    let aggregates = |role: &str| {
        let labels = rendered.one("ClusterRole", role)["metadata"]["labels"].as_object().unwrap().clone();
        let to =
            labels.into_iter().filter(|(label, value)| label.contains("aggregate-to-") && value == "true");
        to.map(|(label, _)| label).collect::<Vec<_>>()
    };
    assert_eq!(aggregates("-view"), ["rbac.authorization.k8s.io/aggregate-to-view"]);
    assert_eq!(aggregates("-delete"), ["rbac.authorization.k8s.io/aggregate-to-admin"]);
    assert_eq!(aggregates("-agent"), [] as [&str; 0]);
}

#[test]
fn every_binding_gives_a_role_that_there_is_to_an_account_that_there_is() {
    for rendered in every_rendering() {
        let bindings: Vec<_> =
            rendered.of("ClusterRoleBinding").into_iter().chain(rendered.of("RoleBinding")).collect();
        assert_eq!(bindings.len(), 5, "{}", rendered.set);
        for binding in bindings {
            let role = binding["roleRef"]["name"].as_str().unwrap();
            let kind = binding["roleRef"]["kind"].as_str().unwrap();
            let role = rendered.of(kind).into_iter().find(|found| name(found) == role).unwrap();
            assert_eq!(role["metadata"]["namespace"], binding["metadata"]["namespace"]);
            let [subject] = &binding["subjects"].as_array().unwrap()[..] else {
                panic!("{} is for more than one", name(binding))
            };
            let accounts = rendered.of("ServiceAccount");
            assert!(
                accounts.iter().any(|account| account["metadata"]["name"] == subject["name"]),
                "{subject}"
            );
            assert_eq!(
                (&subject["kind"], &subject["namespace"]),
                (&json!("ServiceAccount"), &json!(NAMESPACE))
            );
        }
    }
}

#[test]
fn a_token_is_only_where_a_pod_needs_it() {
    for rendered in every_rendering() {
        for account in rendered.of("ServiceAccount") {
            assert_eq!(account["automountServiceAccountToken"], false, "{}", name(account));
        }
        for pod in rendered.pods() {
            let account = pod.spec["serviceAccountName"].as_str().unwrap();
            assert_eq!(pod.spec["automountServiceAccountToken"], true);
            assert_eq!(name(rendered.one("ServiceAccount", account)), account);
        }
    }
}

/// The chart under each of two names, and the account of its agents.
fn under_two_names() -> impl Iterator<Item = (Rendered, String)> {
    ["secateur", "pruner"].into_iter().map(|fullname| {
        let rendered = Rendered::with(&["--set", &format!("fullnameOverride={fullname}")]);
        let account = rendered.pod("agent").spec["serviceAccountName"].as_str().unwrap().to_owned();
        (rendered, account)
    })
}

#[test]
fn the_admission_policy_speaks_of_the_account_of_the_agents() {
    for (rendered, account) in under_two_names() {
        let policy = rendered.one("ValidatingAdmissionPolicy", "");
        assert_eq!(policy["spec"]["failurePolicy"], "Fail");
        assert_eq!(
            policy["spec"]["matchConditions"][0]["expression"],
            format!("request.userInfo.username == \"system:serviceaccount:{NAMESPACE}:{account}\"")
        );
        let binding = rendered.one("ValidatingAdmissionPolicyBinding", "");
        assert_eq!(binding["spec"], json!({"policyName": name(policy), "validationActions": ["Deny"]}));
    }
    let without = Rendered::with(&["--set", "admissionPolicy.enabled=false"]);
    assert!(without.objects().iter().all(|object| !object["kind"].as_str().unwrap().contains("Admission")));
}

#[test]
fn agents_wait_in_a_queue_of_their_own() {
    for (rendered, account) in under_two_names() {
        let schema = rendered.one("FlowSchema", "");
        let subject = json!({
            "kind": "ServiceAccount", "serviceAccount": {"name": account, "namespace": NAMESPACE},
        });
        assert_eq!(schema["spec"]["rules"][0]["subjects"], json!([subject]));
        // The API server's own for the service accounts of kube-system has 900, and the first that matches counts.
        assert!(schema["spec"]["matchingPrecedence"].as_u64().is_some_and(|precedence| precedence < 900));
        let level = rendered.one("PriorityLevelConfiguration", "");
        assert_eq!(schema["spec"]["priorityLevelConfiguration"]["name"], name(level));
        assert_eq!(level["spec"]["limited"]["nominalConcurrencyShares"], 30);
    }
    let without = Rendered::with(&["--set", "flowControl.enabled=false"]);
    assert!(without.objects().iter().all(|object| object["kind"] != "FlowSchema"));
}

#[test]
fn what_is_made_for_the_test_goes_with_it() {
    let rendered = Rendered::by_default();
    let of_the_test: Vec<_> = rendered
        .objects()
        .iter()
        .filter(|object| object["metadata"]["labels"]["app.kubernetes.io/component"] == "test")
        .collect();
    let kinds: BTreeSet<_> = of_the_test.iter().map(|object| object["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, BTreeSet::from(["ClusterRole", "ClusterRoleBinding", "Pod", "ServiceAccount"]));
    for object in of_the_test {
        let annotations = &object["metadata"]["annotations"];
        assert_eq!(annotations["helm.sh/hook"], "test");
        assert_eq!(
            annotations["helm.sh/hook-delete-policy"],
            "before-hook-creation,hook-succeeded,hook-failed"
        );
    }
}
