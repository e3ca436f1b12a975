//! The pods: what they may do on a node, what they are told, and what finds them.

use std::process::Command;

use serde_json::{Value, json};

use crate::helm::{NAMESPACE, Pod, Rendered, every_rendering, name, strings};

const SOCKET: &str = "--address=";

#[test]
fn a_container_may_do_nothing() {
    for rendered in every_rendering() {
        for pod in rendered.pods() {
            let may = json!({
                "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true, "capabilities": {"drop": ["ALL"]},
            });
            assert_eq!(pod.container()["securityContext"], may, "{}", pod.component);
            for shared in ["hostPID", "hostIPC", "shareProcessNamespace"] {
                assert!(pod.spec[shared].is_null(), "{}: {shared}", pod.component);
            }
        }
    }
}

#[test]
fn only_the_agent_is_root_and_sees_the_directory_of_the_socket() {
    for rendered in every_rendering() {
        for pod in rendered.pods() {
            let (user, volumes, mounts) = match pod.component {
                "agent" => {
                    let arguments = pod.arguments();
                    let socket = arguments.iter().find_map(|argument| argument.strip_prefix(SOCKET)).unwrap();
                    let directory = socket.rsplit_once('/').unwrap().0;
                    let volume =
                        json!({"name": "containerd", "hostPath": {"path": directory, "type": "Directory"}});
                    let mount = json!({"name": "containerd", "mountPath": directory});
                    (json!({"runAsUser": 0, "runAsGroup": 0}), json!([volume]), json!([mount]))
                }
                _ => (
                    json!({"runAsNonRoot": true, "runAsUser": 65532, "runAsGroup": 65532}),
                    Value::Null,
                    Value::Null,
                ),
            };
            let mut context = user;
            context["seccompProfile"] = json!({"type": "RuntimeDefault"});
            assert_eq!(pod.spec["securityContext"], context, "{}", pod.component);
            assert_eq!(pod.spec["volumes"], volumes, "{}", pod.component);
            assert_eq!(pod.container()["volumeMounts"], mounts, "{}", pod.component);
        }
    }
}

#[test]
fn the_agent_has_the_selinux_label_that_is_asked_for() {
    let rendered = Rendered::with(&["--set", "agent.seLinuxOptions.type=spc_t"]);
    let label = |component| rendered.pod(component).spec["securityContext"]["seLinuxOptions"].clone();
    assert_eq!((label("agent"), label("controller")), (json!({"type": "spc_t"}), Value::Null));
}

#[test]
fn a_pod_takes_little_and_says_how_it_is() {
    for pod in Rendered::by_default().pods() {
        let resources = &pod.container()["resources"];
        for path in ["/requests/cpu", "/requests/memory", "/limits/memory"] {
            assert!(resources.pointer(path).is_some(), "{}: {path}", pod.component);
        }
        if pod.component != "test" {
            let container = pod.container();
            assert_eq!(container["ports"], json!([{"name": "metrics", "containerPort": 9464}]));
            assert_eq!(container["livenessProbe"]["httpGet"], json!({"path": "/healthz", "port": "metrics"}));
            assert_eq!(container["readinessProbe"]["httpGet"], json!({"path": "/readyz", "port": "metrics"}));
        }
    }
}

#[test]
fn the_program_takes_the_arguments() {
    for rendered in every_rendering() {
        for pod in rendered.pods() {
            // Arguments that it does not know, or values that it refuses, come before the help.
            let output = Command::new(env!("CARGO_BIN_EXE_secateur"))
                .args(pod.arguments())
                .arg("--help")
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{} {:?}: {said}", pod.component, pod.arguments());
        }
    }
}

#[test]
fn the_agent_protects_what_the_values_say_and_its_own_image() {
    let protected = |set: &str| {
        let rendered = Rendered::with(&["--set", set]);
        let arguments = rendered.pod("agent").arguments().into_iter().map(str::to_owned).collect::<Vec<_>>();
        arguments
            .iter()
            .filter_map(|argument| argument.strip_prefix("--protect="))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let digest = format!("sha256:{}", "a".repeat(64));
    assert_eq!(protected("image.tag=v1"), ["registry.k8s.io/**", "localhost/secateur:v1"]);
    assert_eq!(
        protected(&format!("image.repository=example.com/s,image.digest={digest},protect=null")),
        [format!("example.com/s@{digest}")]
    );
    assert_eq!(protected("protect={a/**,b:*}"), ["a/**", "b:*", "localhost/secateur:dev"]);
}

#[test]
fn every_pod_runs_the_one_image() {
    let digest = format!("sha256:{}", "a".repeat(64));
    let rows = [
        ("image.tag=v1".to_owned(), "localhost/secateur:v1".to_owned()),
        (format!("image.digest={digest}"), format!("localhost/secateur@{digest}")),
    ];
    for (set, image) in rows {
        for pod in Rendered::with(&["--set", &set, "--set", "image.pullPolicy=Never"]).pods() {
            assert_eq!(pod.container()["image"], image);
            assert_eq!(pod.container()["imagePullPolicy"], "Never");
        }
    }
}

#[test]
fn on_the_network_of_the_node_nobody_takes_the_port_of_another() {
    let rendered = Rendered::with(&["--set", "agent.hostNetwork=true,controller.hostNetwork=true"]);
    let port = |pod: &Pod<'_>| {
        let port = pod.container()["ports"][0]["containerPort"].as_u64().unwrap();
        assert!(pod.arguments().contains(&&*format!("--listen=:{port}")));
        port
    };
    assert_ne!(port(&rendered.pod("agent")), port(&rendered.pod("controller")));
    for pod in rendered.pods() {
        assert_eq!(
            (&pod.spec["hostNetwork"], &pod.spec["dnsPolicy"]),
            (&json!(true), &json!("ClusterFirstWithHostNet"))
        );
    }
    for pod in Rendered::by_default().pods() {
        assert!(pod.spec["hostNetwork"].is_null());
    }
}

#[test]
fn the_address_of_the_api_server_can_be_told() {
    let set = "apiServer.host=10.1.2.3,apiServer.port=8443";
    for pod in Rendered::with(&["--set", set]).pods() {
        let variables = pod.container()["env"].as_array().unwrap();
        let value =
            |name: &str| variables.iter().find(|variable| variable["name"] == name).unwrap()["value"].clone();
        assert_eq!(value("KUBERNETES_SERVICE_HOST"), "10.1.2.3", "{}", pod.component);
        assert_eq!(value("KUBERNETES_SERVICE_PORT"), "8443", "{}", pod.component);
    }
}

#[test]
fn an_agent_is_on_every_node_and_stays() {
    let rendered = Rendered::by_default();
    let agent = rendered.pod("agent");
    assert_eq!(agent.spec["tolerations"], json!([{"operator": "Exists"}]));
    assert_eq!(agent.spec["priorityClassName"], "system-node-critical");
    assert_eq!(
        rendered.one("DaemonSet", "")["spec"]["updateStrategy"]["rollingUpdate"]["maxUnavailable"],
        "10%"
    );
}

/// GKE takes critical pods only in a namespace that has a quota for their class.
#[test]
fn a_quota_lets_critical_pods_in_and_counts_no_others() {
    let rows: [(&str, &[&str]); 5] = [
        ("logLevel=info", &["system-node-critical"]),
        ("controller.priorityClassName=system-node-critical", &["system-node-critical"]),
        (
            "controller.priorityClassName=system-cluster-critical",
            &["system-node-critical", "system-cluster-critical"],
        ),
        (
            "agent.priorityClassName=,controller.priorityClassName=system-cluster-critical",
            &["system-cluster-critical"],
        ),
        ("agent.priorityClassName=batch", &[]),
    ];
    for (set, classes) in rows {
        let rendered = Rendered::with(&["--set", set]);
        let specs: Vec<_> =
            rendered.of("ResourceQuota").into_iter().map(|quota| quota["spec"].clone()).collect();
        let quota = json!({
            "hard": {"pods": "1G"},
            "scopeSelector": {"matchExpressions": [
                {"scopeName": "PriorityClass", "operator": "In", "values": classes},
            ]},
        });
        let expected = if classes.is_empty() { vec![] } else { vec![quota] };
        assert_eq!(specs, expected, "{set}");
    }
}

#[test]
fn selectors_find_their_pods_and_no_others() {
    for rendered in every_rendering() {
        let components = |selects: &dyn Fn(&Value) -> bool| {
            rendered
                .pods()
                .iter()
                .filter(|pod| selects(pod.labels))
                .map(|pod| pod.component.to_owned())
                .collect::<Vec<_>>()
        };
        let has = |labels: &Value, wanted: &Value| {
            wanted.as_object().unwrap().iter().all(|(name, value)| labels[name] == *value)
        };
        for (kind, component) in [("DaemonSet", "agent"), ("Deployment", "controller")] {
            let wanted = &rendered.one(kind, "")["spec"]["selector"]["matchLabels"];
            assert_eq!(components(&|labels| has(labels, wanted)), [component], "{}", rendered.set);
        }
        let controller = rendered.pod("controller");
        let arguments = controller.arguments();
        let selector =
            arguments.iter().find_map(|argument| argument.strip_prefix("--agent-selector=")).unwrap();
        let matches = |labels: &Value| {
            selector
                .split(',')
                .all(|pair| pair.split_once('=').is_some_and(|(name, value)| labels[name] == value))
        };
        assert_eq!(components(&matches), ["agent"], "{}", rendered.set);
        for monitor in rendered.of("PodMonitor") {
            let selector = &monitor["spec"]["selector"];
            let listed = &selector["matchExpressions"][0];
            let selects = |labels: &Value| {
                let value = labels[listed["key"].as_str().unwrap()].as_str().unwrap();
                has(labels, &selector["matchLabels"]) && strings(&listed["values"]).contains(&value)
            };
            assert_eq!(components(&selects), ["agent", "controller"], "{}", rendered.set);
        }
    }
}

#[test]
fn the_lease_that_the_controller_takes_is_the_one_that_there_is() {
    let rendered = Rendered::with(&["--set", "fullnameOverride=pruner"]);
    let lease = name(rendered.one("Lease", ""));
    assert!(rendered.pod("controller").arguments().contains(&&*format!("--lease-name={lease}")));
}

#[test]
fn every_object_has_the_labels_of_its_release_and_a_namespace_if_it_can() {
    const EVERYWHERE: [&str; 7] = [
        "ClusterRole",
        "ClusterRoleBinding",
        "CustomResourceDefinition",
        "FlowSchema",
        "PriorityLevelConfiguration",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
    ];
    for rendered in every_rendering() {
        for object in rendered.objects() {
            let labels = &object["metadata"]["labels"];
            assert_eq!(labels["app.kubernetes.io/name"], "secateur");
            assert_eq!(labels["app.kubernetes.io/instance"], "secateur");
            assert_eq!(labels["app.kubernetes.io/managed-by"], "Helm");
            let namespace = &object["metadata"]["namespace"];
            match EVERYWHERE.contains(&object["kind"].as_str().unwrap()) {
                true => assert!(namespace.is_null(), "{}", name(object)),
                false if name(object).ends_with("-events") => assert_eq!(namespace, "default"),
                false => assert_eq!(namespace, NAMESPACE, "{}", name(object)),
            }
        }
    }
}
