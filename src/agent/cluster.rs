//! What an agent asks of the API server, and nothing more.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use futures::Stream;
use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::api::{ListParams, Patch, PatchParams};
use kube::core::PartialObjectMeta;
use kube::runtime::{WatchStreamExt, watcher};
use kube::{Api, Client, ResourceExt};
use tokio::time::Instant;

use super::error::ApiError;
use super::owner::Owner;
use super::pods::needs;
use crate::api::deletion::ImageDeletion;
use crate::api::report::{ImageDeletionReport, name_of};
use crate::clock::{Clock, timed};
use crate::image;
use crate::node::{Needs, Unknown};

/// Who writes the fields of a report.
const FIELD_MANAGER: &str = "secateur-agent";
/// How long a request may take. A watch takes as long as it wants.
const DEADLINE: Duration = Duration::from_secs(30);
/// How long the pods may take to be listed while images are away. They are put back after that.
const SHORT_DEADLINE: Duration = Duration::from_secs(5);
/// Deletions that have come to their end are of no more interest: they leave the watch.
const UNFINISHED: &str = "status.phase!=Complete,status.phase!=Failed";

/// The metadata of a deletion: all that an agent watches.
pub type Metadata = PartialObjectMeta<ImageDeletion>;

/// The cluster, as the agent of one node sees it.
#[derive(Clone)]
pub struct Cluster {
    client: Client,
    clock: Clock,
    node: String,
}

impl Cluster {
    /// The cluster behind `client`, seen from `node`.
    pub fn new(client: Client, node: &str) -> Self {
        let (client, clock) = timed(client);
        Self { client, clock, node: node.to_owned() }
    }

    /// What time it is in the cluster, whatever this node's clock says.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// When that time will be here.
    pub fn instant_of(&self, time: Timestamp) -> Instant {
        Instant::now() + self.clock.until(time)
    }

    /// The node of this agent.
    pub fn node_name(&self) -> &str {
        &self.node
    }

    /// The standing watch. It ends never, and goes on with a growing delay while the API server is not there.
    pub fn watch(&self) -> impl Stream<Item = Result<watcher::Event<Metadata>, watcher::Error>> + use<> {
        let deletions: Api<Metadata> = Api::all(self.client.clone());
        watcher(deletions, watcher::Config::default().fields(UNFINISHED)).default_backoff()
    }

    /// Says whenever a pod of this node changes or goes. Only for as long as a pod is waited for.
    pub fn watch_pods(
        &self,
    ) -> impl Stream<Item = Result<watcher::Event<PartialObjectMeta<Pod>>, watcher::Error>> + use<> {
        let pods: Api<PartialObjectMeta<Pod>> = Api::all(self.client.clone());
        watcher(pods, watcher::Config::default().fields(&self.of_this_node())).default_backoff()
    }

    /// The whole deletion; `None` if it is gone, and another has its name or none.
    pub async fn deletion(&self, owner: &Owner) -> Result<Option<ImageDeletion>, ApiError> {
        let deletions: Api<ImageDeletion> = Api::all(self.client.clone());
        let found = answer("get the ImageDeletion", &owner.name, deletions.get_opt(&owner.name)).await?;
        Ok(found.filter(|deletion| deletion.uid().as_deref() == Some(&*owner.uid)))
    }

    /// What this node has reported on the deletion with this UID.
    pub async fn report(&self, uid: &str) -> Result<Option<ImageDeletionReport>, ApiError> {
        let reports: Api<ImageDeletionReport> = Api::all(self.client.clone());
        let name = name_of(&self.node, uid);
        answer("get the ImageDeletionReport", &name, reports.get_opt(&name)).await
    }

    /// The pods that are bound to this node: a consistent read, not one of a cache.
    pub async fn pods(&self) -> Result<Vec<Pod>, ApiError> {
        let pods: Api<Pod> = Api::all(self.client.clone());
        let selected = ListParams::default().fields(&self.of_this_node());
        Ok(answer("list the pods of node", &self.node, pods.list(&selected)).await?.items)
    }

    /// The metadata of this node: its labels and its age.
    pub async fn node(&self) -> Result<PartialObjectMeta<Node>, ApiError> {
        let nodes: Api<Node> = Api::all(self.client.clone());
        answer("get the node", &self.node, nodes.get_metadata(&self.node)).await
    }

    /// Writes a report, whether it is new or not.
    pub async fn apply(&self, report: &ImageDeletionReport) -> Result<(), ApiError> {
        let reports: Api<ImageDeletionReport> = Api::all(self.client.clone());
        let name = report.name_any();
        let params = PatchParams::apply(FIELD_MANAGER).force();
        answer("apply the ImageDeletionReport", &name, reports.patch(&name, &params, &Patch::Apply(report)))
            .await
            .map(drop)
    }

    fn of_this_node(&self) -> String {
        format!("spec.nodeName={}", self.node)
    }
}

/// The node asks in the middle of an operation, while the images that it is about are away.
impl Needs for Cluster {
    fn pods(&self) -> BoxFuture<'_, Result<Vec<image::Pod>, Unknown>> {
        let pods = tokio::time::timeout(SHORT_DEADLINE, self.pods());
        Box::pin(async move { Ok(pods.await??.iter().filter_map(needs).collect()) })
    }
}

async fn answer<T: Debug>(
    what: &'static str,
    name: &str,
    request: impl Future<Output = kube::Result<T>>,
) -> Result<T, ApiError> {
    match tokio::time::timeout(DEADLINE, request).await {
        Ok(Ok(answer)) => Ok(answer),
        Ok(Err(source)) => Err(ApiError::Refused { what, name: name.to_owned(), source: Box::new(source) }),
        Err(_) => Err(ApiError::Deadline { what, name: name.to_owned(), deadline: DEADLINE }),
    }
}
