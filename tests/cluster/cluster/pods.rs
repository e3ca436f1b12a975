//! Pods of the bed's own images.

use std::path::Path;

use k8s_openapi::api::core::v1::Pod as PodObject;
use kube::Api;
use kube::api::{DeleteParams, PostParams};
use serde_json::{Value, json};

use super::{Cluster, Node};

/// A pod that sleeps on a node, unless told otherwise. Its one container is named `main`.
#[derive(Clone, Debug)]
pub(crate) struct Pod {
    object: Value,
}

impl Pod {
    /// A pod of an image that the node has: nothing is pulled.
    pub(crate) fn new(namespace: &str, name: &str, image: &str, node: &Node) -> Self {
        let object = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"namespace": namespace, "name": name},
            "spec": {
                "nodeSelector": {"kubernetes.io/hostname": node.name()},
                "terminationGracePeriodSeconds": 0,
                "containers": [container("main", image)],
            },
        });
        Self { object }
    }

    /// Lets its container run a line of shell instead.
    pub(crate) fn shell(mut self, line: &str) -> Self {
        self.object["spec"]["containers"][0]["command"] = shell(line);
        self
    }

    /// Puts a container before the others, which wait for the end of its line of shell.
    pub(crate) fn init(mut self, image: &str, line: &str) -> Self {
        let mut init = container("init", image);
        init["command"] = shell(line);
        self.object["spec"]["initContainers"] = json!([init]);
        self
    }

    /// Uses the node's network instead of a network of its own.
    pub(crate) fn host_network(mut self) -> Self {
        self.object["spec"]["hostNetwork"] = json!(true);
        self
    }

    /// Shows its container a directory of the node.
    pub(crate) fn host_directory(mut self, directory: &Path, at: &str) -> Self {
        self.object["spec"]["volumes"] = json!([{"name": "host", "hostPath": {"path": directory}}]);
        self.object["spec"]["containers"][0]["volumeMounts"] = json!([{"name": "host", "mountPath": at}]);
        self
    }

    /// Does not start its container again when that has ended.
    pub(crate) fn once(mut self) -> Self {
        self.object["spec"]["restartPolicy"] = json!("Never");
        self
    }

    /// Is bound to the node from the beginning, without a scheduler.
    pub(crate) fn bound(mut self, node: &Node) -> Self {
        self.object["spec"]["nodeName"] = json!(node.name());
        self
    }

    /// Has no volume with a token, which takes time to mount.
    pub(crate) fn without_token(mut self) -> Self {
        self.object["spec"]["automountServiceAccountToken"] = json!(false);
        self
    }

    fn namespace(&self) -> &str {
        self.object["metadata"]["namespace"].as_str().expect("a pod has a namespace")
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().expect("a pod has a name")
    }
}

impl Cluster {
    /// Makes a namespace, and waits until pods can be made in it.
    pub(crate) async fn namespace(&self, name: &str) {
        self.kubectl(["create", "namespace", name]);
        self.await_accounts(name).await;
    }

    /// Makes a pod, and does not wait for it.
    #[track_caller]
    pub(crate) fn create_pod(&self, pod: &Pod) {
        self.apply(&pod.object.to_string());
    }

    /// Makes a pod without `kubectl`, and does not wait for it.
    pub(crate) async fn post_pod(&self, pod: &Pod) {
        let object = serde_json::from_value(pod.object.clone()).expect("it is a pod");
        let made = self.pods(pod).create(&PostParams::default(), &object).await;
        made.unwrap_or_else(|error| panic!("{}: {error}", pod.name()));
    }

    /// Removes a pod at once and does not wait until its containers are gone. One that is gone already is no error.
    pub(crate) async fn remove_pod(&self, pod: &Pod) {
        match self.pods(pod).delete(pod.name(), &DeleteParams::default().grace_period(0)).await {
            Err(kube::Error::Api(status)) if status.code == 404 => {}
            removed => drop(removed.unwrap_or_else(|error| panic!("{}: {error}", pod.name()))),
        }
    }

    fn pods(&self, pod: &Pod) -> Api<PodObject> {
        Api::namespaced(self.client(), pod.namespace())
    }

    /// Makes a pod and waits until it runs.
    #[track_caller]
    pub(crate) fn run_pod(&self, pod: &Pod) {
        self.create_pod(pod);
        self.wait("condition=Ready", ["pod", pod.name(), "--namespace", pod.namespace()]);
    }

    /// Removes a pod and waits until it is gone.
    #[track_caller]
    pub(crate) fn delete_pod(&self, pod: &Pod) {
        self.kubectl(["delete", "pod", pod.name(), "--namespace", pod.namespace()]);
    }
}

fn container(name: &str, image: &str) -> Value {
    json!({"name": name, "image": image, "imagePullPolicy": "Never"})
}

fn shell(line: &str) -> Value {
    json!(["/bin/busybox", "sh", "-c", line])
}
