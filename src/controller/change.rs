//! What a watch tells of the things it watches.

use crate::api::aggregate::Reports;
use crate::api::report::ImageDeletionReportSpec;

/// A change of a set of things.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change<T, All = Vec<T>> {
    /// These are all; what was known before and is not among them is gone.
    Listed(All),
    /// This one is new or has changed.
    Applied(T),
    /// The one with this key is gone.
    Gone(String),
}

/// A change of one deletion's reports.
pub(super) type ReportChange = Change<ImageDeletionReportSpec, Reports>;
