//! How the process begins and ends: sockets, signals, pipes.

use super::*;
use crate::bed::{Cri, Setup, both};

both!(
    a_terminated_command_says_what_it_did,
    a_killed_command_is_reported_by_the_next,
    what_a_killed_command_could_not_do_is_said_by_the_next,
    what_is_protected_by_now_comes_back_after_a_kill,
    a_name_that_is_protected_by_now_comes_back_after_a_kill,
    a_forced_name_that_is_protected_by_now_comes_back_alone,
    a_forced_name_that_others_have_moved_comes_back_for_nobody,
    what_a_killed_agent_had_begun_is_left_to_it,
    a_command_that_is_interrupted_twice_leaves_the_rest_to_the_next,
    what_is_recovered_before_a_wait_is_said_at_once,
    a_deletion_whose_turn_comes_after_its_deadline_removes_nothing,
    a_socket_without_its_directory_is_refused,
    nobody_else_may_open_the_socket,
    a_namespace_that_is_not_there_is_an_error,
    a_reader_that_has_seen_enough_is_no_error,
);

/// Starts a command and waits until it has stopped where `SECATEUR_STOP_AT` says.
async fn stopped(mut command: Command) -> (Child, Pid) {
    let child = command.spawn().unwrap();
    let pid = stops(&child).await;
    (child, pid)
}

/// Starts a command and kills it where `SECATEUR_STOP_AT` says.
async fn killed(command: Command) {
    let (child, _) = stopped(command).await;
    kill(child);
}

fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Whoever has deleted what should have stayed protects it, and that ends what was begun.
async fn what_is_protected_by_now_comes_back_after_a_kill(version: Version) {
    let node = Node::start(version).await;
    node.import(&Image::new(APP).layer("one")).await;
    let names = async || node.records().await.into_keys().collect::<Vec<_>>();
    let before = names().await;
    let mut command = secateur(&node, &["delete", "app:v1"]);
    command.env("SECATEUR_STOP_AT", "removing:2");
    killed(command).await;
    assert_ne!(names().await, before);

    let answer = call(&node, &["delete", "none:v1", "--protect", "app:*", "-o", "json"]).await;
    let recovered = &answer.json()["recovered"][0]["results"][0];
    assert_eq!(
        [&recovered["image"], &recovered["outcome"]],
        [&json!("app:v1"), &json!("Conflict")],
        "{answer:?}"
    );
    assert!(recovered.to_string().contains("image is protected by app:*"), "{answer:?}");
    assert_eq!(names().await, before);
}

async fn a_name_that_is_protected_by_now_comes_back_after_a_kill(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    node.tag(APP, &format!("docker.io/library/app@{}", app.target)).await;
    node.tag(APP, "docker.io/library/other:v1").await;
    let names = async || node.records().await.into_keys().collect::<Vec<_>>();
    let before = names().await;
    let mut command = secateur(&node, &["delete", "app:v1"]);
    command.env("SECATEUR_STOP_AT", "removed");
    killed(command).await;
    assert_eq!(
        names().await.len(),
        before.len() - 2,
        "the name and its digest reference go, the other name stays"
    );

    let answer = call(&node, &["delete", "none:v1", "--protect", "app:*", "-o", "json"]).await;
    let recovered = &answer.json()["recovered"][0]["results"][0];
    assert_eq!(recovered["outcome"], "Conflict", "{answer:?}");
    assert_eq!(names().await, before);
}

/// The record that was to keep the image for its container is needed no longer then.
async fn a_forced_name_that_is_protected_by_now_comes_back_alone(version: Version) {
    let node = Node::start_with(version, Setup { cri: Cri::Disabled, ..Setup::default() }).await;
    node.import(&Image::new(APP).layer("one")).await;
    node.plain_container("plain", APP, State::Stopped).await;
    let names = async || node.records().await.into_keys().collect::<Vec<_>>();
    for place in ["removing", "removed"] {
        let mut command = secateur(&node, &["delete", "app:v1", "--force"]);
        command.env("SECATEUR_STOP_AT", place);
        killed(command).await;
        assert!(names().await.iter().any(|name| name.starts_with("moby-dangling@")), "{place}");

        let answer = call(&node, &["delete", "none:v1", "--protect", "app:*", "-o", "json"]).await;
        let recovered = &answer.json()["recovered"][0]["results"][0];
        assert_eq!(recovered["outcome"], "Conflict", "{place}: {answer:?}");
        assert_eq!(names().await, [APP], "{place}");
    }
}

/// Then the name is no more what keeps the image for its container.
async fn a_forced_name_that_others_have_moved_comes_back_for_nobody(version: Version) {
    let node = Node::start_with(version, Setup { cri: Cri::Disabled, ..Setup::default() }).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    let other = node.import(&Image::new("docker.io/library/other:v1").layer("two")).await;
    node.plain_container("plain", APP, State::Stopped).await;
    let mut command = secateur(&node, &["delete", "app:v1", "--force"]);
    command.env("SECATEUR_STOP_AT", "removing");
    killed(command).await;
    node.move_record(APP, &other.name).await;

    let answer = call(&node, &["delete", "none:v1", "--protect", "app:*", "-o", "json"]).await;
    let records = node.records().await;
    assert_eq!(records[APP].target, other.target, "{answer:?}");
    let kept = format!("moby-dangling@{}", app.target);
    assert!(records.contains_key(&kept) && !is_gone(&node, &app).await, "{answer:?}");
}

async fn a_killed_command_is_reported_by_the_next(version: Version) {
    let node = Node::start(version).await;
    let api = "docker.io/library/api:v1";
    for (next, format) in [("json", "json"), ("words", "table")] {
        let app = node.import(&Image::new(APP).layer(next)).await;
        node.import(&Image::new(api).layer("api")).await;
        let mut command = secateur(&node, &["delete", "app:v1"]);
        command.env("SECATEUR_STOP_AT", "removed");
        killed(command).await;

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

/// Once it is said it is forgotten.
async fn what_a_killed_command_could_not_do_is_said_by_the_next(version: Version) {
    let node = Node::start(version).await;
    node.import(&Image::new(APP).layer("one")).await;
    let new = node.import(&Image::new("docker.io/library/new:v1").layer("two")).await;
    let mut command = secateur(&node, &["delete", "app:v1"]);
    command.env("SECATEUR_STOP_AT", "removing:2");
    let (child, _) = stopped(command).await;
    node.move_record(APP, &new.name).await;
    kill(child);

    let answer = call(&node, &["delete", "new:v1"]).await;
    let told = format!("{APP} was moved to {} meanwhile and was left alone", new.target);
    assert!(
        answer.stderr.starts_with("recovered: app:v1, of a command line that was killed: "),
        "{answer:?}"
    );
    assert!(answer.stderr.contains(&told), "{answer:?}");
}

async fn a_command_that_is_interrupted_twice_leaves_the_rest_to_the_next(version: Version) {
    use nix::sys::signal::Signal;
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    let mut command = secateur(&node, &["delete", "app:v1"]);
    command.env("SECATEUR_STOP_AT", "removed");
    let (child, pid) = stopped(command).await;
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGCONT] {
        nix::sys::signal::kill(pid, signal).unwrap();
    }
    let answer = end(child).await;
    assert!([128 + 2, 128 + 15].contains(&answer.exit), "{answer:?}");
    assert_eq!(answer.stdout, "");
    assert!(!node.leases().await.is_empty());

    let next = call(&node, &["delete", "none:v1"]).await;
    assert!(
        next.stderr.contains("recovered: app:v1, of a command line that was killed: Deleted: "),
        "{next:?}"
    );
    assert!(is_gone(&node, &app).await && node.leases().await.is_empty());
}

/// The node has forgotten it by then, and whoever waits may be killed.
async fn what_is_recovered_before_a_wait_is_said_at_once(version: Version) {
    let node = Node::start(version).await;
    node.import(&Image::new(APP).layer("one")).await;
    let held = node.import(&Image::new("docker.io/library/held:v1").layer("two")).await;
    node.plain_container("user", &held.name, State::Created).await;
    let mut command = secateur(&node, &["delete", "app:v1"]);
    command.env("SECATEUR_STOP_AT", "removed");
    killed(command).await;

    let spec = json!({"images": ["held:v1"], "onConflict": "Wait"});
    let mut waiting = begin(secateur(&node, &["run", "-f", "-"]), &deletion(spec).to_string());
    let said = until_said(waiting.stderr.as_mut().unwrap(), "held:v1: waiting: ");
    kill(waiting);
    let told = "recovered: app:v1, of a command line that was killed: Deleted: untagged app:v1, deleted ";
    assert!(said.starts_with(told), "{said}");
}

async fn a_deletion_whose_turn_comes_after_its_deadline_removes_nothing(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    node.import(&Image::new("docker.io/library/api:v1").layer("api")).await;
    let mut other = secateur(&node, &["delete", "api:v1"]);
    other.env("SECATEUR_STOP_AT", "journal-open");
    let (other, pid) = stopped(other).await;
    for on_conflict in ["Report", "Wait"] {
        let spec = json!({"images": ["app:v1"], "activeDeadlineSeconds": 1, "onConflict": on_conflict});
        let late = apply(&node, &deletion(spec), &[]).await;
        let expected = "error: another operation was at work on this node until the deadline (activeDeadlineSeconds): nothing \
                        was removed, try again\n";
        assert_eq!((late.exit, &*late.stdout, &*late.stderr), (1, "", expected));
    }
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGCONT).unwrap();
    assert_eq!(end(other).await.exit, 0);
    assert!(!is_gone(&node, &app).await);
}

/// A container that was given the socket alone has a directory of its own around it, where nobody else looks for a lock.
async fn a_socket_without_its_directory_is_refused(version: Version) {
    use nix::mount::{MntFlags, MsFlags, mount, umount2};
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    let own = tempfile::tempdir().unwrap();
    let none = None::<&str>;
    mount(Some("own"), own.path(), Some("tmpfs"), MsFlags::empty(), none).unwrap();
    let socket = own.path().join("containerd.sock");
    std::fs::write(&socket, "").unwrap();
    mount(Some(&node.socket()), &socket, none, MsFlags::MS_BIND, none).unwrap();
    let address = socket.to_str().unwrap();
    let listed = call(&node, &["--address", address, "images"]).await;
    let foretold = call(&node, &["--address", address, "delete", "--dry-run", "app:v1"]).await;
    let refused = call(&node, &["--address", address, "delete", "app:v1"]).await;
    for mounted in [&*socket, own.path()] {
        umount2(mounted, MntFlags::MNT_DETACH).unwrap();
    }
    assert_eq!((listed.exit, foretold.exit), (0, 0), "{listed:?} {foretold:?}");
    assert_eq!(refused.exit, 1);
    assert!(refused.stderr.contains("mount the whole directory of the socket"), "{}", refused.stderr);
    assert!(!is_gone(&node, &app).await);
}

async fn what_a_killed_agent_had_begun_is_left_to_it(version: Version) {
    let node = Node::start(version).await;
    node.import(&Image::new(APP).layer("app")).await;
    node.import(&Image::new("docker.io/library/api:v1").layer("api")).await;
    let mut agent = command(env!("CARGO_BIN_EXE_secateur-stoppable"));
    agent.arg(node.socket()).args(["drop-app/5f2c", "app:v1"]).env("SECATEUR_STOP_AT", "removed");
    killed(agent).await;
    let left = node.leases().await;

    let answer = call(&node, &["delete", "api:v1"]).await;
    let expected = "left alone: what ImageDeletion drop-app/5f2c was doing on this node when its agent was killed; the \
                    agent ends it when it runs again\n";
    assert_eq!((answer.exit, &*answer.stderr), (0, expected));
    assert_eq!(node.leases().await, left);
}

async fn a_terminated_command_says_what_it_did(version: Version) {
    let node = Node::start(version).await;
    let names: Vec<String> = (0..2).map(|number| format!("docker.io/library/app-{number}:v1")).collect();
    for name in &names {
        node.import(&Image::bare(name).layer(name)).await;
    }
    let mut command = secateur(&node, &["delete", "app-0:v1", "app-1:v1", "-o", "json"]);
    command.env("SECATEUR_STOP_AT", "journal-open");
    let (child, pid) = stopped(command).await;
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGCONT).unwrap();
    let output = spawn_blocking(move || child.wait_with_output()).await.unwrap().unwrap();
    let answer = Answer::from(output);
    assert_eq!(answer.exit, 1);
    assert!(answer.stderr.starts_with("interrupted: finishing what was begun"), "{}", answer.stderr);
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
    let program = tempfile::Builder::new().prefix("secateur-").tempdir_in("/tmp").unwrap();
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

async fn a_namespace_that_is_not_there_is_an_error(version: Version) {
    let node = Node::start(version).await;
    let answer = call(&node, &["images", "--namespace", "nosuch"]).await;
    assert_eq!(answer.exit, 2);
    assert_eq!(answer.stderr, "error: no such containerd namespace: nosuch: there are k8s.io\n");
}

async fn a_reader_that_has_seen_enough_is_no_error(version: Version) {
    let node = Node::start(version).await;
    for arguments in [&["images"][..], &["crds"], &["completions", "bash"], &["delete", "nosuch"]] {
        let mut command = secateur(&node, arguments);
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        command.stdout(writer);
        let answer = run(command).await;
        assert!(!answer.stderr.contains("panicked"), "{}", answer.stderr);
        assert_eq!((answer.exit, &*answer.stderr), (1, ""), "{arguments:?}");
    }
}
