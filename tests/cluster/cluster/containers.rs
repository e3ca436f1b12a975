//! The containers of a node's pods, as its containerd and CRI tell of them.

use containerd_client::services::v1::GetRequest;
use containerd_client::types::v1::Status;
use k8s_cri::v1::{Container, ContainerFilter, ContainerState, ContainerStateValue, ListContainersRequest};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::Node;
use crate::bed::{Imported, NAMESPACE, in_namespace};

const POD_NAMESPACE: &str = "io.kubernetes.pod.namespace";
const POD_NAME: &str = "io.kubernetes.pod.name";

impl Node {
    /// The running container of a pod that has one: its ID, and how often one was started before it.
    pub(crate) async fn container_of(&self, namespace: &str, pod: &str) -> Option<(String, u32)> {
        let of_pod = [(POD_NAMESPACE, namespace), (POD_NAME, pod)];
        let container = self.running_containers(&of_pod).await.pop()?;
        Some((container.id, container.metadata.map_or(0, |metadata| metadata.attempt)))
    }

    /// The running containers that have these labels.
    pub(crate) async fn running_containers(&self, labels: &[(&str, &str)]) -> Vec<Container> {
        let labels = labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        let running = ContainerStateValue { state: ContainerState::ContainerRunning.into() };
        let filter = ContainerFilter {
            label_selector: labels.collect(),
            state: Some(running),
            ..ContainerFilter::default()
        };
        let request = ListContainersRequest { filter: Some(filter) };
        let listed = self.runtime().list_containers(request).await.expect("the CRI lists containers");
        listed.into_inner().containers
    }

    /// Kills the process of a container; one that has ended is no error.
    pub(crate) async fn kill_task(&self, container: &str) {
        if let Some(pid) = self.process_of(container).await {
            kill(pid, Signal::SIGKILL).ok();
        }
    }

    /// The process of a running container.
    pub(crate) async fn process_of(&self, container: &str) -> Option<Pid> {
        let request = GetRequest { container_id: container.to_owned(), ..GetRequest::default() };
        let task = self.client().tasks().get(in_namespace(NAMESPACE, request)).await.ok()?;
        let process = task.into_inner().process.filter(|process| process.status() == Status::Running)?;
        Some(Pid::from_raw(process.pid.cast_signed()))
    }

    /// What is not there of an image: its record, or a record of that name that points elsewhere; content; layers.
    pub(crate) async fn lost_of(&self, image: &Imported) -> Vec<String> {
        let (record, content, snapshots) =
            tokio::join!(self.record(&image.name), self.content(), self.snapshots());
        let named = record.is_some_and(|record| record.target == image.target);
        let name = (!named).then(|| image.name.clone());
        let content = image.content().into_iter().filter(|digest| !content.contains_key(digest));
        let layers = image.chain_ids().into_iter().filter(|chain| !snapshots.contains_key(&**chain));
        name.into_iter().chain(content.chain(layers).map(|digest| digest.to_string())).collect()
    }
}
