//! Names that are made to deceive whoever reads them: they stay in their line, and are data where data are asked for.

use super::*;
use crate::bed::both;

both!(
    hostile_names_stay_in_their_lines,
    hostile_names_are_whole_in_json_and_yaml,
    hostile_arguments_and_files_stay_in_their_lines,
);

/// Ends a line, says something in our words, clears the screen, sets the window's title, colours in one byte, and turns the
/// direction of writing.
const HOSTILE: &str =
    "odd\nerror: all images deleted\r\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m\u{202e}1v:ppa\u{2066}";
/// The same, seen by a person.
const SEEN: &str =
    r"odd\nerror: all images deleted\r\u{1b}[2J\u{1b}]0;title\u{7}\u{9b}31m\u{202e}1v:ppa\u{2066}";

/// Nothing that ends a line or moves a cursor, and no line that is not ours.
#[track_caller]
fn assert_prints(text: &str) {
    let harmful = |c: char| {
        c != '\n' && c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    assert!(!text.contains(harmful), "{text:?}");
    assert!(!text.lines().any(|line| line.starts_with("error: all images")), "{text}");
}

async fn hostile_names_stay_in_their_lines(version: Version) {
    let node = Node::start(version).await;
    node.import(&Image::new(APP).layer("one")).await;
    node.put_record(HOSTILE, APP).await;

    let listed = call(&node, &["images"]).await;
    assert_prints(&listed.stdout);
    assert!(listed.stdout.contains(SEEN), "{}", listed.stdout);
    for arguments in [&["delete", "--dry-run", "-v", "app:v1"][..], &["delete", "-vvv", "app:v1"]] {
        let answer = call(&node, arguments).await;
        assert_eq!(answer.exit, 0, "{}", answer.stderr);
        assert_prints(&answer.stdout);
        assert_prints(&answer.stderr);
        assert!(answer.stdout.contains(SEEN), "{}", answer.stdout);
        assert!(answer.stderr.contains(r"odd\nerror: all"), "{}", answer.stderr);
    }
    assert_eq!(node.record(HOSTILE).await, None, "it went with its image");
}

async fn hostile_names_are_whole_in_json_and_yaml(version: Version) {
    let node = Node::start(version).await;
    node.import(&Image::new(APP).layer("one")).await;
    node.put_record(HOSTILE, APP).await;

    for format in ["json", "yaml"] {
        let read = |answer: &Answer| if format == "json" { answer.json() } else { answer.yaml() };
        let listed = call(&node, &["images", "app:v1", "-o", format]).await;
        assert_prints(&listed.stdout);
        assert_eq!(read(&listed)["images"][0]["names"], json!(["app:v1", HOSTILE]));
        let told = call(&node, &["delete", "app:v1", "--dry-run", "-o", format]).await;
        assert_prints(&told.stdout);
        assert_eq!(read(&told)["results"][0]["records"][1], json!({"untagged": HOSTILE}));
    }
    let object = deletion(json!({"images": ["app:v1"]}));
    let ran = apply(&node, &object, &[]).await;
    assert_prints(&ran.stdout);
    let records = &ran.yaml()["status"]["records"];
    let names: Vec<_> = records.as_array().unwrap().iter().map(|record| &record["untagged"]).collect();
    assert!(names.contains(&&json!(HOSTILE)), "{records}");
}

async fn hostile_arguments_and_files_stay_in_their_lines(version: Version) {
    let node = Node::start(version).await;
    let outputs = [
        call(&node, &["delete", HOSTILE]).await,
        call(&node, &["images", HOSTILE]).await,
        call(&node, &["delete", &format!("{HOSTILE}*")]).await,
        call(&node, &["images", "--namespace", HOSTILE]).await,
        apply(&node, &deletion(json!({"images": [HOSTILE]})), &[]).await,
        feed(secateur(&node, &["run", "-f", "-"]), format!("kind: {HOSTILE}")).await,
        call(&node, &["run", "-f", HOSTILE]).await,
    ];
    for answer in outputs {
        assert_ne!(answer.exit, 0, "{}", answer.stderr);
        assert_prints(&answer.stdout);
        assert_prints(&answer.stderr);
        assert!(answer.stderr.starts_with("error: "), "{}", answer.stderr);
    }
}
