//! `secateur self-test`: whether the agents and the controller of a cluster answer. `helm test` runs it.
//!
//! It asks for the deletion of an image that there cannot be, in dry run, and waits for its end.

use std::time::{Duration, Instant};

use futures::TryFutureExt;
use kube::api::{Api, DeleteParams, PostParams};
use kube::runtime::wait::{self, await_condition};
use kube::{Client, ResourceExt};
use thiserror::Error;
use tokio::time::timeout;

use super::exit::Exit;
use super::output;
use super::screen::complain;
use crate::api::deletion::{ImageDeletion, ImageDeletionSpec};
use crate::api::status::{ImageDeletionStatus, Phase};

/// A name that no registry can have (RFC 2606), so that no node has the image.
const NO_IMAGE: &str = "secateur.invalid/self-test:none";
/// How long agents may take, in seconds.
const DEADLINE_SECONDS: u64 = 60;
/// How long to wait for the controller: the deadline of the agents, and time to write that it has passed.
const PATIENCE: Duration = Duration::from_secs(DEADLINE_SECONDS + 15);

/// Why a cluster does not pass.
#[derive(Debug, Error)]
pub enum SelfTestError {
    /// There is no API server to talk to.
    #[error("no cluster to talk to: {0}; this runs in a pod, or where kubectl works")]
    NoCluster(#[source] kube::Error),
    /// The deletion cannot be created.
    #[error("cannot create an ImageDeletion: {}", words(.0))]
    Create(#[source] kube::Error),
    /// The deletion cannot be watched.
    #[error("cannot watch ImageDeletions: {0}")]
    Watch(#[source] wait::Error),
    /// Nobody says that the deletion has come to its end.
    #[error(
        "ImageDeletion {name} has not come to its end in {} seconds: no controller leads, or it cannot write; read the \
         controllers' logs",
        PATIENCE.as_secs()
    )]
    NoEnd {
        /// The deletion's name.
        name: String,
    },
    /// Someone else deleted the deletion.
    #[error("someone deleted ImageDeletion {name} before its end: run the test again")]
    Vanished {
        /// The deletion's name.
        name: String,
    },
    /// The deletion came to its end without an agent.
    #[error("no node has an agent: see the pods of the agents' DaemonSet")]
    NoAgents,
    /// The deletion failed.
    #[error("the ImageDeletion failed: {0}")]
    Failed(String),
}

/// Runs the test and says in one line how it came out.
pub async fn self_test() -> Result<Exit, super::error::Error> {
    let answer = ask().await?;
    output::write(&format!("{answer}\n"))?;
    Ok(Exit::Done)
}

async fn ask() -> Result<String, SelfTestError> {
    let client = Client::try_default().await.map_err(SelfTestError::NoCluster)?;
    let deletions: Api<ImageDeletion> = Api::all(client);
    let started = Instant::now();
    let created =
        deletions.create(&PostParams::default(), &deletion()).await.map_err(SelfTestError::Create)?;
    let name = created.name_any();
    let ended = end_of(deletions.clone(), &name).await;
    let took = started.elapsed();
    if !matches!(ended, Err(SelfTestError::Vanished { .. })) {
        clean_up(&deletions, &name).await;
    }
    judge(&ended?.status.unwrap_or_default(), took)
}

fn deletion() -> ImageDeletion {
    let spec = ImageDeletionSpec {
        dry_run: true,
        active_deadline_seconds: DEADLINE_SECONDS,
        ttl_seconds_after_finished: 2 * PATIENCE.as_secs(),
        ..ImageDeletionSpec::of([NO_IMAGE])
    };
    let mut deletion = ImageDeletion::new("", spec);
    deletion.metadata.name = None;
    deletion.metadata.generate_name = Some("self-test-".to_owned());
    deletion
}

async fn end_of(deletions: Api<ImageDeletion>, name: &str) -> Result<ImageDeletion, SelfTestError> {
    let has_ended = |deletion: Option<&ImageDeletion>| deletion.is_none_or(ImageDeletion::is_finished);
    let end = await_condition(deletions, name, has_ended).map_err(SelfTestError::Watch);
    timeout(PATIENCE, end)
        .await
        .map_err(|_| SelfTestError::NoEnd { name: name.to_owned() })??
        .ok_or_else(|| SelfTestError::Vanished { name: name.to_owned() })
}

/// Removes the deletion. Where that fails, it goes by its TTL.
async fn clean_up(deletions: &Api<ImageDeletion>, name: &str) {
    if let Err(error) = deletions.delete(name, &DeleteParams::default()).await {
        complain(format_args!("cannot delete ImageDeletion {name}: {}", words(&error)));
    }
}

/// What the API server says, without the object around it.
fn words(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        error => error.to_string(),
    }
}

/// What a status at its end says about the cluster.
fn judge(status: &ImageDeletionStatus, took: Duration) -> Result<String, SelfTestError> {
    let failure = status.conditions.iter().find(|condition| condition.type_ == "Failed");
    match (status.phase, status.nodes.reported) {
        (Phase::Complete, 0) => Err(SelfTestError::NoAgents),
        (Phase::Complete, reported) => Ok(format!(
            "{reported} of {} nodes answered in {:.2} s{}",
            status.nodes.desired,
            took.as_secs_f64(),
            without_agent(status.nodes.without_agent),
        )),
        (Phase::Failed | Phase::Pending | Phase::Active, _) => Err(SelfTestError::Failed(
            failure.map_or_else(|| format!("{:?}", status.phase), |condition| condition.message.clone()),
        )),
    }
}

/// What is said of nodes without an agent: the deletion does not wait for them.
fn without_agent(nodes: u32) -> String {
    match nodes {
        0 => String::new(),
        1 => "; 1 node has no agent, and deletes nothing".to_owned(),
        nodes => format!("; {nodes} nodes have no agent, and delete nothing"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::aggregate::{Reports, aggregate};
    use crate::api::deletion::REPORT_GRACE_SECONDS;
    use crate::api::report::ImageDeletionReport;
    use crate::api::validate;
    use jiff::Timestamp;
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

    const NOW: Timestamp = Timestamp::constant(1_700_000_000, 0);

    /// What the controller writes, so many seconds after the creation, where these nodes have reported.
    fn status(desired: &[&str], reported: &[&str], seconds: i64) -> ImageDeletionStatus {
        let mut deletion = deletion();
        deletion.metadata.creation_timestamp = Some(Time(NOW));
        let report =
            |node: &&str| ImageDeletionReport::of(&deletion, node, vec![], Time(NOW), Some(Time(NOW)));
        let mut reports = Reports::on("");
        for node in reported {
            reports.insert(report(node).spec);
        }
        let desired = desired.iter().map(ToString::to_string).collect();
        let now = Timestamp::from_second(NOW.as_second() + seconds).unwrap();
        aggregate(&deletion, &desired, 0, &reports, now)
    }

    #[test]
    fn the_deletion_is_one_that_a_cluster_takes() {
        assert_eq!(validate::problems(&deletion()).unwrap(), vec![]);
    }

    #[test]
    fn a_cluster_passes_when_all_its_agents_answer() {
        let answer = judge(&status(&["a", "b"], &["a", "b"], 1), Duration::from_millis(420)).unwrap();
        assert_eq!(answer, "2 of 2 nodes answered in 0.42 s");
    }

    #[test]
    fn nodes_without_an_agent_are_told_of() {
        let rows = [
            (0, "1 of 1 nodes answered in 0.42 s"),
            (1, "1 of 1 nodes answered in 0.42 s; 1 node has no agent, and deletes nothing"),
            (2, "1 of 1 nodes answered in 0.42 s; 2 nodes have no agent, and delete nothing"),
        ];
        for (without_agent, expected) in rows {
            let mut status = status(&["a"], &["a"], 1);
            status.nodes.without_agent = without_agent;
            assert_eq!(judge(&status, Duration::from_millis(420)).unwrap(), expected);
        }
    }

    #[test]
    fn a_cluster_without_agents_does_not_pass() {
        let error = judge(&status(&[], &[], 1), Duration::ZERO).unwrap_err();
        assert!(matches!(error, SelfTestError::NoAgents), "{error}");
    }

    #[test]
    fn an_agent_that_does_not_answer_is_named() {
        let late = i64::try_from(DEADLINE_SECONDS + REPORT_GRACE_SECONDS).unwrap();
        let error = judge(&status(&["a", "node-b"], &["a"], late), Duration::ZERO).unwrap_err();
        assert!(error.to_string().contains("node-b"), "{error}");
    }
}
