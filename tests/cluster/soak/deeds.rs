//! Doing it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use containerd_client::services::v1::{
    CreateImageRequest, GetImageRequest, Image as ImageMessage, UpdateImageRequest,
};
use containerd_client::types::Descriptor;
use nix::sys::signal::{Signal, kill};
use prost_types::FieldMask;
use tokio::sync::RwLock;
use tokio::time::sleep;

use super::NAMESPACE;
use super::diary::Diary;
use super::ledger::{Ledger, Started, familiar, name_of, name_of_pod, name_of_tag};
use super::plan::{Action, Entry, Manner};
use crate::bed::{Image, NAMESPACE as CRI_NAMESPACE, in_namespace};
use crate::cluster::{Cluster, Node, Pod, SECATEUR};

/// Does what is planned, and keeps the ledger.
pub(super) struct Deeds<'a> {
    pub(super) cluster: &'a Cluster,
    diary: &'a Diary,
    ledger: Arc<Mutex<Ledger>>,
    /// Held by those who ask a containerd, so that none is killed under them.
    gate: Arc<RwLock<()>>,
}

impl<'a> Deeds<'a> {
    pub(super) fn new(cluster: &'a Cluster, diary: &'a Diary) -> Self {
        Self { cluster, diary, ledger: Arc::default(), gate: Arc::default() }
    }

    pub(super) fn ledger(&self) -> Arc<Mutex<Ledger>> {
        Arc::clone(&self.ledger)
    }

    pub(super) fn gate(&self) -> Arc<RwLock<()>> {
        Arc::clone(&self.gate)
    }

    /// The ledger as it is now.
    pub(super) fn known(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does one thing. What is not possible now is left.
    pub(super) async fn act(&mut self, action: &Action) {
        let done = match action {
            Action::Import { image, nodes } => self.import(*image, *nodes).await,
            Action::Tag { tag, image } => self.tag(*tag, *image).await,
            Action::Move { tag, image } => self.move_tag(*tag, *image).await,
            Action::Start { pod, image, node } => self.start(*pod, *image, *node).await,
            Action::Stop { pod } => self.stop(*pod).await,
            Action::Restart { pod } => self.restart(*pod).await,
            Action::Delete { deletion, entries, manner } => self.delete(*deletion, entries, *manner).await,
            Action::KillAgent { node } => self.kill(*node, "agent").await,
            Action::KillContainerd { node, away } => self.kill_containerd(*node, *away).await,
            Action::KillController { node } => self.kill(*node, "controller").await,
        };
        self.diary.note(&format!("{action:?}{}", if done { "" } else { ": not possible" }));
    }

    async fn import(&self, image: usize, nodes: [bool; 2]) -> bool {
        let recipe = Image::new(name_of(image)).layer(name_of(image));
        for (index, node) in self.cluster.nodes().iter().enumerate().filter(|(index, _)| nodes[*index]) {
            let imported = node.import(&recipe).await;
            let mut ledger = self.known();
            ledger.made[index].names.insert(imported.name.clone());
            ledger.images.entry(image).or_insert((imported, [false, false])).1[index] = true;
        }
        true
    }

    async fn tag(&self, tag: usize, image: usize) -> bool {
        let mut any = false;
        for (index, node) in self.cluster.nodes().iter().enumerate() {
            if make_record(node, &name_of_tag(tag), &name_of(image)).await {
                let made = &mut self.known().made[index];
                made.names.insert(name_of_tag(tag));
                made.named_more.insert(image);
                any = true;
            }
        }
        any
    }

    async fn move_tag(&self, tag: usize, image: usize) -> bool {
        let mut any = false;
        for (index, node) in self.cluster.nodes().iter().enumerate() {
            if let Some(before) = move_record(node, &name_of_tag(tag), &name_of(image)).await {
                let made = &mut self.known().made[index];
                made.moved_from.insert(before);
                made.named_more.insert(image);
                any = true;
            }
        }
        any
    }

    async fn start(&self, pod: usize, image: usize, node: usize) -> bool {
        if !self.known().is_given(image, node) {
            return false;
        }
        self.known().pods.insert(pod, Started { image, node, has_run: false });
        self.cluster.post_pod(&self.pod(pod, image, node)).await;
        true
    }

    pub(super) async fn stop(&self, pod: usize) -> bool {
        let started = self.known().pods.remove(&pod);
        if let Some(Started { image, node, .. }) = started {
            self.cluster.remove_pod(&self.pod(pod, image, node)).await;
            return true;
        }
        false
    }

    fn pod(&self, pod: usize, image: usize, node: usize) -> Pod {
        let node = &self.cluster.nodes()[node];
        Pod::new(NAMESPACE, &name_of_pod(pod), &name_of(image), node)
            .bound(node)
            .host_network()
            .without_token()
    }

    async fn restart(&self, pod: usize) -> bool {
        let Some(started) = self.known().pods.get(&pod).cloned() else { return false };
        let node = &self.cluster.nodes()[started.node];
        let Some((container, _)) = node.container_of(NAMESPACE, &name_of_pod(pod)).await else {
            return false;
        };
        if let Some(started) = self.known().pods.get_mut(&pod) {
            started.has_run = true;
        }
        node.kill_task(&container).await;
        true
    }

    async fn delete(&self, deletion: usize, entries: &[Entry], manner: Manner) -> bool {
        let mut texts: Vec<String> = Vec::new();
        for entry in entries {
            let text = self.text_of(*entry);
            if let Some(text) = text.filter(|text| !texts.contains(text)) {
                texts.push(text);
                self.note_force(*entry, manner);
            }
        }
        if texts.is_empty() {
            return false;
        }
        let name = format!("soak-{deletion}");
        self.known().deletions.insert(name.clone());
        if manner.dry_run {
            self.known().dry_runs.insert(name.clone());
        }
        self.cluster.post_deletion(&name, manner.spec(texts)).await;
        true
    }

    /// Whom a forced deletion takes a name from cannot be started again, which is what was asked for.
    fn note_force(&self, entry: Entry, manner: Manner) {
        if !manner.force || manner.dry_run {
            return;
        }
        if let Entry::Name(image) | Entry::Digest(image) | Entry::Id(image) | Entry::Pattern(image) = entry {
            for made in &mut self.known().made {
                made.forced.insert(image);
            }
        }
    }

    fn text_of(&self, entry: Entry) -> Option<String> {
        let ledger = self.known();
        let image = |image: usize| ledger.images.get(&image).map(|(imported, _)| imported);
        Some(match entry {
            Entry::Name(number) => familiar(&name_of(number)).to_owned(),
            Entry::Tag(number) => familiar(&name_of_tag(number)).to_owned(),
            Entry::Digest(number) => format!("soak/app-{number}@{}", image(number)?.target),
            Entry::Id(number) => image(number)?.config().hex()[..12].to_owned(),
            Entry::Pattern(number) => format!("soak/app-{number}:*"),
        })
    }

    /// Kills the container of that name of Secateur's on a node, if one runs there.
    async fn kill(&self, node: usize, container: &str) -> bool {
        let node = &self.cluster.nodes()[node];
        let labels = [("io.kubernetes.pod.namespace", SECATEUR), ("io.kubernetes.container.name", container)];
        for container in node.running_containers(&labels).await {
            if let Some(pid) = node.process_of(&container.id).await {
                return kill(pid, Signal::SIGKILL).is_ok();
            }
        }
        false
    }

    async fn kill_containerd(&self, node: usize, away: u64) -> bool {
        let node = &self.cluster.nodes()[node];
        let _alone = self.gate.write().await;
        node.daemon.kill();
        sleep(Duration::from_millis(away)).await;
        node.daemon.start();
        node.await_containerd().await;
        true
    }
}

/// Makes a record with the target of another. Says whether it did: that may be gone by now.
async fn make_record(node: &Node, name: &str, like: &str) -> bool {
    let Some(target) = target_of(node, like).await else { return false };
    let image = ImageMessage { name: name.to_owned(), target: Some(target), ..ImageMessage::default() };
    let request = CreateImageRequest { image: Some(image), source_date_epoch: None };
    node.client().images().create(in_namespace(CRI_NAMESPACE, request)).await.is_ok()
}

/// Moves a record to the target of another. Returns the target that it had; none where either is gone by now, or nothing moved.
async fn move_record(node: &Node, name: &str, like: &str) -> Option<String> {
    let (before, target) = (target_of(node, name).await?, target_of(node, like).await?);
    let is_move = before.digest != target.digest;
    let image = ImageMessage { name: name.to_owned(), target: Some(target), ..ImageMessage::default() };
    let request = UpdateImageRequest {
        image: Some(image),
        update_mask: Some(FieldMask { paths: vec!["target".to_owned()] }),
        source_date_epoch: None,
    };
    let moved = node.client().images().update(in_namespace(CRI_NAMESPACE, request)).await;
    (is_move && moved.is_ok()).then_some(before.digest)
}

async fn target_of(node: &Node, name: &str) -> Option<Descriptor> {
    let request = GetImageRequest { name: name.to_owned() };
    node.client().images().get(in_namespace(CRI_NAMESPACE, request)).await.ok()?.into_inner().image?.target
}
