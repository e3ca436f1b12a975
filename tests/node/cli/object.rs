//! `secateur run`.

use super::*;
use crate::bed::{both, eventually};

both!(
    an_image_deletion_runs_and_gets_its_status,
    what_a_status_has_no_room_for_is_said,
    an_image_deletion_obeys_each_field,
    an_image_deletion_waits_for_a_conflict_to_end,
    an_image_deletion_waits_for_what_is_held_whatever_failed,
    an_image_deletion_goes_on_when_a_container_is_not_made_after_all,
    an_image_deletion_that_waits_tells_what_it_did,
    a_wrong_image_deletion_is_refused,
);

async fn an_image_deletion_runs_and_gets_its_status(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    let file = node.directory().join("deletion.yaml");
    std::fs::write(
        &file,
        "apiVersion: secateur.dev/v1alpha1\nkind: ImageDeletion\nmetadata: {name: drop}\nspec: {images: [\"app:v1\"]}\n",
    )
    .unwrap();
    let answer = call(&node, &["run", "-f", file.to_str().unwrap()]).await;
    assert_eq!((answer.exit, &*answer.stderr), (0, ""));
    let object = answer.yaml();
    assert_eq!(object["kind"], "ImageDeletion");
    assert_eq!(object["spec"]["prune"], true);
    let status = &object["status"];
    assert_eq!(status["phase"], "Complete");
    assert_eq!(status["observedGeneration"], 1);
    assert_eq!(
        status["nodes"],
        json!({
            "desired": 1, "reported": 1, "deleted": 1, "untagged": 0, "absent": 0, "conflicted": 0, "failed": 0,
            "withoutAgent": 0,
        })
    );
    assert_eq!(
        status["records"],
        json!([{"untagged": "app:v1", "nodes": 1}, {"deleted": app.target, "nodes": 1}])
    );
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(status["nodeResults"][0]["node"], hostname.trim().to_lowercase());
    assert!(status["reclaimedBytes"].as_u64().unwrap() > 0);
    assert!(is_gone(&node, &app).await);

    let again = call(&node, &["run", "-f", file.to_str().unwrap(), "-o", "table"]).await;
    assert_eq!(again.exit, 3);
    assert!(again.stdout.starts_with("NAME  PHASE"), "{}", again.stdout);
    assert_eq!(again.stderr, "error: No such image: app:v1\n");

    // A status has the worst of a node's messages only.
    node.import(&Image::new(APP).layer("one")).await;
    let both = apply(&node, &deletion(json!({"images": ["app:v1", "nosuch:v1"]})), &[]).await;
    assert_eq!((both.exit, &*both.stderr), (3, "error: No such image: nosuch:v1\n"));
    assert_eq!(both.yaml()["status"]["nodes"]["deleted"], 1);
}

/// In a cluster the reports have it.
async fn what_a_status_has_no_room_for_is_said(version: Version) {
    let node = Node::start(version).await;
    let long = "x".repeat(200);
    let images = node.import_all(&Image::series(&format!("docker.io/{long}/app"), 300, 1)).await;
    let answer = apply(&node, &deletion(json!({"images": [format!("{long}/app*")]})), &[]).await;
    assert_eq!(answer.exit, 0, "{}", answer.stderr);
    let status = &answer.yaml()["status"];
    assert_eq!(status["truncated"], true);
    let told = status.to_string() + &answer.stderr;
    for image in &images {
        let name = image.name.trim_start_matches("docker.io/");
        assert!(told.contains(name), "{name}");
        assert!(told.contains(&image.target.hex()[..12]), "{name}");
    }
    assert!(
        answer.stderr.lines().all(|line| line.starts_with(&format!("{long}/app*: "))),
        "{}",
        answer.stderr
    );
}

async fn an_image_deletion_obeys_each_field(version: Version) {
    let node = Node::start(version).await;
    let parent = node.import(&Image::new("docker.io/library/parent:v1").layer("below")).await;
    node.import(&Image::new(APP).layer("below").layer("above")).await;
    node.put_record(&format!("moby-dangling@{}", parent.target), &parent.name).await;
    node.delete_record(&parent.name).await;
    node.plain_container("plain", APP, State::Stopped).await;

    let held = apply(&node, &deletion(json!({"images": ["app:v1"], "onConflict": "Report"})), &[]).await;
    assert_eq!(held.exit, 4);
    let status = &held.yaml()["status"];
    assert_eq!(status["nodes"]["conflicted"], 1);
    assert_eq!(status["nodeResults"][0]["conflicts"][0]["kind"], "StoppedContainer");
    assert_eq!(status["conditions"][1]["type"], "Conflicted");
    assert_eq!(status["conditions"][1]["status"], "True");

    let forced = deletion(json!({
        "images": [node.record(APP).await.unwrap().target],
        "force": true,
        "prune": false,
        "nodeSelector": {"matchLabels": {"pool": "blue"}},
    }));
    let forced = apply(&node, &forced, &["-o", "json"]).await;
    assert_eq!(forced.exit, 0, "{}", forced.stderr);
    assert_eq!(forced.json()["status"]["nodes"]["deleted"], 1);
    assert!(forced.stderr.starts_with("spec.nodeSelector: "), "{}", forced.stderr);
    assert!(node.record(APP).await.is_none());
    assert!(!is_gone(&node, &parent).await, "it was not to be pruned");
}

async fn an_image_deletion_waits_for_a_conflict_to_end(version: Version) {
    let node = Node::start(version).await;
    let [app, api] = [APP, "docker.io/library/api:v1"];
    let held = node.import(&Image::new(app).layer("one")).await;
    node.import(&Image::new(api).layer("two")).await;
    let pod = node.pod("shop", "cart").await;
    let container = node.container(&pod, "cart", app, State::Running).await;
    let spec = json!({"images": ["app:v1", "api:v1"], "onConflict": "Wait", "activeDeadlineSeconds": 60});
    let object = deletion(spec);
    let freed = async {
        while node.record(api).await.is_some() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        assert!(node.record(app).await.is_some());
        node.remove_container(&container).await;
    };
    let (answer, ()) = tokio::join!(apply(&node, &object, &["-o", "json"]), freed);
    assert_eq!(answer.exit, 0, "{}", answer.stderr);
    assert!(answer.stderr.contains("api:v1: Deleted: untagged api:v1, deleted "), "{}", answer.stderr);
    let status = &answer.json()["status"];
    assert_eq!(status["nodes"]["deleted"], 1);
    assert_eq!(status["records"].as_array().unwrap().len(), 4);
    assert!(is_gone(&node, &held).await);

    node.import(&Image::new(app).layer("one")).await;
    node.container(&pod, "cart", app, State::Running).await;
    let spec = json!({"images": ["app:v1"], "onConflict": "Wait", "activeDeadlineSeconds": 2});
    let answer = apply(&node, &deletion(spec), &["-o", "json"]).await;
    assert_eq!(answer.exit, 4);
    let status = &answer.json()["status"];
    assert_eq!((&status["phase"], &status["nodes"]["conflicted"]), (&json!("Complete"), &json!(1)));
}

/// One image of a pattern is in use, and another was moved meanwhile.
async fn an_image_deletion_waits_for_what_is_held_whatever_failed(version: Version) {
    let node = Node::start(version).await;
    let held = node.import(&Image::new("docker.io/library/app:v1").layer("one")).await;
    node.import(&Image::new("docker.io/library/app:v2").layer("two")).await;
    node.tag("docker.io/library/app:v2", "docker.io/library/kept:v1").await;
    let new = node.import(&Image::new("docker.io/library/new:v1").layer("three")).await;
    node.plain_container("user", &held.name, State::Created).await;

    let spec = json!({"images": ["app:*"], "onConflict": "Wait", "activeDeadlineSeconds": 60});
    let mut command = secateur(&node, &["run", "-f", "-", "-o", "table"]);
    command.env("SECATEUR_STOP_AT", "removing");
    let mut child = begin(command, &deletion(spec).to_string());
    let pid = stops(&child).await;
    node.move_record("docker.io/library/app:v2", &new.name).await;
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGCONT).unwrap();
    until_said(child.stderr.as_mut().unwrap(), "app:*: waiting: ");
    node.remove_plain_container("user").await;
    let answer = end(child).await;
    assert_eq!(answer.exit, 0, "{answer:?}");
    assert!(is_gone(&node, &held).await);
}

/// Nothing is stopped or removed then that anybody would hear of but its root file system.
async fn an_image_deletion_goes_on_when_a_container_is_not_made_after_all(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    node.prepare_snapshot("0123456789abcdef", &app.chain_ids().pop().unwrap()).await;
    let spec = json!({"images": ["app:v1"], "onConflict": "Wait", "activeDeadlineSeconds": 100});
    let started = std::time::Instant::now();
    let mut child = begin(secateur(&node, &["run", "-f", "-"]), &deletion(spec).to_string());
    until_said(child.stderr.as_mut().unwrap(), "app:v1: waiting: ");
    node.remove_snapshot("0123456789abcdef").await;
    let answer = end(child).await;
    assert_eq!(answer.exit, 0, "{answer:?}");
    assert!(started.elapsed().as_secs() < 25, "it is told of, not looked for: {:?}", started.elapsed());
}

/// What was done before the wait is in its status, however the wait ends.
async fn an_image_deletion_that_waits_tells_what_it_did(version: Version) {
    let mut node = Node::start(version).await;
    let [app, api] = [APP, "docker.io/library/api:v1"];
    let held = node.import(&Image::new(app).layer("one")).await;
    let pod = node.pod("shop", "cart").await;
    let container = node.container(&pod, "cart", app, State::Running).await;
    let spec = json!({"images": ["api:v1", "app:v1"], "onConflict": "Wait", "activeDeadlineSeconds": 60});
    let object = deletion(spec).to_string();
    let spawn = |node: &Node| begin(secateur(node, &["run", "-f", "-", "-o", "json"]), &object);
    for _ in 0..8 {
        node.import(&Image::new(api).layer("two")).await;
        let mut child = spawn(&node);
        until_said(child.stderr.as_mut().unwrap(), "app:v1: waiting");
        let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
        let answer = end(child).await;
        assert_eq!(answer.exit, 1, "{}", answer.stderr);
        let status = &answer.json()["status"];
        assert_eq!(status["records"].as_array().unwrap().len(), 2, "{status}");
        assert_eq!(status["nodes"]["conflicted"], 1);
    }

    node.import(&Image::new(api).layer("two")).await;
    let mut child = spawn(&node);
    until_said(child.stderr.as_mut().unwrap(), "app:v1: waiting");
    eventually("the operation before the wait to be acknowledged", async || {
        let leases = node.leases().await;
        leases.keys().all(|lease| !lease.starts_with("secateur-")).then_some(())
    })
    .await;
    node.restart().await;
    node.remove_container(&container).await;
    let answer = end(child).await;
    assert_eq!(answer.exit, 0, "{}", answer.stderr);
    assert_eq!(answer.json()["status"]["records"].as_array().unwrap().len(), 4);
    assert!(is_gone(&node, &held).await);
}

async fn a_wrong_image_deletion_is_refused(version: Version) {
    let node = Node::start(version).await;
    let rows = [
        (deletion(json!({"images": []})), "name at least one image, such as app:v1"),
        (deletion(json!({"images": ["App:v1"]})), "repository name must be lowercase: write app:v1"),
        (
            deletion(json!({"images": ["app"], "colour": "red"})),
            "strict decoding error: unknown field \"spec.colour\"",
        ),
        (json!({"kind": "Pod", "apiVersion": "v1"}), "not an ImageDeletion (apiVersion: v1, kind: Pod): "),
    ];
    for (object, message) in rows {
        let answer = apply(&node, &object, &[]).await;
        assert_eq!((answer.exit, &*answer.stdout), (2, ""));
        assert!(answer.stderr.starts_with("error: stdin: "), "{}", answer.stderr);
        assert!(answer.stderr.contains(message), "{}", answer.stderr);
    }
    let answer = call(&node, &["run", "-f", "/nonexistent/deletion.yaml"]).await;
    assert_eq!(answer.exit, 1);
    assert_eq!(
        answer.stderr,
        "error: cannot read /nonexistent/deletion.yaml: No such file or directory (os error 2)\n"
    );
}
