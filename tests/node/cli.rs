//! The binary itself, from its arguments to its exit code, on real nodes.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::bed::{Digest, Image, Imported, Node, State, Version, both};

both!(
    a_name_is_deleted_and_told_as_json,
    a_name_is_deleted_and_told_as_yaml_and_as_a_table,
    one_bad_reference_does_not_stop_the_others,
    a_conflict_names_its_holder_and_the_remedy,
    a_prefix_can_be_ambiguous,
    a_dry_run_leaves_the_store_as_it_was,
    a_pattern_is_deleted_and_what_is_protected_stays,
    an_image_deletion_runs_and_gets_its_status,
    an_image_deletion_obeys_each_field,
    an_image_deletion_waits_for_a_conflict_to_end,
    a_wrong_image_deletion_is_refused,
    images_are_listed_with_their_users,
    prune_takes_dangling_images_alone,
    prune_takes_unused_images_but_kept_and_young_ones,
    a_terminated_command_says_what_it_did,
    a_killed_command_is_reported_by_the_next,
    nobody_else_may_open_the_socket,
    a_person_at_a_terminal_is_asked,
    a_terminal_has_colours_and_a_width,
    a_reader_that_has_seen_enough_is_no_error,
);

const APP: &str = "docker.io/library/app:v1";

/// What a command did.
struct Answer {
    exit: i32,
    stdout: String,
    stderr: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {}", self.stdout))
    }

    fn yaml(&self) -> Value {
        serde_saphyr::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in {}", self.stdout))
    }
}

impl From<Output> for Answer {
    fn from(output: Output) -> Self {
        Self {
            exit: output.status.code().expect("no signal ends it"),
            stdout: String::from_utf8(output.stdout).expect("it prints text"),
            stderr: String::from_utf8(output.stderr).expect("it prints text"),
        }
    }
}

fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command
        .env_remove("SECATEUR_ADDRESS")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn secateur(node: &Node, arguments: &[&str]) -> Command {
    let mut command = command(env!("CARGO_BIN_EXE_secateur"));
    command.args(arguments).env("SECATEUR_ADDRESS", node.socket());
    command
}

async fn run(mut command: Command) -> Answer {
    let output = spawn_blocking(move || command.output())
        .await
        .expect("it is waited for");
    output.expect("it starts").into()
}

async fn call(node: &Node, arguments: &[&str]) -> Answer {
    run(secateur(node, arguments)).await
}

/// `secateur run -f -` with that object, as JSON.
async fn apply(node: &Node, object: &Value, arguments: &[&str]) -> Answer {
    feed(
        secateur(node, &[&["run", "-f", "-"], arguments].concat()),
        object.to_string(),
    )
    .await
}

/// The same line at a terminal of 80 columns, where a person types this answer. What it says on stderr is in stdout too.
async fn type_in(node: &Node, line: &str, answer: &str) -> Answer {
    let mut command = command("script");
    let line = format!("stty rows 24 cols 80; {} {line}", env!("CARGO_BIN_EXE_secateur"));
    command
        .args(["--quiet", "--return", "--command", &line, "/dev/null"])
        .env("SECATEUR_ADDRESS", node.socket())
        .env("TERM", "xterm")
        .env_remove("NO_COLOR");
    feed(command, answer.to_owned()).await
}

async fn feed(mut command: Command, text: String) -> Answer {
    command.stdin(Stdio::piped());
    let output = spawn_blocking(move || {
        let mut child = command.spawn()?;
        child.stdin.take().expect("a pipe").write_all(text.as_bytes())?;
        child.wait_with_output()
    });
    output.await.expect("it is waited for").expect("it starts").into()
}

fn deletion(spec: Value) -> Value {
    json!({
        "apiVersion": "secateur.dev/v1alpha1",
        "kind": "ImageDeletion",
        "metadata": {"name": "drop"},
        "spec": spec,
    })
}

async fn is_gone(node: &Node, image: &Imported) -> bool {
    let (records, content) = (node.records().await, node.content().await);
    !records.values().any(|record| record.target == image.target) && !content.contains_key(&image.target)
}

/// Everything that a dry run must leave alone.
async fn store(node: &Node) -> impl PartialEq + std::fmt::Debug {
    let leases: Vec<String> = node.leases().await.into_keys().collect();
    let content: BTreeMap<Digest, u64> = node
        .content()
        .await
        .into_iter()
        .map(|(digest, blob)| (digest, blob.size))
        .collect();
    (node.records().await, content, node.snapshots().await, leases)
}

async fn a_name_is_deleted_and_told_as_json(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    let answer = call(&node, &["delete", "app:v1", "-o", "json"]).await;
    assert_eq!((answer.exit, &*answer.stderr), (0, ""));
    let document = answer.json();
    let reclaimed = document["results"][0]["reclaimedBytes"].as_u64().unwrap();
    let expected = json!({"results": [{
        "image": "app:v1",
        "outcome": "Deleted",
        "records": [{"untagged": "app:v1"}, {"deleted": app.target}],
        "conflicts": [],
        "reclaimedBytes": reclaimed,
    }]});
    assert_eq!(document, expected);
    assert!(reclaimed > 0);
    assert!(is_gone(&node, &app).await);
    assert!(
        node.leases().await.is_empty(),
        "what was reported is acknowledged"
    );
}

async fn a_name_is_deleted_and_told_as_yaml_and_as_a_table(version: Version) {
    let node = Node::start(version).await;
    let one = node.import(&Image::new(APP).layer("one")).await;
    let two = node
        .import(&Image::new("docker.io/library/app:v2").layer("two"))
        .await;

    let answer = call(&node, &["-o", "yaml", "delete", "app:v1"]).await;
    assert_eq!((answer.exit, &*answer.stderr), (0, ""));
    assert_eq!(
        answer.yaml()["results"][0]["records"][1]["deleted"],
        json!(one.target)
    );

    let answer = call(&node, &["delete", &two.target.hex()[..8]]).await;
    assert_eq!((answer.exit, &*answer.stderr), (0, ""));
    let lines: Vec<_> = answer.stdout.lines().collect();
    let words: Vec<_> = lines[1].split_whitespace().collect();
    assert!(
        lines[0].starts_with("IMAGE") && lines[0].ends_with("WHAT HAPPENED"),
        "{lines:?}"
    );
    assert_eq!(
        (words[0], words[1], &words[3..]),
        (&two.target.hex()[..8], "Deleted", &["untagged", "app:v2"][..])
    );
    assert_eq!(lines[2].trim(), format!("deleted {}", &two.target.hex()[..12]));
    assert!(is_gone(&node, &two).await);
}

async fn one_bad_reference_does_not_stop_the_others(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    let answer = call(&node, &["delete", "App:v1", "nosuch", "app:v1", "-o", "json"]).await;
    assert_eq!(answer.exit, 3);
    let document = answer.json();
    let told: Vec<_> = [0, 1, 2]
        .map(|index| &document["results"][index])
        .iter()
        .map(|result| [&result["image"], &result["outcome"], &result["message"]].map(Value::clone))
        .collect();
    let invalid = "not a valid image reference: App:v1: repository name must be lowercase";
    let expected = [
        [json!("App:v1"), json!("Failed"), json!(invalid)],
        [
            json!("nosuch"),
            json!("Absent"),
            json!("No such image: nosuch:latest"),
        ],
        [json!("app:v1"), json!("Deleted"), json!(null)],
    ];
    assert_eq!(told, expected);
    assert!(is_gone(&node, &app).await);

    let answer = call(&node, &["delete", "App:v1"]).await;
    assert_eq!((answer.exit, answer.stderr), (2, format!("error: {invalid}\n")));
    let answer = call(&node, &["delete", "nosuch"]).await;
    assert_eq!(
        (answer.exit, &*answer.stderr),
        (3, "error: No such image: nosuch:latest\n")
    );
    let answer = call(&node, &["delete"]).await;
    assert_eq!(answer.exit, 2);
    assert!(
        answer.stderr.contains("Usage: secateur delete"),
        "{}",
        answer.stderr
    );
}

async fn a_conflict_names_its_holder_and_the_remedy(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    let pod = node.pod("shop", "cart-7d9").await;
    let id = node.container(&pod, "cart", APP, State::Running).await;
    node.plain_container("plain", APP, State::Stopped).await;

    let answer = call(&node, &["delete", &app.target, "-o", "json"]).await;
    assert_eq!(answer.exit, 4);
    let result = &answer.json()["results"][0];
    assert_eq!(result["outcome"], "Conflict");
    let subject = &app.target.hex()[..12];
    let expected = json!([
        {
            "image": app.target, "kind": "RunningContainer", "forcible": false,
            "namespace": "shop", "pod": "cart-7d9", "container": "cart",
            "message": format!(
                "conflict: unable to delete {subject} (cannot be forced) - image is being used by running container {}",
                &id[..12]
            ),
        },
        {
            "image": app.target, "kind": "StoppedContainer", "forcible": true, "container": "plain",
            "message": format!(
                "conflict: unable to delete {subject} (must be forced) - image is being used by stopped container plain"
            ),
        },
    ]);
    assert_eq!(result["conflicts"], expected);

    let answer = call(&node, &["delete", "app:v1"]).await;
    assert_eq!(answer.exit, 4);
    assert!(
        answer
            .stdout
            .contains("used by running container shop/cart-7d9/cart"),
        "{}",
        answer.stdout
    );
    let expected = format!(
        "error: conflict: unable to delete app:v1 (must be forced) - container {} is using its referenced image {subject} \
         (shop/cart-7d9/cart): remove the container first, or take only the name away with --force\n",
        &id[..12]
    );
    assert!(answer.stderr.starts_with(&expected), "{}", answer.stderr);
    assert!(node.record(APP).await.is_some());

    let answer = call(&node, &["delete", "--force", "-v", "app:v1"]).await;
    assert_eq!(answer.exit, 0);
    let reason = format!(
        "app:v1: only the name goes: container {} uses the image\n",
        &id[..12]
    );
    assert_eq!(answer.stderr, reason);
    assert!(answer.stdout.contains("Untagged"), "{}", answer.stdout);
    assert!(node.record(APP).await.is_none());
}

async fn a_prefix_can_be_ambiguous(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    let prefix = &app.target.hex()[..6];
    // The name is a prefix of the other image's ID.
    let named = format!("docker.io/library/{prefix}:latest");
    let other = node.import(&Image::new(named).layer("two")).await;
    let answer = call(&node, &["delete", prefix]).await;
    assert_eq!(answer.exit, 1);
    let expected = format!("error: ambiguous reference {prefix}: matches ");
    assert!(answer.stderr.starts_with(&expected), "{}", answer.stderr);
    for known in [&*app.target, "(app:v1)", &*other.target] {
        assert!(answer.stderr.contains(known), "{}", answer.stderr);
    }
    assert!(node.record(APP).await.is_some());
}

async fn a_dry_run_leaves_the_store_as_it_was(version: Version) {
    let node = Node::start(version).await;
    node.import(&Image::new(APP).layer("one")).await;
    node.tag(APP, "docker.io/library/app:v2").await;
    let before = store(&node).await;
    let dry = call(&node, &["delete", "--dry-run", "-v", "app:v1", "-o", "json"]).await;
    assert_eq!(store(&node).await, before);
    assert_eq!(
        (dry.exit, &*dry.stderr),
        (0, "app:v1: only the name goes: the image is also app:v2\n")
    );
    let prune = call(&node, &["prune", "--unused", "--dry-run"]).await;
    assert_eq!(store(&node).await, before);
    assert_eq!(
        (prune.exit, &*prune.stderr),
        (0, "dry run: nothing was deleted\n")
    );
    assert!(
        prune.stdout.contains("app:v1") && prune.stdout.contains("app:v2"),
        "{}",
        prune.stdout
    );
    let object = apply(
        &node,
        &deletion(json!({"images": ["app:v1"], "dryRun": true})),
        &[],
    )
    .await;
    assert_eq!(store(&node).await, before);
    assert_eq!(
        object.yaml()["status"]["records"],
        json!([{"untagged": "app:v1", "nodes": 1}])
    );

    let real = call(&node, &["delete", "app:v1", "-o", "json"]).await;
    assert_eq!(real.json(), dry.json(), "a dry run says what the run does");
}

async fn a_pattern_is_deleted_and_what_is_protected_stays(version: Version) {
    let node = Node::start(version).await;
    let names = ["v1", "v2"].map(|tag| format!("ghcr.io/acme/team/api:{tag}"));
    for name in &names {
        node.import(&Image::new(name).layer(name)).await;
    }
    let answer = call(
        &node,
        &[
            "delete",
            "ghcr.io/acme/**",
            "--protect",
            "ghcr.io/**:v2",
            "-o",
            "json",
        ],
    )
    .await;
    assert_eq!(answer.exit, 4);
    let result = &answer.json()["results"][0];
    assert_eq!(result["records"][0], json!({"untagged": names[0]}));
    assert_eq!(result["conflicts"][0]["kind"], "Protected");
    let records = node.records().await;
    assert_eq!(names.map(|name| records.contains_key(&name)), [false, true]);
}

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
}

async fn an_image_deletion_obeys_each_field(version: Version) {
    let node = Node::start(version).await;
    let parent = node
        .import(&Image::new("docker.io/library/parent:v1").layer("below"))
        .await;
    node.import(&Image::new(APP).layer("below").layer("above")).await;
    node.put_record(&format!("moby-dangling@{}", parent.target), &parent.name)
        .await;
    node.delete_record(&parent.name).await;
    node.plain_container("plain", APP, State::Stopped).await;

    let held = apply(
        &node,
        &deletion(json!({"images": ["app:v1"], "onConflict": "Report"})),
        &[],
    )
    .await;
    assert_eq!(held.exit, 4);
    let status = &held.yaml()["status"];
    assert_eq!(status["nodes"]["conflicted"], 1);
    assert_eq!(
        status["nodeResults"][0]["conflicts"][0]["kind"],
        "StoppedContainer"
    );
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
    assert!(
        forced.stderr.starts_with("spec.nodeSelector: "),
        "{}",
        forced.stderr
    );
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
    assert!(
        answer.stderr.contains("api:v1: Deleted\napp:v1: waiting: "),
        "{}",
        answer.stderr
    );
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
    assert_eq!(
        (&status["phase"], &status["nodes"]["conflicted"]),
        (&json!("Complete"), &json!(1))
    );
}

async fn a_wrong_image_deletion_is_refused(version: Version) {
    let node = Node::start(version).await;
    let rows = [
        (
            deletion(json!({"images": []})),
            "name at least one image, such as app:v1",
        ),
        (
            deletion(json!({"images": ["App:v1"]})),
            "repository name must be lowercase: write app:v1",
        ),
        (
            deletion(json!({"images": ["app"], "colour": "red"})),
            "strict decoding error: unknown field \"spec.colour\"",
        ),
        (
            json!({"kind": "Pod", "apiVersion": "v1"}),
            "not an ImageDeletion (apiVersion: v1, kind: Pod): ",
        ),
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

async fn images_are_listed_with_their_users(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    node.tag(APP, "ghcr.io/acme/app:v2").await;
    let other = node
        .import(&Image::bare("docker.io/library/other:v1").layer("two"))
        .await;
    let pod = node.pod("shop", "cart").await;
    let id = node.container(&pod, "cart", APP, State::Running).await;
    node.plain_container("plain", APP, State::Stopped).await;
    node.label("docker.io/library/other:v1", "io.cri-containerd.pinned", "pinned")
        .await;

    let answer = call(&node, &["images", "-o", "json"]).await;
    assert_eq!((answer.exit, &*answer.stderr), (0, ""));
    let document = answer.json();
    let images = document["images"].as_array().unwrap();
    assert_eq!(images.len(), 3, "the sandbox image is one too");
    let find = |target: &Digest| images.iter().find(|image| image["id"] == json!(target)).unwrap();
    let (listed, bare) = (find(&app.target), find(&other.target));
    assert_eq!(listed["names"], json!(["app:v1", "ghcr.io/acme/app:v2"]));
    assert_eq!(listed["configs"], json!([app.config()]));
    assert_eq!(
        listed["usedBy"],
        json!([
            {"id": id, "running": true, "namespace": "shop", "pod": "cart", "container": "cart"},
            {"id": "plain", "running": false},
        ])
    );
    assert_eq!((&bare["pinned"], &bare["usedBy"]), (&json!(true), &json!([])));
    // The busybox below is the sandbox image's too; of the other image everything is its own.
    let content = node.content().await;
    let bytes = |image: &Imported| {
        image
            .content()
            .iter()
            .map(|digest| content[digest].size)
            .sum::<u64>()
    };
    assert_eq!(bare["sharedBytes"], 0);
    assert!(bare["uniqueBytes"].as_u64().unwrap() >= bytes(&other));
    let of_app = ["uniqueBytes", "sharedBytes"].map(|field| listed[field].as_u64().unwrap());
    assert!(of_app.iter().all(|bytes| *bytes > 0));
    assert!(of_app.iter().sum::<u64>() >= bytes(&app));

    let some = call(&node, &["images", "ghcr.io/**", "nosuch"]).await;
    assert_eq!((some.exit, &*some.stderr), (3, "error: No such image: nosuch\n"));
    let lines: Vec<_> = some.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(
        lines[1].starts_with("app:v1") && lines[1].ends_with("shop/cart/cart"),
        "{lines:?}"
    );
    assert!(lines[2].ends_with("plain (stopped)"), "{lines:?}");
}

async fn prune_takes_dangling_images_alone(version: Version) {
    let node = Node::start(version).await;
    let dangling = node
        .import(&Image::new("docker.io/library/old:v1").layer("one"))
        .await;
    let stranded = node
        .import(&Image::new("docker.io/library/left:v1").layer("two"))
        .await;
    let app = node.import(&Image::new(APP).layer("three")).await;
    node.put_record(&format!("moby-dangling@{}", dangling.target), &dangling.name)
        .await;
    node.delete_record(dangling.config()).await;
    node.delete_record(&dangling.name).await;
    // The CRI makes its own record anew, as it does where its own removal is interrupted.
    node.delete_record(&stranded.name).await;

    let answer = call(&node, &["prune", "-o", "json"]).await;
    assert_eq!((answer.exit, &*answer.stderr), (0, ""));
    let document = answer.json();
    let told: BTreeMap<_, _> = document["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| (result["image"].as_str().unwrap(), &result["outcome"]))
        .collect();
    let deleted = json!("Deleted");
    assert_eq!(
        told,
        BTreeMap::from([(&*dangling.target, &deleted), (&*stranded.target, &deleted)])
    );
    assert!(is_gone(&node, &dangling).await && is_gone(&node, &stranded).await);
    assert!(!is_gone(&node, &app).await);

    let nothing = call(&node, &["prune"]).await;
    assert_eq!(
        (nothing.exit, &*nothing.stdout, &*nothing.stderr),
        (0, "", "nothing to prune\n")
    );
}

async fn prune_takes_unused_images_but_kept_and_young_ones(version: Version) {
    let node = Node::start(version).await;
    let image = |name: &str| format!("docker.io/library/{name}:v1");
    for name in ["app", "used", "held", "kept", "pinned"] {
        node.import(&Image::new(image(name)).layer(name)).await;
    }
    node.tag(APP, "ghcr.io/acme/app:v2").await;
    node.label(&image("pinned"), "io.cri-containerd.pinned", "pinned")
        .await;
    let pod = node.pod("shop", "cart").await;
    node.container(&pod, "cart", &image("used"), State::Running).await;
    node.plain_container("plain", &image("held"), State::Stopped)
        .await;

    let young = call(&node, &["prune", "--unused", "--older-than", "1h"]).await;
    assert_eq!((young.exit, &*young.stderr), (0, "nothing to prune\n"));
    let answer = call(&node, &["prune", "--unused", "--keep", "kept:*", "-o", "json"]).await;
    assert_eq!((answer.exit, &*answer.stderr), (0, ""));
    let document = answer.json();
    let told: Vec<_> = document["results"]
        .as_array()
        .unwrap()
        .iter()
        .map(|result| {
            (
                result["image"].as_str().unwrap(),
                result["outcome"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(told, [("app:v1", "Untagged"), ("ghcr.io/acme/app:v2", "Deleted")]);
    let records = node.records().await;
    for stays in ["used", "held", "kept", "pinned"] {
        assert!(records.contains_key(&image(stays)), "{stays}");
    }
    assert!(
        records.contains_key("registry.k8s.io/pause:bed"),
        "a sandbox uses it"
    );
}

/// Starts a command and waits until it has stopped where `SECATEUR_STOP_AT` says.
async fn stopped(mut command: Command) -> (std::process::Child, nix::unistd::Pid) {
    let child = command.spawn().unwrap();
    let pid = nix::unistd::Pid::from_raw(child.id().try_into().unwrap());
    let status = format!("/proc/{pid}/stat");
    while !std::fs::read_to_string(&status).unwrap().contains(") T ") {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    (child, pid)
}

async fn a_killed_command_is_reported_by_the_next(version: Version) {
    let node = Node::start(version).await;
    let api = "docker.io/library/api:v1";
    for (next, format) in [("json", "json"), ("words", "table")] {
        let app = node.import(&Image::new(APP).layer(next)).await;
        node.import(&Image::new(api).layer("api")).await;
        let mut command = secateur(&node, &["delete", "app:v1"]);
        command.env("SECATEUR_STOP_AT", "removed");
        let (mut child, _) = stopped(command).await;
        child.kill().unwrap();
        child.wait().unwrap();

        let answer = call(&node, &["delete", "api:v1", "-o", format]).await;
        assert_eq!(answer.exit, 0, "{}", answer.stderr);
        if format == "json" {
            let recovered = &answer.json()["recovered"];
            assert_eq!(recovered[0]["owner"], "");
            assert_eq!(
                recovered[0]["results"][0]["records"],
                json!([{"untagged": "app:v1"}, {"deleted": app.target}])
            );
        } else {
            let expected = format!(
                "recovered: app:v1, of a command line that was killed: Deleted: untagged app:v1, deleted {}\n",
                &app.target.hex()[..12]
            );
            assert_eq!(answer.stderr, expected);
        }
        assert!(is_gone(&node, &app).await);
        let once = call(&node, &["delete", "nosuch", "-o", "json"]).await;
        assert_eq!(once.json().get("recovered"), None);
    }
}

async fn a_terminated_command_says_what_it_did(version: Version) {
    let node = Node::start(version).await;
    let names: Vec<String> = (0..2)
        .map(|number| format!("docker.io/library/app-{number}:v1"))
        .collect();
    for name in &names {
        node.import(&Image::bare(name).layer(name)).await;
    }
    let mut command = secateur(&node, &["delete", "app-0:v1", "app-1:v1", "-o", "json"]);
    command.env("SECATEUR_STOP_AT", "journal-open");
    let (child, pid) = stopped(command).await;
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGCONT).unwrap();
    let output = spawn_blocking(move || child.wait_with_output())
        .await
        .unwrap()
        .unwrap();
    let answer = Answer::from(output);
    assert_eq!(answer.exit, 1);
    assert!(
        answer.stderr.starts_with("interrupted: finishing what was begun"),
        "{}",
        answer.stderr
    );
    let document = answer.json();
    let records = node.records().await;
    for (index, name) in names.iter().enumerate() {
        let deleted = document["results"][index]["outcome"] == "Deleted";
        assert_eq!(records.contains_key(name), !deleted, "{document}");
    }
    assert!(node.leases().await.is_empty());
}

async fn nobody_else_may_open_the_socket(version: Version) {
    let node = Node::start(version).await;
    let socket = node.socket();
    // Whoever runs the tests may keep the binary where no one else can read.
    let program = tempfile::Builder::new()
        .prefix("secateur-")
        .tempdir_in("/tmp")
        .unwrap();
    let path = program.path().join("secateur");
    std::fs::copy(env!("CARGO_BIN_EXE_secateur"), &path).unwrap();
    for open in [program.path(), node.directory()] {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(open, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut nobody = command("setpriv");
    nobody
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&path)
        .arg("images")
        .arg("--address")
        .arg(&socket);
    let answer = run(nobody).await;
    let path = socket.display();
    assert_eq!(answer.exit, 1);
    assert_eq!(
        answer.stderr,
        format!("error: permission denied on {path}: run as root or as a user who may open it\n")
    );

    let missing = node.directory().join("nothing.sock");
    let answer = call(&node, &["images", "--address", missing.to_str().unwrap()]).await;
    assert_eq!(answer.exit, 1);
    assert_eq!(
        answer.stderr,
        format!(
            "error: no containerd at {}: start it, or name its socket with --address\n",
            missing.display()
        )
    );
}

async fn a_person_at_a_terminal_is_asked(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    let asked = [
        (
            "prune --unused --keep 'registry.k8s.io/**'",
            "Delete 1 image? [y/N] ",
        ),
        ("delete 'app:*'", "Delete this? [y/N] "),
        ("delete --force app:v1", "Delete this? [y/N] "),
    ];
    for (line, question) in asked {
        let no = type_in(&node, line, "n\n").await;
        assert_eq!(no.exit, 1, "{}", no.stdout);
        assert!(
            no.stdout.contains("app:v1") && no.stdout.contains(question),
            "{}",
            no.stdout
        );
        assert!(no.stdout.contains("nothing was deleted"), "{}", no.stdout);
        assert!(!is_gone(&node, &app).await);
    }
    let yes = type_in(&node, "prune --unused --keep 'registry.k8s.io/**'", "y\n").await;
    assert_eq!(yes.exit, 0, "{}", yes.stdout);
    assert!(is_gone(&node, &app).await);

    let app = node.import(&Image::new(APP).layer("one")).await;
    let unasked = type_in(&node, "prune --unused --yes --keep 'registry.k8s.io/**'", "").await;
    assert_eq!(
        (unasked.exit, unasked.stdout.contains("[y/N]")),
        (0, false),
        "{}",
        unasked.stdout
    );
    assert!(is_gone(&node, &app).await);
}

async fn a_terminal_has_colours_and_a_width(version: Version) {
    let node = Node::start(version).await;
    let name = format!("registry.example.com:5000/{}/app:v1", ["component"; 9].join("/"));
    node.import(&Image::new(&name)).await;
    let line = format!("delete --dry-run {name}");
    let green = "\u{1b}[1m\u{1b}[32mDeleted\u{1b}[0m";
    let painted = type_in(&node, &line, "").await;
    assert!(painted.stdout.contains(green), "{:?}", painted.stdout);
    let plain = type_in(&node, &format!("{line} 2>/dev/null"), "").await;
    assert!(
        plain
            .stdout
            .replace(green, "Deleted")
            .lines()
            .all(|line| line.chars().count() <= 80),
        "{}",
        plain.stdout
    );
    let piped = call(&node, &["delete", "--dry-run", &name]).await;
    assert!(
        !piped.stdout.contains('\u{1b}') && piped.stdout.contains(&name),
        "{}",
        piped.stdout
    );
    let unpainted = run({
        let mut command = command("script");
        command
            .args(["--quiet", "--return", "--command"])
            .arg(format!("{} {line}", env!("CARGO_BIN_EXE_secateur")))
            .arg("/dev/null")
            .env("SECATEUR_ADDRESS", node.socket())
            .env("NO_COLOR", "1");
        command
    })
    .await;
    assert!(
        unpainted.exit == 0 && !unpainted.stdout.contains("[32m"),
        "{}",
        unpainted.stdout
    );
}

async fn a_reader_that_has_seen_enough_is_no_error(version: Version) {
    let node = Node::start(version).await;
    for arguments in [
        &["images"][..],
        &["crds"],
        &["completions", "bash"],
        &["delete", "nosuch"],
    ] {
        let mut command = secateur(&node, arguments);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        command.stdout(writer);
        let answer = run(command).await;
        assert!(!answer.stderr.contains("panicked"), "{}", answer.stderr);
        assert_eq!((answer.exit, &*answer.stderr), (1, ""), "{arguments:?}");
    }
}
