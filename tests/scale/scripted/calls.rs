//! The calls that a scripted node answers, by their paths.

use std::sync::Arc;

use containerd_client::services::v1 as services;
use containerd_client::services::v1::snapshots;
use containerd_client::types::Envelope;
use containerd_client::types::v1::Process;
use futures::stream;
use services::{
    Container, CreateImageResponse, CreateResponse, GetImageResponse, InfoResponse, ListContainerMessage,
    ListContentResponse, ListImagesResponse, ListResponse, ListTasksResponse, ReadContentResponse,
    UpdateResponse, VersionResponse, WriteAction, WriteContentResponse,
};
use tonic::Status;

use super::cri::{self, CONTAINER};
use super::store::{Node, missing};
use super::wire::{Answer, Request, first, many, one};

/// The version that a node says it has.
const VERSION: &str = "v2.3.7";

/// Answers a call.
pub(super) async fn answer(node: Arc<Node>, request: Request) -> Answer {
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let (service, method) = path.split_once('/').unwrap_or((&path, ""));
    match service {
        "containerd.services.version.v1.Version" if method == "Version" => version(request).await,
        "containerd.services.namespaces.v1.Namespaces" if method == "List" => namespaces(request).await,
        "containerd.services.events.v1.Events" => events(&node, method, request).await,
        "containerd.services.images.v1.Images" => images(&node, method, request).await,
        "containerd.services.content.v1.Content" => content(&node, method, request).await,
        "containerd.services.leases.v1.Leases" => leases(&node, method, request).await,
        "containerd.services.snapshots.v1.Snapshots" => snapshot(&node, method, request).await,
        "containerd.services.containers.v1.Containers" if method == "ListStream" => containers(request).await,
        "containerd.services.tasks.v1.Tasks" if method == "List" => tasks(request).await,
        "runtime.v1.RuntimeService" => cri::answer(method, request).await,
        _ => unknown(service, method),
    }
}

/// Refuses a call that no agent makes.
pub(super) fn unknown(service: &str, method: &str) -> Answer {
    Status::unimplemented(format!("the scripted node knows no {service}/{method}")).into_http()
}

async fn version(request: Request) -> Answer {
    one(request, |()| Ok(VersionResponse { version: VERSION.to_owned(), ..VersionResponse::default() })).await
}

async fn namespaces(request: Request) -> Answer {
    one(request, |_: services::ListNamespacesRequest| {
        let namespace = services::Namespace { name: "k8s.io".to_owned(), ..services::Namespace::default() };
        Ok(services::ListNamespacesResponse { namespaces: vec![namespace] })
    })
    .await
}

async fn events(node: &Node, method: &str, request: Request) -> Answer {
    match method {
        "Publish" => {
            one(request, |event: services::PublishRequest| {
                // Nobody may be listening.
                let _ = node.events.send(event.topic);
                Ok(())
            })
            .await
        }
        "Subscribe" => {
            many(request, |_: services::SubscribeRequest| {
                let heard = stream::unfold(node.events.subscribe(), async |mut events| {
                    let topic = events.recv().await.ok()?;
                    Some((Ok(Envelope { topic, ..Envelope::default() }), events))
                });
                Ok(heard)
            })
            .await
        }
        _ => unknown("Events", method),
    }
}

async fn images(node: &Node, method: &str, request: Request) -> Answer {
    match method {
        "Get" => {
            one(request, |asked: services::GetImageRequest| {
                Ok(GetImageResponse { image: Some(node.state().image(&asked.name)?) })
            })
            .await
        }
        "List" => {
            one(request, |asked: services::ListImagesRequest| {
                Ok(ListImagesResponse { images: node.state().images(&asked)? })
            })
            .await
        }
        "Create" => {
            one(request, |asked: services::CreateImageRequest| {
                Ok(CreateImageResponse { image: Some(node.state().create_image(asked)?) })
            })
            .await
        }
        "Delete" => {
            one(request, |asked: services::DeleteImageRequest| node.state().delete_image(&asked)).await
        }
        _ => unknown("Images", method),
    }
}

async fn content(node: &Node, method: &str, request: Request) -> Answer {
    match method {
        "Info" => {
            one(request, |asked: services::InfoRequest| {
                Ok(InfoResponse { info: Some(node.state().info(&asked.digest)?) })
            })
            .await
        }
        "Read" => {
            many(request, |asked: services::ReadContentRequest| {
                let data = node.state().blob(&asked.digest)?.data.to_vec();
                Ok(stream::iter([Ok(ReadContentResponse { offset: 0, data })]))
            })
            .await
        }
        "List" => {
            many(request, |_: services::ListContentRequest| {
                let state = node.state();
                let info =
                    state.content.blobs.keys().map(|digest| state.info(digest)).collect::<Result<_, _>>()?;
                Ok(stream::iter([Ok(ListContentResponse { info })]))
            })
            .await
        }
        "Update" => {
            one(request, |asked: services::UpdateRequest| {
                Ok(UpdateResponse { info: Some(node.state().update(asked)?) })
            })
            .await
        }
        "Write" => {
            let lease = request.headers().get("containerd-lease").and_then(|lease| lease.to_str().ok());
            let lease = lease.map(str::to_owned);
            first(request, |asked: services::WriteContentRequest| {
                let written = WriteContentResponse {
                    action: WriteAction::Commit.into(),
                    digest: asked.expected.clone(),
                    ..WriteContentResponse::default()
                };
                node.state().write(asked, lease.as_deref())?;
                Ok(written)
            })
            .await
        }
        _ => unknown("Content", method),
    }
}

async fn leases(node: &Node, method: &str, request: Request) -> Answer {
    match method {
        "Create" => {
            one(request, |asked: services::CreateRequest| {
                node.state().create_lease(asked.id, asked.labels)?;
                Ok(CreateResponse::default())
            })
            .await
        }
        "List" => {
            one(request, |asked: services::ListRequest| {
                let has = |labels: &std::collections::HashMap<String, String>| {
                    let is_asked =
                        |filter: &String| labels.keys().any(|key| *filter == format!("labels.\"{key}\""));
                    asked.filters.is_empty() || asked.filters.iter().any(is_asked)
                };
                let state = node.state();
                let listed =
                    state.leases.iter().filter(|(_, lease)| has(&lease.labels)).map(|(id, lease)| {
                        services::Lease {
                            id: id.clone(),
                            labels: lease.labels.clone(),
                            ..services::Lease::default()
                        }
                    });
                Ok(ListResponse { leases: listed.collect() })
            })
            .await
        }
        "AddResource" => {
            one(request, |asked: services::AddResourceRequest| {
                node.state().hold(&asked.id, &asked.resource.unwrap_or_default())
            })
            .await
        }
        "Delete" => {
            one(request, |asked: services::DeleteRequest| node.state().delete_lease(&asked.id, asked.sync))
                .await
        }
        _ => unknown("Leases", method),
    }
}

async fn snapshot(node: &Node, method: &str, request: Request) -> Answer {
    let find =
        |key: &str| node.state().content.snapshots.get(key).copied().ok_or_else(|| missing("snapshot", key));
    match method {
        "Usage" => {
            one(request, |asked: snapshots::UsageRequest| {
                let size = find(&asked.key)?.try_into().unwrap_or(i64::MAX);
                Ok(snapshots::UsageResponse { size, inodes: 1 })
            })
            .await
        }
        "Stat" => {
            one(request, |asked: snapshots::StatSnapshotRequest| {
                find(&asked.key)?;
                let info = snapshots::Info { name: asked.key, ..snapshots::Info::default() };
                Ok(snapshots::StatSnapshotResponse { info: Some(info) })
            })
            .await
        }
        "List" => {
            many(request, |_: snapshots::ListSnapshotsRequest| {
                let named = |name: &Arc<str>| snapshots::Info {
                    name: name.to_string(),
                    ..snapshots::Info::default()
                };
                let info = node.state().content.snapshots.keys().map(named).collect();
                Ok(stream::iter([Ok(snapshots::ListSnapshotsResponse { info })]))
            })
            .await
        }
        _ => unknown("Snapshots", method),
    }
}

async fn containers(request: Request) -> Answer {
    many(request, |_: services::ListContainersRequest| {
        let container = Container { id: CONTAINER.to_owned(), ..Container::default() };
        Ok(stream::iter([Ok(ListContainerMessage { container: Some(container) })]))
    })
    .await
}

async fn tasks(request: Request) -> Answer {
    one(request, |_: services::ListTasksRequest| {
        let status = containerd_client::types::v1::Status::Running.into();
        let tasks = vec![Process { id: CONTAINER.to_owned(), status, ..Process::default() }];
        Ok(ListTasksResponse { tasks })
    })
    .await
}
