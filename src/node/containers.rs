//! The containers of a node: containerd's, each with what the CRI adds to it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use containerd_client::services::v1::containers_client::ContainersClient;
use containerd_client::services::v1::tasks_client::TasksClient;
use containerd_client::services::v1::{
    Container as ContainerdContainer, GetRequest, ListContainersRequest, ListTasksRequest,
};
use containerd_client::types::v1::Status as TaskStatus;
use futures::{StreamExt, TryStreamExt, stream};
use prost_types::Timestamp;

use super::client::{Containerd, LONG_DEADLINE, MESSAGE_MAX, Service, call, call_within, within};
use super::cri::{CriContainer, Process};
use super::error::{CallError, found};
use super::making::Making;
use crate::image::{Container, Evidence, Owner, State};

/// How many calls about single containers are under way at once.
const CONCURRENCY: usize = 16;

const POD_NAMESPACE_LABEL: &str = "io.kubernetes.pod.namespace";
const POD_NAME_LABEL: &str = "io.kubernetes.pod.name";
/// What the CRI plugin calls a container of its own: `container`, or `sandbox`, which it does not list among the containers.
const KIND_LABEL: &str = "io.cri-containerd.kind";
const CONTAINER_NAME_LABEL: &str = "io.kubernetes.container.name";

/// What the specification of a container with a user namespace has (`linux.uidMappings` of the OCI runtime specification).
const USER_MAPPINGS: &[u8] = b"\"uidMappings\"";

/// What never changes in the life of a container, by its ID: the images that were mounted into it and the parent of its
/// snapshot. Holds what the last look at the node found, so it is bounded by the containers of the node.
#[derive(Debug, Default)]
pub(super) struct KnownContainers(Mutex<HashMap<Box<str>, Arc<Origin>>>);

#[derive(Debug)]
struct Origin {
    made: Made,
    image: Evidence,
    volumes: Vec<Evidence>,
}

/// How a container was made. People may give one the ID of another that is gone.
#[derive(Debug, Clone, PartialEq)]
struct Made {
    at: Option<Timestamp>,
    image: Box<str>,
    snapshotter: Box<str>,
    snapshot_key: Box<str>,
}

/// What matters of a container as containerd lists it. Its specification and what the CRI keeps beside it are much more.
#[derive(Debug)]
struct Listed {
    id: String,
    made: Made,
    owner: Option<Owner>,
    /// Whether the CRI plugin makes it, and lists it once it is made.
    is_of_cri: bool,
    /// Whether its users are others outside.
    has_user_namespace: bool,
}

impl Listed {
    fn of(container: ContainerdContainer) -> Self {
        let ContainerdContainer { id, image, snapshotter, snapshot_key, labels, created_at, spec, .. } =
            container;
        let has_mappings = |spec: &[u8]| spec.windows(USER_MAPPINGS.len()).any(|part| part == USER_MAPPINGS);
        let has_user_namespace = spec.is_some_and(|spec| has_mappings(&spec.value));
        let made = Made {
            at: created_at,
            image: image.into(),
            snapshotter: snapshotter.into(),
            snapshot_key: snapshot_key.into(),
        };
        let is_of_cri = labels.get(KIND_LABEL).is_some_and(|kind| kind == "container");
        Self { id, made, owner: owner(&labels), is_of_cri, has_user_namespace }
    }
}

impl Containerd {
    /// Every container of the namespace, and whether it runs; and those of `making` that were begun before this and are not
    /// listed yet.
    pub(super) async fn containers(
        &self,
        known: &KnownContainers,
        mut making: Vec<Making>,
    ) -> Result<Vec<Container>, CallError> {
        // Three calls at once are a large future, and whoever looks at a node has this one in its own.
        let lists =
            async { tokio::try_join!(self.list_containers(), self.list_tasks(), self.cri_containers()) };
        let (listed, tasks, cri) = Box::pin(lists).await?;
        let before = known.take();
        making.retain(|making| listed.iter().all(|listed| *listed.made.snapshot_key != *making.key));
        let mut containers: Vec<Container> = stream::iter(listed)
            .map(|listed| {
                let (before, tasks, cri) = (&before, &tasks, &cri);
                async move {
                    let told = cri.as_ref().and_then(|cri| cri.get(&listed.id));
                    let origin = match before.get(&*listed.id) {
                        Some(origin) if origin.made == listed.made => Arc::clone(origin),
                        _ => Arc::new(self.origin(&listed, told).await?),
                    };
                    let running = match (told.map(|told| told.process), tasks.get(&listed.id)) {
                        (Some(Process::Runs), _) => true,
                        (_, Some(status)) => is_running(*status),
                        (Some(Process::Ended), None) => false,
                        (Some(Process::Unborn) | None, None) => self.may_have_task(&listed.id).await?,
                    };
                    // Until the CRI lists it, not everything about it can be learnt.
                    let is_whole = told.is_some() || cri.is_none() || !listed.is_of_cri;
                    Ok::<_, CallError>((
                        Container {
                            owner: listed.owner,
                            id: listed.id.into(),
                            state: if running { State::Running } else { State::Stopped },
                            image: origin.image.clone(),
                            volumes: origin.volumes.clone(),
                        },
                        is_whole.then_some(origin),
                    ))
                }
            })
            .buffer_unordered(CONCURRENCY)
            .map_ok(|(container, origin)| {
                origin.into_iter().for_each(|origin| known.put(&container.id, origin));
                container
            })
            .try_collect()
            .await?;
        containers.extend(making.into_iter().map(Making::container));
        Ok(containers)
    }

    async fn origin(&self, container: &Listed, told: Option<&CriContainer>) -> Result<Origin, CallError> {
        let volumes = match told {
            Some(_) => self.image_volumes(&container.id).await?,
            None => Vec::new(),
        };
        let image = match told.and_then(|told| told.image.clone()) {
            Some(config) => Evidence::Config(config),
            None => self.evidence(container).await?,
        };
        Ok(Origin { made: container.made.clone(), image, volumes })
    }

    async fn evidence(&self, container: &Listed) -> Result<Evidence, CallError> {
        let Made { image, snapshotter, snapshot_key, .. } = &container.made;
        let parent = match &**snapshot_key {
            "" => None,
            key if container.has_user_namespace => {
                self.snapshot_parent_beneath_copy(snapshotter, key).await?
            }
            key => self.snapshot_parent(snapshotter, key).await?,
        };
        let name = image.clone();
        Ok(match parent {
            Some(chain) => Evidence::Chain { chain, name },
            None => Evidence::Name(name),
        })
    }

    /// One message for each container: what users write into their pods' specifications is in it, and a message has a bound.
    async fn list_containers(&self) -> Result<Vec<Listed>, CallError> {
        let mut client = ContainersClient::new(self.service()).max_decoding_message_size(MESSAGE_MAX);
        let request = ListContainersRequest { filters: Vec::new() };
        within(LONG_DEADLINE, "containers.List", "", async {
            let mut answers = client.list_stream(request).await?.into_inner();
            let mut listed = Vec::new();
            while let Some(answer) = answers.message().await? {
                listed.extend(answer.container.map(Listed::of));
            }
            Ok(listed)
        })
        .await
    }

    async fn list_tasks(&self) -> Result<HashMap<String, TaskStatus>, CallError> {
        let request = ListTasksRequest { filter: String::new() };
        let tasks = call_within(LONG_DEADLINE, "tasks.List", "", self.tasks().list(request)).await?.tasks;
        Ok(tasks.into_iter().map(|task| (task.id.clone(), task.status())).collect())
    }

    /// Whether a container may have a task that was not listed: containerd 2 leaves one out whose shim does not answer within 2 s. Where
    /// containerd is there and says nothing of it twice, it is the shim that is silent.
    async fn may_have_task(&self, container: &str) -> Result<bool, CallError> {
        for _ in 0..2 {
            match self.has_task(container).await {
                Err(error) if error.may_pass() => drop(self.version().await?),
                told => return told,
            }
        }
        Ok(true)
    }

    async fn has_task(&self, container: &str) -> Result<bool, CallError> {
        let request = GetRequest { container_id: container.to_owned(), exec_id: String::new() };
        let answer = found(call("tasks.Get", container, self.tasks().get(request)).await)?;
        let process = answer.map(|answer| answer.process);
        Ok(process.is_some_and(|process| process.is_none_or(|process| is_running(process.status()))))
    }

    fn tasks(&self) -> TasksClient<Service> {
        TasksClient::new(self.service()).max_decoding_message_size(MESSAGE_MAX)
    }
}

impl KnownContainers {
    /// Whether the last look has found it.
    pub(super) fn has(&self, id: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains_key(id)
    }

    fn take(&self) -> HashMap<Box<str>, Arc<Origin>> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put(&self, id: &str, origin: Arc<Origin>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id.into(), origin);
    }
}

/// A task that is created, running, paused or pausing can use its image; a status that we don't know may as well.
const fn is_running(status: TaskStatus) -> bool {
    match status {
        TaskStatus::Created | TaskStatus::Running | TaskStatus::Paused | TaskStatus::Pausing => true,
        TaskStatus::Unknown => true,
        TaskStatus::Stopped => false,
    }
}

fn owner(labels: &HashMap<String, String>) -> Option<Owner> {
    Some(Owner {
        namespace: labels.get(POD_NAMESPACE_LABEL)?.as_str().into(),
        pod: labels.get(POD_NAME_LABEL)?.as_str().into(),
        container: labels.get(CONTAINER_NAME_LABEL).map(|name| name.as_str().into()),
    })
}
