//! What the tests of watches and listings work with: one deletion, reports on it, and an observer that looks away.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::observer::{ErrorKind, Observer};
use crate::api::deletion::{ImageDeletion, ImageDeletionSpec};
use crate::api::report::ImageDeletionReport;
use crate::api::status::Phase;

/// Who is told everything and keeps nothing.
pub(super) struct Nobody;

impl Observer for Nobody {
    fn phases(&self, _: &BTreeMap<Phase, usize>) {}

    fn error(&self, _: ErrorKind) {}

    fn ready(&self, _: bool) {}
}

/// The deletion `one`.
pub(super) fn deletion() -> ImageDeletion {
    let mut deletion = ImageDeletion::new("one", ImageDeletionSpec::of(["app:v1"]));
    deletion.metadata.uid = Some("uid-one".into());
    deletion
}

/// The final report of a node on it.
pub(super) fn report(node: &str) -> ImageDeletionReport {
    let time = Time(Timestamp::UNIX_EPOCH);
    ImageDeletionReport::of(&deletion(), node, vec![], time.clone(), Some(time))
}
