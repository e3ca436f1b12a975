//! Containers that only containerd knows.

use std::collections::BTreeMap;

use containerd_client::services::v1::{KillRequest, ListContainersRequest, ListTasksRequest, WaitRequest};
use containerd_client::types::v1::Status;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{NAMESPACE, Node, State, cgroup, in_namespace};

/// A shim that answers nothing until this is dropped.
pub(crate) struct StoppedShim(Pid);

impl Drop for StoppedShim {
    fn drop(&mut self) {
        kill(self.0, Signal::SIGCONT).ok();
    }
}

impl Node {
    /// Makes a container with `ctr`, in the CRI's namespace and unknown to the CRI. The image is a record's name.
    pub(crate) async fn plain_container(&self, id: &str, image: &str, state: State) {
        if state == State::Created {
            self.ctr(["containers", "create", image, id]).await;
            return;
        }
        self.run_with(id, image, &[]).await;
        match state {
            State::Paused => self.pause(id).await,
            State::Stopped => self.end_task(id).await,
            State::Created | State::Running => {}
        }
    }

    /// Makes a running container with `ctr` whose users are others outside, on a copy of its image that has their files.
    pub(crate) async fn container_with_user_namespace(&self, id: &str, image: &str) {
        self.run_with(id, image, &["--uidmap", "0:100000:65536", "--gidmap", "0:100000:65536"]).await;
    }

    async fn run_with(&self, id: &str, image: &str, options: &[&str]) {
        let cgroup = format!("{}/{id}", cgroup::parent(self.home.path()));
        let runc = self.home.join("state/runc");
        let runc = runc.to_str().expect("the path is text");
        let run = ["run", "--detach", "--null-io", "--runc-root", runc, "--cgroup", &cgroup];
        self.ctr_in(NAMESPACE, &[&run[..], options, &[image, id]].concat()).await;
    }

    /// Ends and removes a container that `ctr` made and that is not paused.
    pub(crate) async fn remove_plain_container(&self, id: &str) {
        if self.tasks().await.contains_key(id) {
            self.end_task(id).await;
            self.ctr(["tasks", "rm", id]).await;
        }
        self.ctr(["containers", "rm", id]).await;
        self.collect_garbage().await;
    }

    /// Makes a container like [`Node::plain_container`], not started, in another snapshotter. The image is unpacked there.
    pub(crate) async fn container_in_snapshotter(&self, id: &str, image: &str, snapshotter: &str) {
        self.ctr(["containers", "create", "--snapshotter", snapshotter, image, id]).await;
    }

    /// The containers of the CRI's namespace, pod sandboxes too: ID and the name of the image.
    pub(crate) async fn containers(&self) -> BTreeMap<String, String> {
        let request = in_namespace(NAMESPACE, ListContainersRequest::default());
        let answer = self.client().containers().list(request).await.expect("containerd lists containers");
        answer.into_inner().containers.into_iter().map(|container| (container.id, container.image)).collect()
    }

    /// The tasks of the CRI's namespace: container ID and status.
    pub(crate) async fn tasks(&self) -> BTreeMap<String, Status> {
        let request = in_namespace(NAMESPACE, ListTasksRequest::default());
        let answer = self.client().tasks().list(request).await.expect("containerd lists tasks");
        answer.into_inner().tasks.into_iter().map(|task| (task.id.clone(), task.status())).collect()
    }

    /// Stops the shim of a task, which answers nothing until the guard is dropped.
    pub(crate) async fn stop_shim(&self, id: &str) -> StoppedShim {
        let request = in_namespace(NAMESPACE, ListTasksRequest::default());
        let tasks =
            self.client().tasks().list(request).await.expect("containerd lists tasks").into_inner().tasks;
        let task = tasks.into_iter().find(|task| task.id == id).expect("the task is there");
        let status = std::fs::read_to_string(format!("/proc/{}/status", task.pid)).expect("its process runs");
        let parent = status.lines().find_map(|line| line.strip_prefix("PPid:")).expect("it has a parent");
        let shim = Pid::from_raw(parent.trim().parse().expect("the parent is a number"));
        kill(shim, Signal::SIGSTOP).expect("the shim can be stopped");
        StoppedShim(shim)
    }

    /// Ends the process of a task. The task stays, and says that it is stopped.
    async fn end_task(&self, id: &str) {
        let mut tasks = self.client().tasks();
        let kill =
            KillRequest { container_id: id.to_owned(), signal: 9, all: true, ..KillRequest::default() };
        tasks.kill(in_namespace(NAMESPACE, kill)).await.expect("containerd ends a task");
        let wait = WaitRequest { container_id: id.to_owned(), exec_id: String::new() };
        tasks.wait(in_namespace(NAMESPACE, wait)).await.expect("containerd waits for a task");
    }
}
