//! `ImageDeletionReport`: what one agent says about one deletion on its node.
//!
//! The fields sit at the top level and not under `spec`, because nobody asks for anything with them, and so that
//! `.nodeName` and `.imageDeletion` can be selected by.

#![allow(clippy::duplicated_attributes, reason = "every printer column has a name and a type")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{OwnerReference, Time};
use kube::{CustomResource, Resource};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::budget::{Budget, cut_to};
use super::deletion::ImageDeletion;
use super::result::{Conflict, ImageResult, Outcome, Record};

/// The outcome of a deletion on one node, in full.
#[derive(CustomResource, Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[kube(
    group = "secateur.dev",
    version = "v1alpha1",
    kind = "ImageDeletionReport",
    plural = "imagedeletionreports",
    shortname = "imgdelrep",
    category = "secateur",
    doc = "What came of an ImageDeletion on one node. Agents write it; it goes when its ImageDeletion goes.",
    derive = "PartialEq",
    no_spec,
    selectable = ".nodeName",
    selectable = ".imageDeletion",
    printcolumn(name = "Deletion", type_ = "string", json_path = ".imageDeletion"),
    printcolumn(name = "Node", type_ = "string", json_path = ".nodeName"),
    printcolumn(
        name = "Outcome",
        type_ = "string",
        json_path = ".outcome",
        description = "The worst outcome of the images"
    ),
    printcolumn(name = "Completed", type_ = "date", json_path = ".completionTime", priority = 1),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct ImageDeletionReportSpec {
    /// The node that this report is from.
    #[schemars(length(min = 1, max = 253))]
    pub node_name: String,
    /// The name of the ImageDeletion.
    #[schemars(length(min = 1, max = 253))]
    pub image_deletion: String,
    /// The UID of the ImageDeletion: one of the same name that came later is another.
    pub image_deletion_uid: String,
    /// The generation of the ImageDeletion that the agent acted on.
    pub generation: i64,
    /// The worst outcome of the images.
    pub outcome: Outcome,
    /// What came of each entry of the ImageDeletion's `images`, in their order.
    pub results: Vec<ImageResult>,
    /// When the agent began.
    pub start_time: Time,
    /// When the agent was done. Absent: something holds an image, and the agent waits for its end (`onConflict: Wait`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completion_time: Option<Time>,
}

impl ImageDeletionReport {
    /// The report of `node` on `deletion`: named for both and owned by the deletion. Records and conflicts that would make it
    /// longer than [`MAX_REPORT_BYTES`] are left out, and the messages say how many.
    ///
    /// `completed` is `None` while the agent waits for a conflict to end.
    pub fn of(
        deletion: &ImageDeletion,
        node: &str,
        results: Vec<ImageResult>,
        started: Time,
        completed: Option<Time>,
    ) -> Self {
        let name = deletion.metadata.name.clone().unwrap_or_default();
        let uid = deletion.metadata.uid.clone().unwrap_or_default();
        let mut report = Self::new(
            &name_of(node, &uid),
            ImageDeletionReportSpec {
                node_name: node.to_owned(),
                image_deletion: name.clone(),
                image_deletion_uid: uid.clone(),
                generation: deletion.metadata.generation.unwrap_or_default(),
                outcome: Outcome::worst(results.iter().map(|result| result.outcome)),
                results: bounded(results),
                start_time: started,
                completion_time: completed,
            },
        );
        report.metadata.owner_references = Some(vec![OwnerReference {
            api_version: ImageDeletion::api_version(&()).into_owned(),
            kind: ImageDeletion::kind(&()).into_owned(),
            name,
            uid,
            controller: Some(true),
            block_owner_deletion: None,
        }]);
        report
    }
}

impl ImageDeletionReportSpec {
    /// Whether two reports say the same, whenever they were written.
    pub fn says_the_same(&self, other: &Self) -> bool {
        self.results == other.results && self.completion_time.is_some() == other.completion_time.is_some()
    }

    /// Whether it says more than [`of`](ImageDeletionReport::of) ever writes.
    pub fn is_too_long(&self) -> bool {
        let record = |record: &Record| match record {
            Record::Untagged(text) | Record::Deleted(text) => text.len(),
        };
        let conflict = |conflict: &Conflict| {
            let who = [&conflict.namespace, &conflict.pod, &conflict.container].into_iter().flatten();
            conflict.image.len() + conflict.message.len() + who.map(String::len).sum::<usize>()
        };
        let result = |result: &ImageResult| {
            let records: usize = result.records.iter().map(record).sum();
            let conflicts: usize = result.conflicts.iter().map(conflict).sum();
            result.image.len() + result.message.as_ref().map_or(0, String::len) + records + conflicts
        };
        self.results.iter().map(result).sum::<usize>() > MAX_TEXT_BYTES
    }
}

/// The most bytes of text in a report that is read: in what must stand in every report `bounded` goes past its own bound, and an agent of
/// an earlier version has a wider one.
pub(crate) const MAX_TEXT_BYTES: usize = 1024 * 1024;

/// The most bytes of JSON that the results of a report have, but for the entries and their messages. Etcd would take more, of one report:
/// of a deletion there is one for each node, and all of them are kept for as long as it is.
pub const MAX_REPORT_BYTES: usize = 128 * 1024;

/// The longest message of a result in a report, in characters.
const MAX_MESSAGE: usize = 2048;

/// What is said after the number of what was left out.
const LEFT_OUT: &str = " records and conflicts are not listed, because the report would be too long";

/// Whether a result of a report has less than what was told to it.
pub(crate) fn leaves_out(result: &ImageResult) -> bool {
    result.message.as_ref().is_some_and(|message| message.ends_with(LEFT_OUT))
}

/// The results, without the last of their records and conflicts where these are too many.
fn bounded(mut results: Vec<ImageResult>) -> Vec<ImageResult> {
    let mut budget = Budget::new(MAX_REPORT_BYTES);
    for result in &mut results {
        result.message = result.message.as_deref().map(|message| cut_to(MAX_MESSAGE, message));
        let outline = ImageResult { records: Vec::new(), conflicts: Vec::new(), ..result.clone() };
        let _ = budget.admit(outline);
    }
    for result in &mut results {
        let all = result.records.len() + result.conflicts.len();
        result.records =
            std::mem::take(&mut result.records).into_iter().map_while(|it| budget.admit(it)).collect();
        result.conflicts =
            std::mem::take(&mut result.conflicts).into_iter().map_while(|it| budget.admit(it)).collect();
        let left_out = all - result.records.len() - result.conflicts.len();
        if left_out > 0 {
            let told = result.message.iter().map(String::as_str);
            let more = format!("{left_out}{LEFT_OUT}");
            result.message = Some(told.chain([more.as_str()]).collect::<Vec<_>>().join("; "));
        }
    }
    results
}

/// The longest name of an object (RFC 1123 subdomain).
const MAX_NAME: usize = 253;

/// The name of a node's report on the deletion with this UID: `NODE.UID`, where a node name that is too long for that is
/// cut and ends in a part of its hash.
///
/// The UID keeps apart two deletions that had one name after another, and no node name can pretend to be another pair.
pub fn name_of(node: &str, uid: &str) -> String {
    let room = MAX_NAME.saturating_sub(uid.len() + 1);
    if node.len() <= room {
        return format!("{node}.{uid}");
    }
    let hash = Sha256::digest(node).iter().take(8).map(|byte| format!("{byte:02x}")).collect::<String>();
    let kept: String = node.chars().take(room.saturating_sub(hash.len() + 1)).collect();
    format!("{kept}-{hash}.{uid}")
}

#[cfg(test)]
mod tests {
    use super::super::deletion::ImageDeletionSpec;
    use super::super::result::Record;
    use super::*;
    use jiff::Timestamp;
    use serde_json::json;

    const UID: &str = "5f2c1f7e-3c55-4a38-9a3f-1f0e2a1b2c3d";

    #[test]
    fn the_fields_are_at_the_top_and_the_deletion_owns_it() {
        let mut deletion = ImageDeletion::new("drop", ImageDeletionSpec::of(["app:v1"]));
        deletion.metadata.uid = Some(UID.into());
        deletion.metadata.generation = Some(2);
        let start = Time(Timestamp::from_second(1_700_000_000).unwrap());
        let report = ImageDeletionReport::of(&deletion, "node-a", vec![], start, None);
        let written = json!({
            "apiVersion": "secateur.dev/v1alpha1",
            "kind": "ImageDeletionReport",
            "metadata": {
                "name": format!("node-a.{UID}"),
                "ownerReferences": [{
                    "apiVersion": "secateur.dev/v1alpha1", "kind": "ImageDeletion", "name": "drop", "uid": UID,
                    "controller": true,
                }],
            },
            "nodeName": "node-a",
            "imageDeletion": "drop",
            "imageDeletionUid": UID,
            "generation": 2,
            "outcome": "Absent",
            "results": [],
            "startTime": "2023-11-14T22:13:20Z",
        });
        assert_eq!(serde_json::to_value(&report).unwrap(), written);
        assert_eq!(serde_json::from_value::<ImageDeletionReport>(written).unwrap(), report);
    }

    #[test]
    fn a_report_that_would_be_too_long_says_what_it_leaves_out() {
        let name = |index: usize| format!("registry.example/{}/app:{index}", "x".repeat(200));
        let result = |records: usize| ImageResult {
            image: "app".into(),
            outcome: Outcome::Untagged,
            records: (0..records).map(|index| Record::Untagged(name(index))).collect(),
            conflicts: vec![],
            reclaimed_bytes: 0,
            message: None,
        };
        let all = 64 * 200;
        let bounded = bounded(vec![result(200); 64]);
        assert!(serde_json::to_vec(&bounded).unwrap().len() < MAX_REPORT_BYTES + 16 * 1024);
        let kept: usize = bounded.iter().map(|result| result.records.len()).sum();
        assert!((1..all).contains(&kept));
        assert_eq!(bounded[0], result(200));
        let last = bounded[63].message.as_deref().unwrap();
        assert_eq!(last, "200 records and conflicts are not listed, because the report would be too long");
        assert_eq!(super::bounded(vec![result(200)]), [result(200)]);
    }

    /// What there may be of a deletion is this and the number of nodes: `docs/operations.md` counts with it.
    #[test]
    fn a_report_of_all_that_a_node_may_have_is_no_longer_than_is_counted_with() {
        let digest = |index: usize| format!("sha256:{index:064x}");
        let records = |index: usize| {
            let repository = format!("registry.example.com/team/service-{index}");
            [
                Record::Untagged(format!("{repository}:v1.2.{index}")),
                Record::Untagged(format!("{repository}@{}", digest(index))),
                Record::Deleted(digest(index)),
            ]
        };
        let report = |images: usize| {
            let result = ImageResult {
                image: "**".into(),
                outcome: Outcome::Deleted,
                records: (0..images).flat_map(records).collect(),
                conflicts: vec![],
                reclaimed_bytes: 0,
                message: None,
            };
            let deletion = ImageDeletion::new("all", ImageDeletionSpec::of(["**"]));
            let time = Time(Timestamp::UNIX_EPOCH);
            ImageDeletionReport::of(&deletion, "node-a", vec![result], time.clone(), Some(time))
        };
        let bytes = |report: &ImageDeletionReport| serde_json::to_vec(report).unwrap().len();
        let of_300 = report(300);
        assert!((250 * 300..=310 * 300).contains(&bytes(&of_300)), "{} bytes", bytes(&of_300));
        assert_eq!((of_300.spec.results[0].records.len(), &of_300.spec.results[0].message), (900, &None));
        let of_5000 = report(5_000);
        assert!(bytes(&of_5000) <= 129 << 10, "{} bytes", bytes(&of_5000));
        let message = of_5000.spec.results[0].message.as_deref().unwrap();
        assert!(
            message.ends_with("records and conflicts are not listed, because the report would be too long")
        );
    }

    #[test]
    fn a_long_node_name_is_cut_and_stays_distinct() {
        let [one, other] = ["a", "b"].map(|end| name_of(&format!("{}{end}", "n".repeat(252)), UID));
        assert_eq!((one.len(), other.len()), (253, 253));
        assert_ne!(one, other);
        assert!(one.ends_with(UID));
        assert_eq!(name_of(&"n".repeat(216), UID).len(), 253);
    }
}
