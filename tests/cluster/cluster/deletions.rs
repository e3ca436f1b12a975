//! `ImageDeletion`s, as people apply them and read them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use kube::api::{ListParams, PostParams};
use kube::{Api, ResourceExt};
use secateur::api::deletion::ImageDeletion;
use secateur::api::report::{ImageDeletionReport, ImageDeletionReportSpec};
use secateur::api::result::Record;
use secateur::api::status::ImageDeletionStatus;
use serde_json::{Value, json};

use super::{Cluster, Node};
use crate::bed::eventually;

impl Cluster {
    /// Applies a deletion with `kubectl`, and does not wait for it.
    #[track_caller]
    pub(crate) fn request(&self, name: &str, spec: Value) {
        self.apply(&manifest(name, spec));
    }

    /// Makes a deletion without `kubectl`, and does not wait for it.
    pub(crate) async fn post_deletion(&self, name: &str, spec: Value) {
        let deletion = serde_json::from_str(&manifest(name, spec)).expect("it is a deletion");
        let made = Api::<ImageDeletion>::all(self.client()).create(&PostParams::default(), &deletion).await;
        made.unwrap_or_else(|error| panic!("{name}: {error}"));
    }

    /// Applies a deletion and waits for its end.
    pub(crate) async fn delete(&self, name: &str, spec: Value) -> ImageDeletionStatus {
        self.request(name, spec);
        self.finished(name).await
    }

    /// Waits for the end of a deletion and returns its status.
    pub(crate) async fn finished(&self, name: &str) -> ImageDeletionStatus {
        eventually(&format!("{name} to come to its end"), async || {
            let deletion = self.deletion(name).await;
            deletion.is_finished().then_some(deletion.status).flatten()
        })
        .await
    }

    /// Waits until a status is as it should be.
    pub(crate) async fn status_where(
        &self,
        name: &str,
        what: &str,
        holds: impl Fn(&ImageDeletionStatus) -> bool,
    ) -> ImageDeletionStatus {
        eventually(&format!("{name}: {what}"), async || {
            self.deletion(name).await.status.filter(|status| holds(status))
        })
        .await
    }

    /// The deletion as it is now.
    pub(crate) async fn deletion(&self, name: &str) -> ImageDeletion {
        Api::all(self.client()).get(name).await.unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// The reports on a deletion, by node.
    pub(crate) async fn reports(&self, name: &str) -> BTreeMap<String, ImageDeletionReportSpec> {
        let reports: Api<ImageDeletionReport> = Api::all(self.client());
        let of_it = ListParams::default().fields(&format!("imageDeletion={name}"));
        let reports = reports.list(&of_it).await.expect("the API server lists reports");
        reports.into_iter().map(|report| (report.spec.node_name.clone(), report.spec)).collect()
    }

    /// The time from before `kubectl apply` until the deletion is `Complete`, as a watch hears of it.
    pub(crate) async fn time_to_complete(&self, name: &str, spec: Value) -> Duration {
        let deletions: Api<ImageDeletion> = Api::all(self.client());
        let is_complete = |found: Option<&ImageDeletion>| found.is_some_and(ImageDeletion::is_finished);
        let begin = Instant::now();
        self.request(name, spec);
        kube::runtime::wait::await_condition(deletions, name, is_complete).await.expect("the watch goes on");
        begin.elapsed()
    }

    /// Waits until an object of the API that is not namespaced is gone.
    pub(crate) async fn deletion_is_gone(&self, name: &str) {
        let deletions: Api<ImageDeletion> = Api::all(self.client());
        eventually(&format!("{name} to be removed"), async || {
            deletions.get_opt(name).await.expect("the API server answers").is_none().then_some(())
        })
        .await;
        let reports: Api<ImageDeletionReport> = Api::all(self.client());
        eventually(&format!("the reports on {name} to be removed"), async || {
            let all =
                reports.list_metadata(&ListParams::default()).await.expect("the API server lists reports");
            let mut owners = all.iter().flat_map(|report| report.owner_references());
            owners.all(|owner| owner.name != name).then_some(())
        })
        .await;
    }
}

impl Node {
    /// Whether a name, and every record that the CRI may have made beside it, has gone with its content.
    pub(crate) async fn has_nothing_of(&self, image: &crate::bed::Imported) -> bool {
        let records = self.records().await;
        !records.values().any(|record| record.target == image.target)
            && !self.has_content(image.config()).await
    }
}

/// An `ImageDeletion` as people write it.
pub(crate) fn manifest(name: &str, spec: Value) -> String {
    json!({"apiVersion": "secateur.dev/v1alpha1", "kind": "ImageDeletion", "metadata": {"name": name}, "spec": spec})
        .to_string()
}

/// The merged records: what was removed, and on how many nodes.
pub(crate) fn merged(status: &ImageDeletionStatus) -> Vec<(Record, u32)> {
    status.records.iter().map(|merged| (merged.record.clone(), merged.nodes)).collect()
}
