//! `ImageDeletion`: what a person asks to be deleted, from which nodes, and how.
//!
//! Unknown fields are refused when an object comes in (by the API server, and by [`parse`](super::validate::parse)), and
//! read over afterwards, so that an older agent can read what a newer API server stored.

#![allow(clippy::duplicated_attributes, reason = "every printer column has a name and a type")]

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::entry::ImageEntry;
use super::schema;
use super::status::{ImageDeletionStatus, Phase};

/// How long a deletion may take when it does not say, in seconds.
pub const DEFAULT_DEADLINE_SECONDS: u64 = 600;
/// How long a finished deletion is kept when it does not say, in seconds.
pub const DEFAULT_TTL_SECONDS: u64 = 86_400;
/// How long after the deadline reports still count, in seconds. An agent that tries until the deadline reports just after
/// it, by its own clock.
pub const REPORT_GRACE_SECONDS: u64 = 5;

/// Why a part of the spec cannot be changed, and what to do instead.
macro_rules! immutable {
    () => {
        Rule::new("self == oldSelf").message(
            "what is deleted is immutable: create another ImageDeletion (only activeDeadlineSeconds and ttlSecondsAfterFinished may change)",
        )
    };
}

/// What to delete, from which nodes, and how.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "secateur.dev",
    version = "v1alpha1",
    kind = "ImageDeletion",
    plural = "imagedeletions",
    shortname = "imgdel",
    category = "secateur",
    doc = "Deletes container images from nodes, and says in its status what happened on each.",
    status = "ImageDeletionStatus",
    derive = "PartialEq",
    selectable = ".status.phase",
    printcolumn(
        name = "Phase",
        type_ = "string",
        json_path = ".status.phase",
        description = "Pending, Active, Complete or Failed"
    ),
    printcolumn(
        name = "Nodes",
        type_ = "string",
        json_path = ".status.nodesReported",
        description = "Nodes that have reported, of those that were asked"
    ),
    printcolumn(
        name = "Deleted",
        type_ = "integer",
        json_path = ".status.nodes.deleted",
        description = "Nodes that deleted the images"
    ),
    printcolumn(
        name = "Conflicted",
        type_ = "integer",
        json_path = ".status.nodes.conflicted",
        description = "Nodes where something holds an image"
    ),
    printcolumn(
        name = "Reclaimed",
        type_ = "string",
        json_path = ".status.reclaimed",
        description = "Space that the nodes got back"
    ),
    printcolumn(
        name = "Failed",
        type_ = "integer",
        json_path = ".status.nodes.failed",
        description = "Nodes where a deletion went wrong",
        priority = 1
    ),
    printcolumn(
        name = "Dry-Run",
        type_ = "boolean",
        json_path = ".spec.dryRun",
        description = "Whether nothing is really removed",
        priority = 1
    ),
    printcolumn(
        name = "Images",
        type_ = "string",
        json_path = ".spec.images",
        description = "What is deleted",
        priority = 1
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = Rule::new("has(self.nodeSelector) == has(oldSelf.nodeSelector)").field_path(".nodeSelector").message(
    "what is deleted is immutable: create another ImageDeletion (only activeDeadlineSeconds and ttlSecondsAfterFinished may change)",
))]
pub struct ImageDeletionSpec {
    /// What to delete: 1 to 64 image names, digests, IDs, ID prefixes of at least 4 digits, and patterns. A pattern has
    /// `*` (within one path component or tag), `**` (across slashes), `?` or `{a,b}`.
    #[schemars(length(max = 64), extend("x-kubernetes-list-type" = "set"))]
    #[x_kube(validation = Rule::new("self.size() > 0").message("name at least one image, such as app:v1"))]
    #[x_kube(validation = immutable!())]
    pub images: Vec<ImageEntry>,

    /// Delete in spite of conflicts that can be forced, such as a stopped container. What a running container uses stays: by its
    /// ID it is left alone, and of an image that any container uses the last name goes alone.
    #[serde(default)]
    #[x_kube(validation = immutable!())]
    pub force: bool,

    /// Delete the parents too that are left without a name and that nothing uses.
    #[serde(default = "default_prune")]
    #[x_kube(validation = immutable!())]
    pub prune: bool,

    /// Report what would be removed, and remove nothing.
    #[serde(default)]
    #[x_kube(validation = immutable!())]
    pub dry_run: bool,

    /// The nodes to delete from, by their labels. Absent: every node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::node_selector")]
    #[x_kube(validation = immutable!())]
    pub node_selector: Option<LabelSelector>,

    /// What a node does about an image that something holds: report it at once, or wait until it is free or the
    /// deadline has passed.
    #[serde(default)]
    #[x_kube(validation = immutable!())]
    pub on_conflict: OnConflict,

    /// How many seconds after its creation no node acts on the deletion any more.
    #[serde(default = "default_deadline")]
    #[schemars(schema_with = "schema::seconds")]
    #[x_kube(validation = Rule::new("self > 0").message(
        "must be at least 1 second: write 600 for ten minutes, or leave it out for that default",
    ))]
    pub active_deadline_seconds: u64,

    /// How many seconds the deletion and its reports are kept once it has finished. 0: gone at once.
    #[serde(default = "default_ttl")]
    #[schemars(schema_with = "schema::seconds")]
    #[x_kube(validation = Rule::new("self >= 0").message(
        "must not be negative: write 0 to remove the deletion as soon as it has finished, or leave it out for one day",
    ))]
    pub ttl_seconds_after_finished: u64,
}

fn default_prune() -> bool {
    true
}

fn default_deadline() -> u64 {
    DEFAULT_DEADLINE_SECONDS
}

fn default_ttl() -> u64 {
    DEFAULT_TTL_SECONDS
}

impl ImageDeletionSpec {
    /// The deletion of these images with every other field at its default.
    pub fn of(images: impl IntoIterator<Item = impl Into<ImageEntry>>) -> Self {
        Self {
            images: images.into_iter().map(Into::into).collect(),
            force: false,
            prune: default_prune(),
            dry_run: false,
            node_selector: None,
            on_conflict: OnConflict::default(),
            active_deadline_seconds: default_deadline(),
            ttl_seconds_after_finished: default_ttl(),
        }
    }
}

/// What a node does about an image that something holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnConflict {
    /// Report the conflict and be done.
    #[default]
    Report,
    /// Report the conflict and keep trying until the image is free or the deadline has passed.
    Wait,
}

impl ImageDeletion {
    /// When no node acts any more: the creation plus the deadline, so that agents and the controller agree without a
    /// word between them. An object that no API server made counts from its status's start; `None` before that.
    pub fn deadline(&self) -> Option<Timestamp> {
        let created = self.metadata.creation_timestamp.as_ref();
        let started = self.status.as_ref().and_then(|status| status.start_time.as_ref());
        Some(later(created.or(started)?, self.spec.active_deadline_seconds))
    }

    /// When nodes that have not reported are given up: the deadline and [`REPORT_GRACE_SECONDS`].
    pub fn gives_up(&self) -> Option<Timestamp> {
        Some(later(&Time(self.deadline()?), REPORT_GRACE_SECONDS))
    }

    /// Whether the deletion has come to its end. Its status does not change any more.
    pub fn is_finished(&self) -> bool {
        self.status.as_ref().is_some_and(|status| matches!(status.phase, Phase::Complete | Phase::Failed))
    }

    /// When the finished deletion and its reports may go; `None` while it is under way.
    pub fn expires(&self) -> Option<Timestamp> {
        let completed = self.status.as_ref()?.completion_time.as_ref()?;
        Some(later(completed, self.spec.ttl_seconds_after_finished))
    }
}

/// `time` and so many seconds, or the end of time where that comes first.
fn later(time: &Time, seconds: u64) -> Timestamp {
    let seconds = SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX));
    time.0.saturating_add(seconds).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at(seconds: i64) -> Time {
        Time(Timestamp::from_second(seconds).unwrap())
    }

    #[test]
    fn the_smallest_spec_gets_every_default() {
        let spec: ImageDeletionSpec = serde_json::from_value(json!({"images": ["app:v1"]})).unwrap();
        assert_eq!(spec, ImageDeletionSpec::of(["app:v1"]));
        let written = json!({
            "images": ["app:v1"], "force": false, "prune": true, "dryRun": false, "onConflict": "Report",
            "activeDeadlineSeconds": 600, "ttlSecondsAfterFinished": 86400,
        });
        assert_eq!(serde_json::to_value(&spec).unwrap(), written);
    }

    #[test]
    fn the_deadline_counts_from_the_creation_else_from_the_start() {
        let mut deletion = ImageDeletion::new("drop", ImageDeletionSpec::of(["app:v1"]));
        assert_eq!((deletion.deadline(), deletion.gives_up()), (None, None));
        deletion.status = Some(ImageDeletionStatus { start_time: Some(at(50)), ..Default::default() });
        assert_eq!(deletion.deadline(), Some(at(650).0));
        deletion.metadata.creation_timestamp = Some(at(20));
        assert_eq!(deletion.deadline(), Some(at(620).0));
        assert_eq!(deletion.gives_up(), Some(at(625).0));
    }

    #[test]
    fn a_finished_deletion_expires_after_its_ttl() {
        let mut deletion = ImageDeletion::new("drop", ImageDeletionSpec::of(["app:v1"]));
        assert!(!deletion.is_finished());
        assert_eq!(deletion.expires(), None);
        deletion.status = Some(ImageDeletionStatus {
            phase: Phase::Failed,
            completion_time: Some(at(100)),
            ..Default::default()
        });
        assert!(deletion.is_finished());
        assert_eq!(deletion.expires(), Some(at(86_500).0));
    }
}
