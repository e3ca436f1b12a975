//! What an agent asks of the API server, and nothing more.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use axum::http::HeaderValue;
use axum::http::header::ACCEPT;
use futures::{Stream, StreamExt, stream};
use jiff::Timestamp;
use k8s_openapi::api::core::v1;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::core::{PartialObjectMeta, Request};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use kube::{Api, Client, Resource, ResourceExt};
use tokio::time::Instant;

use super::error::ApiError;
use super::owner::Owner;
use super::pods::{Pod, Pods};
use crate::api::deletion::ImageDeletion;
use crate::api::report::{ImageDeletionReport, ImageDeletionReportSpec, name_of};
use crate::backoff::Backoff;
use crate::clock::{Clock, timed};
use crate::lenient::{Lenient, understood};

/// Asks for an object's metadata alone.
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
/// Who writes the fields of a report.
const FIELD_MANAGER: &str = "secateur-agent";
/// How long a request may take. Those of the watches have what the [client](crate::transport) gives any.
const DEADLINE: Duration = Duration::from_secs(30);
/// The longest time between two tries to list deletions.
const LONGEST: Duration = Duration::from_secs(30);
/// New deletions. With its first status a deletion leaves the watch, so that no agent hears of any status.
const NEW: &str = "status.phase=";
/// Deletions that have not come to their end.
const UNFINISHED: &str = "status.phase!=Complete,status.phase!=Failed";
/// Pods that have finished need no image.
const UNFINISHED_PODS: &str = "status.phase!=Succeeded,status.phase!=Failed";

/// The metadata of a deletion.
pub type Metadata = PartialObjectMeta<ImageDeletion>;

/// What the standing watch tells.
#[derive(Debug)]
pub enum Heard {
    /// These have not come to their end, and there are no others.
    Unfinished(Vec<Metadata>),
    /// This one is new, or its spec is.
    New(Box<ImageDeletion>),
    /// This one has a status now, was removed, or can't be understood any more: no more is heard of it.
    Left(Box<ObjectMeta>),
}

/// What became of a report that was to be written.
#[derive(Debug)]
pub enum Written {
    /// It is there.
    Taken,
    /// It is not: this one of the same node on the same deletion was there before, and nothing was changed.
    Not(Box<ImageDeletionReportSpec>),
    /// Its earlier one is gone, as its deletion is.
    Gone,
}

/// Where a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// There is probably none of this node yet.
    Free,
    /// There is probably one, which it replaces.
    Taken,
    /// There is one that it replaces, or the deletion is gone, and so are its reports.
    Last,
}

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

    /// The same time on the clock of timers.
    pub fn instant_of(&self, time: Timestamp) -> Instant {
        Instant::now() + self.clock.until(time)
    }

    /// The node of this agent.
    pub fn node_name(&self) -> &str {
        &self.node
    }

    /// The standing watch. It ends never, and goes on with a growing delay while the API server is not there.
    pub fn watch(&self) -> impl Stream<Item = Result<Heard, watcher::Error>> + use<> {
        let deletions: Api<Lenient<ImageDeletion>> = Api::all(self.client.clone());
        let cluster = self.clone();
        let events = watcher(deletions, watcher::Config::default().fields(NEW)).default_backoff();
        events.flat_map(move |event| {
            let heard = match event {
                Ok(Event::Init | Event::InitApply(_)) => None,
                Ok(Event::InitDone) => return cluster.clone().unfinished().boxed(),
                Ok(Event::Apply(deletion)) => Some(Ok(heard_of(deletion))),
                Ok(Event::Delete(deletion)) => Some(Ok(Heard::Left(Box::new(deletion.meta().clone())))),
                Err(error) => Some(Err(error)),
            };
            stream::iter(heard).boxed()
        })
    }

    /// What there is when the watch begins, those with a status among them. It is asked for until there is an answer.
    fn unfinished(self) -> impl Stream<Item = Result<Heard, watcher::Error>> {
        let deletions: Api<Lenient<Metadata>> = Api::all(self.client);
        stream::unfold(Some(Backoff::up_to(LONGEST)), move |backoff| {
            let deletions = deletions.clone();
            async move {
                let mut backoff = backoff?;
                match deletions.list(&ListParams::default().fields(UNFINISHED)).await {
                    Ok(listed) => Some((Ok(Heard::Unfinished(understood(listed.items))), None)),
                    Err(error) => {
                        tokio::time::sleep(backoff.pause()).await;
                        Some((Err(watcher::Error::InitialListFailed(error)), Some(backoff)))
                    }
                }
            }
        })
    }

    /// Says whenever a pod of this node changes or goes. Only for as long as a pod is waited for.
    pub fn watch_pods(
        &self,
    ) -> impl Stream<Item = Result<Event<Lenient<PartialObjectMeta<v1::Pod>>>, watcher::Error>> + use<> {
        let pods: Api<Lenient<PartialObjectMeta<v1::Pod>>> = Api::all(self.client.clone());
        watcher(pods, watcher::Config::default().fields(&self.of_this_node())).default_backoff()
    }

    /// The whole deletion; `None` if it is gone, and another has its name or none.
    pub async fn deletion(&self, owner: &Owner) -> Result<Option<ImageDeletion>, ApiError> {
        let deletions: Api<Lenient<ImageDeletion>> = Api::all(self.client.clone());
        let found = answer("get the ImageDeletion", &owner.name, deletions.get_opt(&owner.name)).await?;
        Ok(found
            .and_then(Lenient::understood)
            .filter(|deletion| deletion.uid().as_deref() == Some(&*owner.uid)))
    }

    /// The metadata of a deletion that has not come to its end; `None` if it has, or is gone.
    pub async fn unfinished_one(&self, owner: &Owner) -> Result<Option<Metadata>, ApiError> {
        let deletions: Api<Lenient<Metadata>> = Api::all(self.client.clone());
        let selected = ListParams::default().fields(&format!("metadata.name={},{UNFINISHED}", owner.name));
        let found = answer("look for the ImageDeletion", &owner.name, deletions.list(&selected)).await?;
        Ok(understood(found.items)
            .into_iter()
            .find(|deletion| deletion.uid().as_deref() == Some(&*owner.uid)))
    }

    /// What this node has reported on the deletion with this UID.
    pub async fn report(&self, uid: &str) -> Result<Option<ImageDeletionReport>, ApiError> {
        let reports: Api<Lenient<ImageDeletionReport>> = Api::all(self.client.clone());
        let name = name_of(&self.node, uid);
        let found = async { reports.get_opt(&name).await?.map(demanded).transpose() };
        answer("get the ImageDeletionReport", &name, found).await
    }

    /// The unfinished pods that are bound to this node, without those of a name, in whatever namespace: a consistent read, not one
    /// of a cache.
    pub async fn pods(&self, without: Option<&str>) -> Result<Vec<Pod>, ApiError> {
        let mut fields = format!("{},{UNFINISHED_PODS}", self.of_this_node());
        if let Some(name) = without {
            fields += &format!(",metadata.name!={name}");
        }
        let selected = ListParams::default().fields(&fields);
        let listed = async {
            let request = Request::new(v1::Pod::url_path(&(), None)).list(&selected);
            self.client.request::<Pods>(request.map_err(kube::Error::BuildRequest)?).await
        };
        Ok(answer("list the pods of node", &self.node, listed).await?.items)
    }

    /// The metadata of this node: its labels and its age.
    pub async fn node(&self) -> Result<PartialObjectMeta<v1::Node>, ApiError> {
        let nodes: Api<Lenient<PartialObjectMeta<v1::Node>>> = Api::all(self.client.clone());
        let found = async { demanded(nodes.get(&self.node).await?) };
        answer("get the node", &self.node, found).await
    }

    /// Writes a report. Only the metadata come back.
    ///
    /// A report is created and then replaced, and not applied: of all that an agent could ask the API server for, an apply is by
    /// far the most work for it.
    pub async fn write(&self, report: &ImageDeletionReport, place: Place) -> Result<Written, ApiError> {
        let name = report.name_any();
        let written = async {
            let taken = |()| Written::Taken;
            match place {
                Place::Free => match self.create(report).await {
                    Err(kube::Error::Api(status)) if status.is_already_exists() => self.meet(report).await,
                    created => created.map(taken),
                },
                Place::Taken | Place::Last => match self.replace(report).await {
                    Err(kube::Error::Api(status)) if status.is_not_found() => match place {
                        Place::Last => Ok(Written::Gone),
                        _ => self.create(report).await.map(taken),
                    },
                    replaced => replaced.map(taken),
                },
            }
        };
        answer("write the ImageDeletionReport", &name, written).await
    }

    /// A report is there that nobody knew of. One that can't be understood says nothing that could be lost.
    async fn meet(&self, report: &ImageDeletionReport) -> kube::Result<Written> {
        let reports: Api<Lenient<ImageDeletionReport>> = Api::all(self.client.clone());
        let found = reports.get_opt(&report.name_any()).await?.and_then(Lenient::understood);
        let uid = &report.spec.image_deletion_uid;
        match found.filter(|found| found.spec.image_deletion_uid == *uid) {
            Some(earlier) => Ok(Written::Not(Box::new(earlier.spec))),
            None => self.replace(report).await.map(|()| Written::Taken),
        }
    }

    async fn create(&self, report: &ImageDeletionReport) -> kube::Result<()> {
        let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
        let body = serde_json::to_vec(report).map_err(kube::Error::SerdeError)?;
        let mut request = reports().create(&params, body).map_err(kube::Error::BuildRequest)?;
        request.headers_mut().insert(ACCEPT, HeaderValue::from_static(METADATA));
        self.client.request::<Lenient<PartialObjectMeta<ImageDeletionReport>>>(request).await.map(drop)
    }

    /// A list is replaced as a whole, and of what a report says nothing is ever left out again.
    async fn replace(&self, report: &ImageDeletionReport) -> kube::Result<()> {
        let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
        let request = reports().patch_metadata(&report.name_any(), &params, &Patch::Merge(report));
        let request = request.map_err(kube::Error::BuildRequest)?;
        self.client.request::<Lenient<PartialObjectMeta<ImageDeletionReport>>>(request).await.map(drop)
    }

    fn of_this_node(&self) -> String {
        format!("spec.nodeName={}", self.node)
    }
}

fn heard_of(deletion: Lenient<ImageDeletion>) -> Heard {
    let metadata = Box::new(deletion.meta().clone());
    deletion.understood().map_or(Heard::Left(metadata), |new| Heard::New(Box::new(new)))
}

/// An object that nothing goes on without.
fn demanded<K>(object: Lenient<K>) -> kube::Result<K> {
    match object {
        Lenient::Understood(object) => Ok(object),
        Lenient::Strange { reason, .. } => Err(kube::Error::Service(reason.into())),
    }
}

fn reports() -> Request {
    Request::new(ImageDeletionReport::url_path(&(), None))
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
