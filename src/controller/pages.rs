//! Every report on a deletion, as of now: they are listed a page at a time.
//!
//! A page has a patience of its own, because there may be many, and takes about as much memory whatever the reports' length. A report
//! that can't be understood is left out, as the [news](super::news) leave it out: its node is one that has said nothing. So nobody
//! who may write reports can keep a deletion from its end.

use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ListMeta;
use kube::api::ListParams;
use kube::core::Request;
use kube::{Client, Resource, ResourceExt};
use serde::Deserialize;
use serde_json::value::RawValue;
use tracing::warn;

use super::desk::{PATIENCE, in_time};
use super::failure::Failure;
use super::order::Target;
use crate::api::aggregate::Reports;
use crate::api::report::{ImageDeletionReport, ImageDeletionReportSpec, MAX_REPORT_BYTES};
use crate::lenient::Lenient;

/// What a page may have, in bytes.
const PAGE_BYTES: usize = 8 << 20;
/// How many reports the first page has: as long as they may be.
const FIRST: u32 = 16;
/// How many any page has at most.
const MOST: u32 = 500;

#[derive(Deserialize)]
struct Page {
    metadata: ListMeta,
    items: Vec<Box<RawValue>>,
}

/// Every report on a deletion that can be understood.
///
/// # Errors
///
/// Where a page does not come. Nothing is known of any then.
pub(super) async fn list_reports(client: &Client, target: &Target) -> Result<Reports, Failure> {
    list(client, target, PATIENCE).await
}

async fn list(client: &Client, target: &Target, patience: Duration) -> Result<Reports, Failure> {
    let mut parameters = ListParams::default().fields(&format!("imageDeletion={}", target.name)).limit(FIRST);
    let mut reports = Reports::on(target.uid.as_str());
    loop {
        let Page { metadata, items } = in_time(patience, page(client, &parameters)).await?;
        for item in &items {
            match serde_json::from_str(item.get()) {
                Ok(report) => drop(understood(report).map(|report| reports.insert(report))),
                Err(error) => warn!(%error, "an item of a list is no object"),
            }
        }
        match metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => parameters = parameters.continue_token(&token).limit(next(&items)),
            None => return Ok(reports),
        }
    }
}

async fn page(client: &Client, parameters: &ListParams) -> kube::Result<Page> {
    let reports = Request::new(ImageDeletionReport::url_path(&(), None));
    client.request(reports.list(parameters).map_err(kube::Error::BuildRequest)?).await
}

/// How many reports the page after this one has.
fn next(items: &[Box<RawValue>]) -> u32 {
    let bytes: usize = items.iter().map(|item| item.get().len()).sum();
    let fit = (PAGE_BYTES * items.len()).checked_div(bytes).unwrap_or_default();
    u32::try_from(fit).unwrap_or(MOST).clamp(FIRST, MOST)
}

/// What a report says, if it can be understood and is no longer than an agent makes one: any length would be in memory many times.
pub(super) fn understood(report: Lenient<ImageDeletionReport>) -> Option<ImageDeletionReportSpec> {
    let report = report.understood()?;
    if report.spec.is_too_long() {
        warn!(report = report.name_any(), "a report is longer than any agent writes one, and left out");
        return None;
    }
    Some(report.spec)
}

// The first page fits.
const _: () = assert!(FIRST as usize * MAX_REPORT_BYTES <= PAGE_BYTES);

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::api::report::MAX_TEXT_BYTES;
    use crate::controller::fixture::{Exchange, api_server, deletion, report};

    fn page(items: &[Value], token: &str) -> Vec<Value> {
        vec![json!({
            "apiVersion": "secateur.dev/v1alpha1", "kind": "ImageDeletionReportList",
            "metadata": {"resourceVersion": "7", "continue": token}, "items": items,
        })]
    }

    fn reports(nodes: &[&str]) -> Vec<Value> {
        nodes.iter().map(|node| json!(report(node))).collect()
    }

    /// The nodes whose reports are listed, where every answer takes this long and is waited for that long.
    async fn nodes(exchanges: Vec<Exchange>, delay: Duration, patience: Duration) -> Vec<String> {
        let client = api_server(exchanges, delay);
        let listed = list(&client, &Target::of(&deletion()), patience).await.unwrap();
        listed.stages().map(|(node, _)| node.to_owned()).collect()
    }

    #[tokio::test]
    async fn every_page_has_its_own_patience() {
        let exchanges = vec![
            ("limit=16", page(&reports(&["a", "b"]), "first")),
            ("continue=first", page(&reports(&["c"]), "second")),
            ("continue=second", page(&reports(&["d"]), "")),
        ];
        let (delay, patience) = (Duration::from_secs(1), Duration::from_millis(2_500));
        assert_eq!(nodes(exchanges, delay, patience).await, ["a", "b", "c", "d"]);
    }

    #[tokio::test]
    async fn a_report_that_is_not_understood_is_left_out() {
        let mut all = reports(&["a", "b", "c", "d"]);
        all[1]["startTime"] = json!("2026-01-01T00:00:00+99:99");
        all[2]["outcome"] = json!("Postponed");
        assert_eq!(
            nodes(vec![("imageDeletion", page(&all, ""))], Duration::ZERO, PATIENCE).await,
            ["a", "d"]
        );
    }

    #[test]
    fn pages_have_as_many_reports_as_fit() {
        let page = |count: usize, bytes: usize| -> Vec<Box<RawValue>> {
            let item = format!("\"{}\"", "x".repeat(bytes - 2));
            (0..count).map(|_| RawValue::from_string(item.clone()).unwrap()).collect()
        };
        assert_eq!(next(&page(16, MAX_REPORT_BYTES)), 64);
        assert_eq!(next(&page(16, MAX_TEXT_BYTES)), FIRST);
        assert_eq!(next(&page(16, 64 << 10)), 128);
        assert_eq!(next(&page(16, 2_000)), MOST);
        assert_eq!(next(&[]), FIRST);
    }
}
