//! The CRI of a scripted node: one container that runs, of an image that no deletion names.

use std::collections::HashMap;

use k8s_cri::v1::{
    Container, ContainerMetadata, ContainerState, ContainerStatus, ContainerStatusRequest,
    ContainerStatusResponse, ListContainersRequest, ListContainersResponse, ListPodSandboxRequest,
    ListPodSandboxResponse, PodSandbox, StatusRequest, StatusResponse,
};

use super::calls::unknown;
use super::wire::{Answer, Request, one};
use crate::bed::Digest;

/// The ID of the container.
pub(super) const CONTAINER: &str = "7c6f3d1a5f0b4f7d9c7c5f0f3a8e2d41b6a59c0e8d7f6a5b4c3d2e1f0a9b8c7d";

const SANDBOX: &str = "1b9f0c52d7a84e63b5a0f1e7c9d2846ab3e5f7089c1d2e3f405162738495a6b7";

/// Answers a call of the runtime service.
pub(super) async fn answer(method: &str, request: Request) -> Answer {
    match method {
        "Status" => {
            one(request, |_: StatusRequest| {
                let info = HashMap::from([("config".to_owned(), "{}".to_owned())]);
                Ok(StatusResponse { info, ..StatusResponse::default() })
            })
            .await
        }
        "ListContainers" => {
            one(request, |_: ListContainersRequest| {
                Ok(ListContainersResponse { containers: vec![container()] })
            })
            .await
        }
        "ListPodSandbox" => {
            one(request, |_: ListPodSandboxRequest| Ok(ListPodSandboxResponse { items: vec![sandbox()] }))
                .await
        }
        "ContainerStatus" => {
            one(request, |asked: ContainerStatusRequest| {
                let status = ContainerStatus { id: asked.container_id, ..ContainerStatus::default() };
                Ok(ContainerStatusResponse { status: Some(status), ..ContainerStatusResponse::default() })
            })
            .await
        }
        _ => unknown("RuntimeService", method),
    }
}

fn sandbox() -> PodSandbox {
    PodSandbox { id: SANDBOX.to_owned(), ..PodSandbox::default() }
}

fn container() -> Container {
    Container {
        id: CONTAINER.to_owned(),
        metadata: Some(ContainerMetadata { name: "agent".to_owned(), attempt: 0 }),
        image_id: Digest::of(b"the agent's image").to_string(),
        state: ContainerState::ContainerRunning.into(),
        ..Container::default()
    }
}
