//! What a person at a terminal sees and is asked.

use std::io::Write;
use std::process::Child;

use super::*;
use crate::bed::both;

both!(
    a_person_at_a_terminal_is_asked,
    a_person_is_asked_again_where_something_has_changed,
    an_image_that_is_named_while_a_person_is_asked_stays,
    who_waits_at_a_terminal_sees_for_what,
    a_terminal_has_colours_and_a_width,
);

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

async fn a_person_at_a_terminal_is_asked(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::new(APP).layer("one")).await;
    let asked = [
        ("prune --unused", "Delete 1 image? [y/N] "),
        ("delete 'app:*'", "Delete this? [y/N] "),
        ("delete --force app:v1", "Delete this? [y/N] "),
    ];
    for (line, question) in asked {
        let no = type_in(&node, line, "n\n").await;
        assert_eq!(no.exit, 1, "{}", no.stdout);
        assert!(no.stdout.contains("app:v1") && no.stdout.contains(question), "{}", no.stdout);
        assert!(no.stdout.contains("nothing was deleted"), "{}", no.stdout);
        assert!(!is_gone(&node, &app).await);
    }
    let yes = type_in(&node, "prune --unused", "y\n").await;
    assert_eq!(yes.exit, 0, "{}", yes.stdout);
    assert!(is_gone(&node, &app).await);

    let app = node.import(&Image::new(APP).layer("one")).await;
    let unasked = type_in(&node, "prune --unused --yes", "").await;
    assert_eq!((unasked.exit, unasked.stdout.contains("[y/N]")), (0, false), "{}", unasked.stdout);
    assert!(is_gone(&node, &app).await);
}

async fn a_person_is_asked_again_where_something_has_changed(version: Version) {
    let node = Node::start(version).await;
    node.import(&Image::new(APP).layer("one")).await;
    let new = node.import(&Image::new("docker.io/library/new:v1").layer("two")).await;
    let mut person = Person::at(&node, "delete 'app:*'");
    assert!(person.is_asked("Delete this? [y/N] ").contains("app:v1"));
    node.tag(&new.name, "docker.io/library/app:v2").await;
    person.types("y\n");
    let again = person.is_asked("Delete this? [y/N] ");
    assert!(again.contains("meanwhile this has changed") && again.contains("app:v2"), "{again}");
    person.types("n\n");
    assert!(!person.0.wait().unwrap().success());
    let records = node.records().await;
    assert!([APP, "docker.io/library/app:v2"].iter().all(|name| records.contains_key(*name)));
}

async fn an_image_that_is_named_while_a_person_is_asked_stays(version: Version) {
    let node = Node::start(version).await;
    node.import(&Image::new(APP).layer("one")).await;
    let old = node.import(&Image::new("docker.io/library/old:v1").layer("two")).await;
    let mut person = Person::at(&node, "prune --unused");
    assert!(person.is_asked("Delete 2 images? [y/N] ").contains("app:v1"));
    node.tag(APP, "docker.io/library/app:v2").await;
    person.types("y\n");
    assert!(person.0.wait().unwrap().success());
    let records = node.records().await;
    assert!([APP, "docker.io/library/app:v2"].iter().all(|name| records.contains_key(*name)));
    assert!(!records.contains_key(&old.name));
}

/// Somebody at a terminal.
struct Person(Child);

impl Person {
    /// Who has typed a command.
    fn at(node: &Node, line: &str) -> Self {
        let mut command = command("script");
        let line = format!("{} {line}", env!("CARGO_BIN_EXE_secateur"));
        command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
        command.env("SECATEUR_ADDRESS", node.socket()).env("TERM", "xterm").stdin(Stdio::piped());
        Self(command.spawn().unwrap())
    }

    /// What was shown until and with the question.
    fn is_asked(&mut self, question: &str) -> String {
        until_said(self.0.stdout.as_mut().unwrap(), question)
    }

    fn types(&mut self, answer: &str) {
        self.0.stdin.as_mut().unwrap().write_all(answer.as_bytes()).unwrap();
    }
}

async fn who_waits_at_a_terminal_sees_for_what(version: Version) {
    let node = Node::start(version).await;
    node.import(&Image::new(APP).layer("one")).await;
    node.import(&Image::new("docker.io/library/api:v1").layer("two")).await;
    let mut other = secateur(&node, &["delete", "api:v1"]);
    other.env("SECATEUR_STOP_AT", "journal-open");
    let other = other.spawn().unwrap();
    let pid = stops(&other).await;
    let mut person = Person::at(&node, "delete app:v1");
    person.is_asked("waiting until no one else works on this node");
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGCONT).unwrap();
    assert_eq!(end(other).await.exit, 0);
    let ended = end(person.0).await;
    assert!(ended.exit == 0 && ended.stdout.contains("deleted"), "{ended:?}");
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
        plain.stdout.replace(green, "Deleted").lines().all(|line| line.chars().count() <= 80),
        "{}",
        plain.stdout
    );
    let piped = call(&node, &["delete", "--dry-run", &name]).await;
    assert!(!piped.stdout.contains('\u{1b}') && piped.stdout.contains(&name), "{}", piped.stdout);
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
    assert!(unpainted.exit == 0 && !unpainted.stdout.contains("[32m"), "{}", unpainted.stdout);
}
