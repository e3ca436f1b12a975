//! The CRI's runtime and image services, on the same socket as containerd.

use std::collections::{HashMap, HashSet};

use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use k8s_cri::v1::{
    ContainerState, ContainerStatusRequest, ListContainersRequest, ListPodSandboxRequest, StatusRequest,
};
use serde::Deserialize;
use tonic::transport::Channel;

use super::client::{Containerd, DEFAULT_NAMESPACE, MESSAGE_MAX, call};
use super::error::{CallError, found, served};
use super::operation::Node;
use crate::image::{Digest, Evidence, Pattern};

/// What the CRI knows of a container and containerd does not say.
#[derive(Debug, Clone)]
pub(super) struct CriContainer {
    /// The config digest of its image.
    pub image: Option<Digest>,
    /// Whether its process runs, as the CRI believes.
    pub process: Process,
}

/// What the CRI says of a container's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Process {
    /// It runs, or nobody could say after containerd had been started again.
    Runs,
    /// Its end was seen.
    Ended,
    /// It was not started yet, and can be at any time.
    Unborn,
}

impl Process {
    fn of(state: ContainerState) -> Self {
        match state {
            ContainerState::ContainerRunning | ContainerState::ContainerUnknown => Self::Runs,
            ContainerState::ContainerExited => Self::Ended,
            ContainerState::ContainerCreated => Self::Unborn,
        }
    }
}

/// The part of the CRI plugin's configuration that matters here; since containerd 2.0 the image is pinned instead.
#[derive(Debug, Deserialize)]
struct Configuration {
    #[serde(rename = "sandboxImage")]
    sandbox_image: Option<String>,
}

impl Node {
    /// What matches the image of the pods' sandboxes (`pause`) by its names, where the CRI does not pin it itself.
    pub async fn sandbox_image(&self) -> Result<Vec<Pattern>, CallError> {
        Ok(self.containerd.sandbox_image().await?.as_deref().map(Pattern::of).unwrap_or_default())
    }
}

impl Containerd {
    async fn sandbox_image(&self) -> Result<Option<String>, CallError> {
        // Since 2.0 it is pinned instead.
        let Some(mut runtime) = self.runtime_here().filter(|_| !self.checks_target()) else {
            return Ok(None);
        };
        let request = StatusRequest { verbose: true };
        let Some(answer) = served(call("cri.Status", "", runtime.status(request)).await)? else {
            return Ok(None);
        };
        let configuration = answer.info.get("config").and_then(|text| serde_json::from_str(text).ok());
        Ok(configuration.and_then(|found: Configuration| found.sandbox_image))
    }

    fn runtime(&self) -> RuntimeServiceClient<Channel> {
        RuntimeServiceClient::new(self.channel()).max_decoding_message_size(MESSAGE_MAX)
    }

    /// The runtime service, if the CRI serves this namespace.
    fn runtime_here(&self) -> Option<RuntimeServiceClient<Channel>> {
        (self.namespace() == DEFAULT_NAMESPACE).then(|| self.runtime())
    }

    /// The IDs of the sandboxes of pods. None where there is no CRI, as with [containers](Self::cri_containers).
    pub(super) async fn cri_sandboxes(&self) -> Result<Option<HashSet<String>>, CallError> {
        let Some(mut runtime) = self.runtime_here() else { return Ok(None) };
        let request = ListPodSandboxRequest { filter: None };
        let answer = served(call("cri.ListPodSandbox", "", runtime.list_pod_sandbox(request)).await)?;
        Ok(answer.map(|answer| answer.items.into_iter().map(|sandbox| sandbox.id).collect()))
    }

    /// The containers of every pod, by ID. None where there is no CRI: a containerd without the plugin, or a namespace that
    /// it does not serve.
    pub(super) async fn cri_containers(&self) -> Result<Option<HashMap<String, CriContainer>>, CallError> {
        let Some(mut runtime) = self.runtime_here() else { return Ok(None) };
        let request = ListContainersRequest { filter: None };
        let answer = served(call("cri.ListContainers", "", runtime.list_containers(request)).await)?;
        let read = |container: k8s_cri::v1::Container| {
            let id = if container.image_id.is_empty() { &container.image_ref } else { &container.image_id };
            let process = ContainerState::try_from(container.state).map_or(Process::Runs, Process::of);
            (container.id, CriContainer { image: id.parse().ok(), process })
        };
        Ok(answer.map(|answer| answer.containers.into_iter().map(read).collect()))
    }

    /// The images that are mounted into a container (KEP-4639); they don't change while it lives.
    pub(super) async fn image_volumes(&self, container: &str) -> Result<Vec<Evidence>, CallError> {
        let request = ContainerStatusRequest { container_id: container.to_owned(), verbose: false };
        let answer =
            found(call("cri.ContainerStatus", container, self.runtime().container_status(request)).await)?;
        let mounts = answer.and_then(|answer| answer.status).map(|status| status.mounts).unwrap_or_default();
        Ok(mounts
            .into_iter()
            .filter_map(|mount| mount.image)
            .map(|image| {
                image.image.parse().map_or_else(|_| Evidence::Name(image.image.into()), Evidence::Config)
            })
            .collect())
    }
}
