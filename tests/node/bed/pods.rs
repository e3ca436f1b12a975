//! Pods and their containers, made through the CRI as the kubelet does.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};

use containerd_client::services::v1::{PauseTaskRequest, ResumeTaskRequest};
use k8s_cri::v1::{
    ContainerConfig, ContainerMetadata, ContainerState, ContainerStatusRequest, CreateContainerRequest,
    ImageSpec, LinuxContainerConfig, LinuxContainerSecurityContext, LinuxPodSandboxConfig,
    LinuxSandboxSecurityContext, Mount, NamespaceMode, NamespaceOption, PodSandboxConfig, PodSandboxMetadata,
    RemoveContainerRequest, RemovePodSandboxRequest, RunPodSandboxRequest, StartContainerRequest,
    StopContainerRequest, StopPodSandboxRequest,
};

use super::{NAMESPACE, Node, cgroup, in_namespace};

/// The state that a test wants a container in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Made and never started.
    Created,
    /// Its process runs.
    Running,
    /// Its process is frozen.
    Paused,
    /// It ran, and its process has ended.
    Stopped,
}

/// A pod sandbox on the host's network.
#[derive(Clone, Debug)]
pub(crate) struct Pod {
    /// The ID of the sandbox.
    pub id: String,
    config: PodSandboxConfig,
}

impl Node {
    /// Runs a pod sandbox.
    pub(crate) async fn pod(&self, namespace: &str, name: &str) -> Pod {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let uid = format!("00000000-0000-0000-0000-{:012}", COUNT.fetch_add(1, Ordering::Relaxed));
        let logs = self.home.join("pods").join(&uid);
        std::fs::create_dir_all(&logs).expect("the node's directory can be written");
        let config = PodSandboxConfig {
            metadata: Some(PodSandboxMetadata {
                name: name.to_owned(),
                uid: uid.clone(),
                namespace: namespace.to_owned(),
                attempt: 0,
            }),
            log_directory: logs.display().to_string(),
            labels: pod_labels(namespace, name, &uid),
            linux: Some(LinuxPodSandboxConfig {
                cgroup_parent: cgroup::parent(self.home.path()),
                security_context: Some(LinuxSandboxSecurityContext {
                    namespace_options: Some(host_network()),
                    ..LinuxSandboxSecurityContext::default()
                }),
                ..LinuxPodSandboxConfig::default()
            }),
            ..PodSandboxConfig::default()
        };
        let request = RunPodSandboxRequest { config: Some(config.clone()), runtime_handler: String::new() };
        let answer = self.runtime().run_pod_sandbox(request).await.expect("the CRI runs a pod sandbox");
        let id = answer.into_inner().pod_sandbox_id;
        Pod { id, config }
    }

    /// Makes a container of a pod in a state, and returns its ID. The image is a name or an ID.
    pub(crate) async fn container(&self, pod: &Pod, name: &str, image: &str, state: State) -> String {
        let id = self.create_container(pod, name, image, Vec::new()).await;
        match state {
            State::Created => {}
            State::Running => self.start_container(&id).await,
            State::Paused => {
                self.start_container(&id).await;
                self.pause(&id).await;
            }
            State::Stopped => {
                self.start_container(&id).await;
                self.stop_container(&id).await;
            }
        }
        id
    }

    /// Makes a container of a pod with an image for a volume, mounted at `/volume`, and does not start it. See KEP-4639.
    pub(crate) async fn container_with_volume(
        &self,
        pod: &Pod,
        name: &str,
        image: &str,
        volume: &str,
    ) -> String {
        let mount = Mount {
            container_path: "/volume".to_owned(),
            readonly: true,
            image: Some(ImageSpec { image: volume.to_owned(), ..ImageSpec::default() }),
            ..Mount::default()
        };
        self.create_container(pod, name, image, vec![mount]).await
    }

    async fn create_container(&self, pod: &Pod, name: &str, image: &str, mounts: Vec<Mount>) -> String {
        let mut labels = pod.config.labels.clone();
        labels.insert("io.kubernetes.container.name".to_owned(), name.to_owned());
        let config = ContainerConfig {
            metadata: Some(ContainerMetadata { name: name.to_owned(), attempt: 0 }),
            image: Some(ImageSpec { image: image.to_owned(), ..ImageSpec::default() }),
            log_path: format!("{name}.log"),
            labels,
            mounts,
            linux: Some(LinuxContainerConfig {
                security_context: Some(LinuxContainerSecurityContext {
                    namespace_options: Some(host_network()),
                    ..LinuxContainerSecurityContext::default()
                }),
                ..LinuxContainerConfig::default()
            }),
            ..ContainerConfig::default()
        };
        let request = CreateContainerRequest {
            pod_sandbox_id: pod.id.clone(),
            config: Some(config),
            sandbox_config: Some(pod.config.clone()),
        };
        let answer = self.runtime().create_container(request).await.expect("the CRI makes a container");
        answer.into_inner().container_id
    }

    /// Starts a container that was made and not started.
    pub(crate) async fn start_container(&self, id: &str) {
        let request = StartContainerRequest { container_id: id.to_owned() };
        self.runtime().start_container(request).await.expect("the CRI starts a container");
    }

    /// Ends a container's process at once.
    pub(crate) async fn stop_container(&self, id: &str) {
        let request = StopContainerRequest { container_id: id.to_owned(), timeout: 0 };
        self.runtime().stop_container(request).await.expect("the CRI stops a container");
    }

    /// Removes a container in any state.
    pub(crate) async fn remove_container(&self, id: &str) {
        let request = RemoveContainerRequest { container_id: id.to_owned() };
        self.runtime().remove_container(request).await.expect("the CRI removes a container");
    }

    /// Stops and removes a pod with all its containers.
    pub(crate) async fn remove_pod(&self, pod: &Pod) {
        let mut runtime = self.runtime();
        let stop = StopPodSandboxRequest { pod_sandbox_id: pod.id.clone() };
        runtime.stop_pod_sandbox(stop).await.expect("the CRI stops a pod sandbox");
        let remove = RemovePodSandboxRequest { pod_sandbox_id: pod.id.clone() };
        runtime.remove_pod_sandbox(remove).await.expect("the CRI removes a pod sandbox");
    }

    /// Freezes a running container, which only containerd itself can do: the CRI has no word for it.
    pub(crate) async fn pause(&self, id: &str) {
        let request = in_namespace(NAMESPACE, PauseTaskRequest { container_id: id.to_owned() });
        self.client().tasks().pause(request).await.expect("containerd pauses a task");
    }

    /// Lets a paused container go on.
    pub(crate) async fn resume(&self, id: &str) {
        let request = in_namespace(NAMESPACE, ResumeTaskRequest { container_id: id.to_owned() });
        self.client().tasks().resume(request).await.expect("containerd resumes a task");
    }

    /// The state of a container as the CRI has it. A paused one is running for the CRI.
    pub(crate) async fn cri_state(&self, id: &str) -> ContainerState {
        let request = ContainerStatusRequest { container_id: id.to_owned(), verbose: false };
        let answer = self.runtime().container_status(request).await.expect("the CRI knows the container");
        answer.into_inner().status.expect("a container has a status").state()
    }
}

fn pod_labels(namespace: &str, name: &str, uid: &str) -> HashMap<String, String> {
    [("namespace", namespace), ("name", name), ("uid", uid)]
        .map(|(key, value)| (format!("io.kubernetes.pod.{key}"), value.to_owned()))
        .into()
}

fn host_network() -> NamespaceOption {
    NamespaceOption {
        network: NamespaceMode::Node.into(),
        pid: NamespaceMode::Container.into(),
        ipc: NamespaceMode::Pod.into(),
        ..NamespaceOption::default()
    }
}
