//! What the API server tells of pods and reports, without asking it for each.

use futures::StreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::ObjectMeta;
use kube::runtime::reflector::{self, ObjectRef, Store};
use kube::runtime::{WatchStreamExt, watcher};
use secateur::api::report::{ImageDeletionReport, ImageDeletionReportSpec};
use tokio::task::JoinHandle;

use crate::cluster::Cluster;

/// The pods of a namespace and all reports, as watches tell of them.
pub(crate) struct Sight {
    namespace: String,
    pods: Store<Pod>,
    reports: Store<ImageDeletionReport>,
    watches: [JoinHandle<()>; 2],
}

impl Sight {
    /// Begins to watch, and waits for the first lists.
    pub(crate) async fn open(cluster: &Cluster, namespace: &str) -> Self {
        let (pods, first) = follow(Api::namespaced(cluster.client(), namespace));
        let (reports, second) = follow(Api::all(cluster.client()));
        pods.wait_until_ready().await.expect("the watch of pods goes on");
        reports.wait_until_ready().await.expect("the watch of reports goes on");
        Self { namespace: namespace.to_owned(), pods, reports, watches: [first, second] }
    }

    /// A pod, as it is now.
    pub(crate) fn pod(&self, name: &str) -> Option<Pod> {
        self.pods.get(&ObjectRef::new(name).within(&self.namespace)).map(|pod| Pod::clone(&pod))
    }

    /// The report of a node on a deletion.
    pub(crate) fn report(&self, deletion: &str, node: &str) -> Option<ImageDeletionReportSpec> {
        let is_it = |report: &ImageDeletionReport| {
            report.spec.image_deletion == deletion && report.spec.node_name == node
        };
        self.reports.find(is_it).map(|report| report.spec.clone())
    }
}

impl Drop for Sight {
    fn drop(&mut self) {
        self.watches.iter().for_each(JoinHandle::abort);
    }
}

fn follow<K>(api: Api<K>) -> (Store<K>, JoinHandle<()>)
where
    K: kube::Resource<DynamicType = ()> + Clone + std::fmt::Debug + Send + Sync + 'static,
    K: serde::de::DeserializeOwned,
{
    let (store, writer) = reflector::store();
    let watching = watcher(api, watcher::Config::default())
        .default_backoff()
        .modify(|object| *object.meta_mut() = ObjectMeta { managed_fields: None, ..object.meta().clone() })
        .reflect(writer)
        .for_each(|_| std::future::ready(()));
    (store, tokio::spawn(watching))
}
