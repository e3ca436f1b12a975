//! As much as is allowed, and as much as may pile up.

use std::time::Duration;

use containerd_client::services::v1::{CreateImageRequest, GetImageRequest, Image as ImageMessage};
use futures::{StreamExt, stream};
use k8s_cri::v1::ListImagesRequest;
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use secateur::api::deletion::ImageDeletion;
use secateur::api::report::{ImageDeletionReport, MAX_REPORT_BYTES};
use secateur::api::result::Outcome;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::bed::{Image, NAMESPACE, in_namespace};
use crate::cluster::{Cluster, Node, SECATEUR, Vitals};
use crate::suite::{Test, tests};

/// The most entries of a deletion.
const IMAGES: usize = 64;
/// Names of each image.
const TAGS: usize = 200;
/// Images of a node that has very many.
const MANY: usize = 10_000;
/// The most memory that an agent may take, in KiB: what the chart gives it.
const AGENT: u64 = 256 << 10;
/// Deletions that are kept.
const KEPT: usize = 1_000;
/// Requests that are under way at once.
const CONCURRENCY: usize = 32;
/// How long anything may take here that is done many times.
const PATIENCE: Duration = Duration::from_secs(240);
/// The most memory that a controller may take by its own, in KiB.
const CONTROLLER: u64 = 32 << 10;

pub(crate) fn tests() -> Vec<Test> {
    tests![Long: sixty_four_images_of_two_hundred_tags_go_at_once, a_thousand_deletions_are_kept,
        an_agent_has_ten_thousand_images]
}

async fn sixty_four_images_of_two_hundred_tags_go_at_once(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let begin = Instant::now();
    let [a, b] = cluster.nodes();
    tokio::join!(tagged(a), tagged(b));
    eprintln!(
        "limits: {IMAGES} images of {TAGS} tags made on 2 nodes in {:.1} s",
        begin.elapsed().as_secs_f64()
    );

    let images: Vec<_> = (0..IMAGES).map(|image| format!("limits/app-{image}:*")).collect();
    let begin = Instant::now();
    cluster.post_deletion("limits-tags", json!({"images": images})).await;
    let deletion = until("limits-tags to come to its end", async || {
        let deletion = cluster.deletion("limits-tags").await;
        deletion.is_finished().then_some(deletion)
    })
    .await;
    let took = begin.elapsed().as_secs_f64();
    let status = deletion.status.as_ref().unwrap();
    let size = serde_json::to_vec(&deletion).unwrap().len();
    assert_eq!((status.nodes.desired, status.nodes.deleted, status.nodes.failed), (2, 2, 0), "{status:#?}");
    assert!(size < 64 << 10, "the deletion and its status have {size} bytes");
    assert!(status.truncated, "it says that not everything is listed");
    for (name, report) in cluster.reports("limits-tags").await {
        let size = serde_json::to_vec(&report).unwrap().len();
        let listed: usize = report.results.iter().map(|result| result.records.len()).sum();
        eprintln!("limits: {name} reports {listed} of {} records in {size} bytes", IMAGES * (TAGS + 1));
        assert!(size < MAX_REPORT_BYTES + (16 << 10));
        assert_eq!(report.outcome, Outcome::Deleted);
        let last = report.results[IMAGES - 1].message.as_deref().unwrap_or_default();
        let said = listed == IMAGES * (TAGS + 1)
            || last.contains("not listed, because the report would be too long");
        assert!(said, "{last}");
    }
    eprintln!(
        "limits: {} names gone from 2 nodes in {took:.1} s, status and all {size} bytes",
        2 * IMAGES * TAGS
    );
    for node in cluster.nodes() {
        let left =
            node.records().await.into_keys().filter(|name| name.starts_with("docker.io/limits/")).count();
        assert_eq!(left, 0, "{}", node.name());
    }
}

async fn an_agent_has_ten_thousand_images(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    for node in cluster.nodes() {
        let begin = Instant::now();
        node.stock("docker.io/many/app", MANY).await;
        until("the CRI to know all images", async || {
            let known =
                node.image_service().list_images(ListImagesRequest::default()).await.ok()?.into_inner();
            (known.images.len() >= MANY).then_some(())
        })
        .await;
        eprintln!("limits: {MANY} images on {} in {:.1} s", node.name(), begin.elapsed().as_secs_f64());
    }
    // 1,111 images have a number that begins with 9.
    let rows = [
        ("limits-one", "many/app-17:v1", MANY - 1),
        ("limits-ninth", "many/app-9*:v1", MANY - 1 - 1_111),
        ("limits-rest", "many/**", 0),
    ];
    for (name, entry, left) in rows {
        let begin = Instant::now();
        cluster.post_deletion(name, json!({"images": [entry], "activeDeadlineSeconds": 600})).await;
        let status = until("the deletion to come to its end", async || {
            let deletion = cluster.deletion(name).await;
            deletion.is_finished().then_some(deletion.status?)
        })
        .await;
        let took = begin.elapsed().as_secs_f64();
        assert_eq!((status.nodes.deleted, status.nodes.failed), (2, 0), "{status:#?}");
        for node in cluster.nodes() {
            let records = node.records().await;
            let there = records.keys().filter(|name| name.starts_with("docker.io/many/")).count();
            assert_eq!(there, left, "{name} on {}", node.name());
            let peak = peak(node).await;
            eprintln!(
                "limits: {entry} took {took:.2} s; the agent on {} had {peak} KiB at most",
                node.name()
            );
            assert!(peak < AGENT, "{peak} KiB are too much");
        }
    }
}

/// The most memory that the agent of a node ever had, in KiB.
async fn peak(node: &Node) -> u64 {
    let agents = secateur_on(node, "agent").await;
    Vitals::of(node, &agents[0]).await.expect("the agent runs").peak
}

/// Makes the images with all their tags.
async fn tagged(node: &Node) {
    let images = node.import_all(&Image::series("docker.io/limits/app", IMAGES, 1)).await;
    let tags = images.iter().enumerate().flat_map(|(number, image)| {
        (1..TAGS).map(move |tag| (format!("docker.io/limits/app-{number}:t{tag}"), image.name.as_str()))
    });
    let put = async |(name, like): (String, &str)| {
        let request = GetImageRequest { name: like.to_owned() };
        let image = node.client().images().get(in_namespace(NAMESPACE, request)).await.unwrap().into_inner();
        let image = ImageMessage { name, target: image.image.unwrap().target, ..ImageMessage::default() };
        let request = CreateImageRequest { image: Some(image), source_date_epoch: None };
        node.client().images().create(in_namespace(NAMESPACE, request)).await.unwrap();
    };
    stream::iter(tags).for_each_concurrent(CONCURRENCY, put).await;
}

async fn a_thousand_deletions_are_kept(cluster: &Cluster) {
    let cluster = cluster.with_secateur().await;
    let (deletions, reports): (Api<ImageDeletion>, Api<ImageDeletionReport>) =
        (Api::all(cluster.client()), Api::all(cluster.client()));
    let before = controllers(cluster).await;
    let begin = Instant::now();
    let name = |number: usize| format!("limits-kept-{number}");
    let post = async |number: usize| cluster.post_deletion(&name(number), spec()).await;
    stream::iter(0..KEPT).for_each_concurrent(CONCURRENCY, post).await;
    let posted = begin.elapsed().as_secs_f64();
    until("all to come to their end", async || {
        let of_it = ListParams::default().fields("status.phase=Complete");
        let found = deletions.list_metadata(&of_it).await.ok()?;
        let of_ours = |name: &String| name.starts_with("limits-kept-");
        (found.iter().filter_map(|it| it.metadata.name.as_ref()).filter(|it| of_ours(it)).count() == KEPT)
            .then_some(())
    })
    .await;
    eprintln!(
        "limits: {KEPT} deletions made in {posted:.1} s, complete after {:.1} s",
        begin.elapsed().as_secs_f64()
    );
    let kept = controllers(cluster).await;

    let begin = Instant::now();
    let listed = deletions.list(&ListParams::default()).await.unwrap();
    let bytes = serde_json::to_vec(&listed.items).unwrap().len();
    eprintln!(
        "limits: listing {} takes {:.2} s and {bytes} bytes",
        listed.items.len(),
        begin.elapsed().as_secs_f64()
    );

    let versions = async || {
        let all = reports.list_metadata(&ListParams::default()).await.unwrap();
        let mut versions: Vec<_> =
            all.iter().map(|it| (it.metadata.name.clone(), it.metadata.resource_version.clone())).collect();
        versions.sort();
        versions
    };
    let reported = versions().await;
    assert!(reported.len() >= 2 * KEPT, "{}", reported.len());
    let begin = Instant::now();
    for node in cluster.nodes() {
        for name in ["agent", "controller"] {
            for container in secateur_on(node, name).await {
                node.kill_task(&container).await;
            }
        }
    }
    cluster.request("limits-after", json!({"images": ["limits/none:v1"]}));
    let status = until("the next deletion to come to its end", async || {
        cluster.deletion("limits-after").await.status.filter(|status| status.nodes.reported == 2)
    })
    .await;
    assert_eq!(status.nodes.absent, 2);
    eprintln!(
        "limits: agents and controllers restarted and a deletion done in {:.1} s",
        begin.elapsed().as_secs_f64()
    );
    cluster.await_secateur().await;
    let again = controllers(cluster).await;
    let mut now = versions().await;
    now.retain(|version| reported.contains(version));
    assert_eq!(now.len(), reported.len(), "nothing that was reported is done or reported again");
    eprintln!(
        "limits: controllers hold {before:?} KiB without, {kept:?} with {KEPT} deletions, {again:?} after a restart"
    );
    assert!(kept.iter().chain(&again).all(|memory| *memory < CONTROLLER), "{kept:?} {again:?}");

    let begin = Instant::now();
    let remove = async |number: usize| {
        deletions.delete(&name(number), &DeleteParams::background()).await.unwrap();
    };
    stream::iter(0..KEPT).for_each_concurrent(CONCURRENCY, remove).await;
    until("all to be gone", async || {
        let left = reports.list_metadata(&ListParams::default()).await.ok()?;
        let of_it = |name: &String| reported.iter().any(|(known, _)| known.as_ref() == Some(name));
        let left = left.iter().filter_map(|it| it.metadata.name.as_ref()).filter(|name| of_it(name)).count();
        (left <= reported.len() - 2 * KEPT).then_some(())
    })
    .await;
    eprintln!("limits: {KEPT} deletions and their reports removed in {:.1} s", begin.elapsed().as_secs_f64());
}

fn spec() -> Value {
    json!({"images": ["limits/none:v1"]})
}

/// The memory that each controller has, in KiB.
async fn controllers(cluster: &Cluster) -> Vec<u64> {
    let mut memory = Vec::new();
    for node in cluster.nodes() {
        for container in secateur_on(node, "controller").await {
            memory.extend(Vitals::of(node, &container).await.map(|vitals| vitals.memory));
        }
    }
    memory
}

async fn secateur_on(node: &Node, name: &str) -> Vec<String> {
    let labels = [("io.kubernetes.pod.namespace", SECATEUR), ("io.kubernetes.container.name", name)];
    node.running_containers(&labels).await.into_iter().map(|container| container.id).collect()
}

/// Asks until there is an answer, for longer than usual.
async fn until<T>(what: &str, mut ask: impl AsyncFnMut() -> Option<T>) -> T {
    let begin = Instant::now();
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(begin.elapsed() < PATIENCE, "waited for {what}");
        sleep(Duration::from_millis(100)).await;
    }
}
