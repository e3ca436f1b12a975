//! What came of one image on one node. The command line prints these types, reports and statuses carry them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::schema;

/// What came of an image on a node, or of a node: the worst of its images.
///
/// The order is from good to bad, so that the worst of several is their maximum.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Outcome {
    /// The node does not have the image.
    Absent,
    /// The image and all its names are gone.
    Deleted,
    /// Names are gone; the image stays, under other names or for a container.
    Untagged,
    /// Something uses or guards the image, so it was left alone.
    Conflict,
    /// The deletion went wrong; the message says how.
    Failed,
}

impl Outcome {
    /// Every outcome, from good to bad.
    pub const ALL: [Self; 5] = [Self::Absent, Self::Deleted, Self::Untagged, Self::Conflict, Self::Failed];

    /// The worst of several outcomes; [`Outcome::Absent`] of none.
    pub fn worst(outcomes: impl IntoIterator<Item = Outcome>) -> Outcome {
        outcomes.into_iter().max().unwrap_or(Outcome::Absent)
    }
}

/// One thing that was removed, written as `{untagged: NAME}` or `{deleted: DIGEST}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum Record {
    /// A name that was removed, in its familiar form: `app:v1`.
    Untagged(String),
    /// The digest of an image that was removed: `sha256:...`.
    Deleted(String),
}

/// What stands in the way of a deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
pub enum ConflictKind {
    /// A container that runs uses the image. Only its name can be forced away.
    RunningContainer,
    /// A container that has stopped uses the image.
    StoppedContainer,
    /// The image was named by its ID, and has several names.
    MultipleReferences,
    /// The image is pinned on the node. Never forced.
    Pinned,
    /// A rule of the cluster protects the image. Never forced.
    Protected,
    /// A pod that is bound to the node needs the image and has no container yet.
    PendingPod,
}

impl ConflictKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::RunningContainer,
        Self::StoppedContainer,
        Self::MultipleReferences,
        Self::Pinned,
        Self::Protected,
        Self::PendingPod,
    ];
}

/// One reason why an image was left alone, and who holds it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Conflict {
    /// The entry of `images` that was asked for.
    pub image: String,
    /// What stands in the way.
    pub kind: ConflictKind,
    /// Whether `force: true` would have gone on all the same: with the image, or, where its last name was to go and a container
    /// uses it, with that name alone.
    pub forcible: bool,
    /// The namespace of the pod that holds the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The name of the pod that holds the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// The container that holds the image: its name in the pod, or its ID where there is no pod.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container: Option<String>,
    /// The conflict in one sentence.
    pub message: String,
}

/// What came of one entry of `images` on one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ImageResult {
    /// The entry as it was written.
    pub image: String,
    /// What came of it.
    pub outcome: Outcome,
    /// What was removed, in the order of removal. In a dry run: what would be.
    pub records: Vec<Record>,
    /// Everything that stood in the way.
    pub conflicts: Vec<Conflict>,
    /// The bytes that the node got back.
    #[schemars(schema_with = "schema::bytes")]
    pub reclaimed_bytes: u64,
    /// The outcome in one sentence, where there is something to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl ImageResult {
    /// Whether something holds an image of the entry, whatever came of the others that it means.
    pub fn is_held(&self) -> bool {
        self.outcome == Outcome::Conflict || !self.conflicts.is_empty()
    }

    /// Adds what a later attempt came to. The later one decides, and what is gone stays gone.
    pub fn follow(&mut self, later: Self) {
        (self.outcome, self.message) = match (later.outcome, self.removed()) {
            (Outcome::Absent, Some(removed)) => (removed, None),
            (outcome, _) => (outcome, later.message),
        };
        self.conflicts = later.conflicts;
        self.records.extend(later.records);
        self.reclaimed_bytes = self.reclaimed_bytes.saturating_add(later.reclaimed_bytes);
    }

    /// What the records by themselves come to; `None` where there are none.
    fn removed(&self) -> Option<Outcome> {
        let is_deleted = self.records.iter().any(|record| matches!(record, Record::Deleted(_)));
        match (is_deleted, self.records.is_empty()) {
            (true, _) => Some(Outcome::Deleted),
            (false, false) => Some(Outcome::Untagged),
            (false, true) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_worst_outcome_wins() {
        use Outcome::*;
        let from_bad_to_good = [Failed, Conflict, Untagged, Deleted, Absent];
        for (rank, worse) in from_bad_to_good.iter().enumerate() {
            for better in &from_bad_to_good[rank..] {
                assert_eq!(Outcome::worst([*better, *worse]), *worse);
                assert_eq!(Outcome::worst([*worse, *better]), *worse);
            }
        }
        assert_eq!(Outcome::worst([]), Absent);
    }

    #[test]
    fn a_result_keeps_empty_arrays_and_omits_absent_strings() {
        let result = ImageResult {
            image: "app:v1".into(),
            outcome: Outcome::Deleted,
            records: vec![Record::Untagged("app:v1".into()), Record::Deleted("sha256:276a".into())],
            conflicts: vec![],
            reclaimed_bytes: 7,
            message: None,
        };
        let written = json!({
            "image": "app:v1",
            "outcome": "Deleted",
            "records": [{"untagged": "app:v1"}, {"deleted": "sha256:276a"}],
            "conflicts": [],
            "reclaimedBytes": 7,
        });
        assert_eq!(serde_json::to_value(&result).unwrap(), written);
        assert_eq!(serde_json::from_value::<ImageResult>(written).unwrap(), result);
    }

    #[test]
    fn a_conflict_names_its_holder_where_it_is_known() {
        let written = json!({
            "image": "app:v1", "kind": "RunningContainer", "forcible": false,
            "namespace": "shop", "pod": "cart-7d9", "container": "cart", "message": "in use",
        });
        let conflict: Conflict = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(serde_json::to_value(&conflict).unwrap(), written);

        let nameless = Conflict { namespace: None, pod: None, container: None, ..conflict };
        let written = json!({
            "image": "app:v1", "kind": "RunningContainer", "forcible": false, "message": "in use",
        });
        assert_eq!(serde_json::to_value(&nameless).unwrap(), written);
    }

    #[test]
    fn a_later_attempt_decides_and_what_is_gone_stays_gone() {
        use Outcome::*;
        let record = |name: &&str| match name.strip_prefix("sha256:") {
            Some(_) => Record::Deleted((*name).into()),
            None => Record::Untagged((*name).into()),
        };
        let result = |outcome, records: &[&str]| ImageResult {
            image: "app:v1".into(),
            outcome,
            records: records.iter().map(record).collect(),
            conflicts: vec![],
            reclaimed_bytes: records.len() as u64,
            message: Some(format!("{outcome:?}")),
        };
        let rows = [
            (result(Conflict, &[]), result(Deleted, &["a"]), Deleted, 1, Some("Deleted")),
            (result(Conflict, &["a"]), result(Deleted, &["b"]), Deleted, 2, Some("Deleted")),
            (result(Conflict, &["a"]), result(Absent, &[]), Untagged, 1, None),
            (result(Conflict, &[]), result(Absent, &[]), Absent, 0, Some("Absent")),
            (result(Deleted, &["sha256:a"]), result(Absent, &[]), Deleted, 1, None),
            (result(Failed, &["sha256:a"]), result(Absent, &[]), Deleted, 1, None),
            (result(Deleted, &["a"]), result(Conflict, &[]), Conflict, 1, Some("Conflict")),
            (result(Failed, &["a"]), result(Absent, &[]), Untagged, 1, None),
        ];
        for (mut earlier, later, outcome, records, message) in rows {
            let told = format!("{:?} then {:?}", earlier.outcome, later.outcome);
            earlier.follow(later);
            let found = (earlier.outcome, earlier.records.len(), earlier.reclaimed_bytes);
            assert_eq!(found, (outcome, records, records as u64), "{told}");
            assert_eq!(earlier.message.as_deref(), message, "{told}");
        }
    }

    #[test]
    fn a_record_is_one_thing_or_the_other() {
        for wrong in [json!({}), json!({"untagged": "a", "deleted": "b"}), json!({"renamed": "a"})] {
            assert!(serde_json::from_value::<Record>(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
