//! What is read of a document, what is refused, and that neither takes long.

use proptest::prelude::*;

use super::*;

fn text(c: char) -> String {
    format!("sha256:{}", c.to_string().repeat(64))
}

fn blob(c: char) -> Digest {
    text(c).parse().unwrap()
}

fn raw(c: char) -> String {
    format!(r#"{{"mediaType":"x","digest":"{}","size":1}}"#, text(c))
}

fn read(text: &str) -> Result<Document, Flaw> {
    Document::parse(text.as_bytes(), Role::Manifest)
}

fn read_config(text: &str) -> Result<Document, Flaw> {
    Document::parse(text.as_bytes(), Role::Config)
}

#[test]
fn documents_are_told_apart_by_what_is_in_them() {
    let (a, b, c) = (raw('a'), raw('b'), raw('c'));
    let index = Document::Index(vec![blob('a'), blob('b')]);
    let manifest = Document::Manifest { config: blob('a'), layers: vec![blob('b'), blob('c')] };
    let bare = Document::Manifest { config: blob('a'), layers: vec![] };
    let rows = [
        (format!(r#"{{"manifests":[{a},{b}]}}"#), index.clone()),
        (format!(r#"{{"mediaType":"a lie","manifests":[{a},{b}],"layers":null}}"#), index),
        (format!(r#"{{"config":{a},"layers":[{b},{c}]}}"#), manifest.clone()),
        // What a document says beside, and however deep, is nothing to us.
        (
            format!(
                r#"{{"rootfs":{{"diff_ids":1}},"x":{}{},"config":{a},"layers":[{b},{c}]}}"#,
                "[".repeat(99_999),
                "]".repeat(99_999)
            ),
            manifest,
        ),
        (format!(r#"{{"config":{a}}}"#), bare.clone()),
        (format!(r#"{{"config":{a},"layers":null,"manifests":null}}"#), bare),
        (r#"{"manifests":[]}"#.to_owned(), Document::Index(vec![])),
        (r#"{"hello":1}"#.to_owned(), Document::Other),
        ("{}".to_owned(), Document::Other),
    ];
    for (text, document) in rows {
        assert_eq!(read(&text), Ok(document), "{text:.200}");
    }
}

#[test]
fn a_config_is_what_a_manifest_names_as_its_config() {
    let chain = |c| ChainId::new(blob(c));
    let rootfs =
        |diff_ids: &str| format!(r#"{{"config":{{"Cmd":["sh"]}},"rootfs":{{"diff_ids":{diff_ids}}}}}"#);
    let deep = format!("{}{}", r#"{"a":"#.repeat(9_999), "1".to_owned() + &"}".repeat(9_999));
    let rows = [
        (rootfs(&format!(r#"["{}"]"#, text('a'))), Document::Config(vec![chain('a')])),
        (rootfs("[]"), Document::Config(vec![])),
        (rootfs("null"), Document::Config(vec![])),
        // It may look like a manifest besides.
        (
            format!(
                r#"{{"config":{a},"layers":[{a}],"rootfs":{{"diff_ids":["{0}"]}}}}"#,
                text('b'),
                a = raw('a')
            ),
            Document::Config(vec![chain('b')]),
        ),
        (
            format!(r#"{{"config":{deep},"rootfs":{{"diff_ids":["{}"]}}}}"#, text('a')),
            Document::Config(vec![chain('a')]),
        ),
        ("{}".to_owned(), Document::Other),
    ];
    for (text, document) in rows {
        assert_eq!(read_config(&text), Ok(document), "{text:.200}");
    }
}

#[test]
fn what_containerd_could_read_in_another_way_is_not_read() {
    let (a, b) = (raw('a'), raw('b'));
    let rows = [
        ("twice", format!(r#"{{"config":{a},"layers":[{a}],"layers":[{b}]}}"#)),
        ("null and not", format!(r#"{{"config":{a},"layers":[{a}],"layers":null}}"#)),
        ("another spelling", format!(r#"{{"config":{a},"Layers":[{a}]}}"#)),
        ("both spellings", format!(r#"{{"config":{a},"CONFIG":{b}}}"#)),
        ("a long s", format!("{{\"config\":{a},\"layer\u{17f}\":[{a}]}}")),
        ("escaped", format!(r#"{{"config":{a},"\u0063onfig":{b}}}"#)),
        ("a digest twice", format!(r#"{{"config":{{"digest":"{}","digest":"{}"}}}}"#, text('a'), text('b'))),
        ("both at once", format!(r#"{{"manifests":[{a}],"config":{b},"layers":[]}}"#)),
    ];
    for (why, text) in rows {
        assert_eq!(read(&text), Err(Flaw::Ambiguous), "{why}: {text}");
    }
    let config = format!(r#"{{"rootfs":{{"diff_ids":[]}},"rootfs":{{"diff_ids":["{}"]}}}}"#, text('a'));
    assert_eq!(read_config(&config), Err(Flaw::Ambiguous));
    let config = format!(r#"{{"rootfs":{{"diff_ids":[],"Diff_IDs":["{}"]}}}}"#, text('a'));
    assert_eq!(read_config(&config), Err(Flaw::Ambiguous));
}

#[test]
fn what_is_no_document_is_refused_with_the_reason() {
    let a = raw('a');
    let rows = [
        (String::new(), Flaw::NotJson),
        ("not json".to_owned(), Flaw::NotJson),
        ("[]".to_owned(), Flaw::NotJson),
        ("{} {}".to_owned(), Flaw::NotJson),
        ("{".repeat(100_000), Flaw::NotJson),
        (r#"{"a":"#.repeat(100_000), Flaw::NotJson),
        (format!(r#"{{"x":{}"#, "[".repeat(1_000_000)), Flaw::NotJson),
        ("\u{feff}{}".to_owned(), Flaw::NotJson),
        (r#"{"\ud800":1}"#.to_owned(), Flaw::NotJson),
        (" ".repeat(DOCUMENT_MAX + 1), Flaw::TooLarge(DOCUMENT_MAX)),
        (r#"{"manifests":[{"digest":"sha256:short"}]}"#.to_owned(), Flaw::Shape),
        (r#"{"manifests":[{"digest":"md5:0123456789abcdef0123456789abcdef"}]}"#.to_owned(), Flaw::Shape),
        (r#"{"manifests":[{"digest":1}]}"#.to_owned(), Flaw::Shape),
        (r#"{"manifests":[{}]}"#.to_owned(), Flaw::Shape),
        (r#"{"manifests":{"digest":"x"}}"#.to_owned(), Flaw::Shape),
        (format!(r#"{{"layers":[{a}]}}"#), Flaw::Shape),
        (format!(r#"{{"config":{a},"layers":{a}}}"#), Flaw::Shape),
        (format!(r#"{{"config":{a},"layers":[null]}}"#), Flaw::Shape),
    ];
    for (text, flaw) in rows {
        assert_eq!(read(&text), Err(flaw), "{text:.200}");
    }
    assert_eq!(Document::parse(b"{\"a\":\"\xff\"}", Role::Manifest), Err(Flaw::NotJson));
    assert_eq!(read_config(r#"{"rootfs":{"diff_ids":["sha256:x"]}}"#), Err(Flaw::Shape));
    assert_eq!(read_config(r#"{"rootfs":{"diff_ids":"sha256:x"}}"#), Err(Flaw::Shape));
}

#[test]
fn a_million_layers_are_not_read() {
    let layer = format!(r#"{{"digest":"{}"}}"#, text('a'));
    let manifest =
        |count| format!(r#"{{"config":{},"layers":[{}]}}"#, raw('b'), vec![&*layer; count].join(","));
    assert_eq!(read(&manifest(PARTS_MAX)).map(|document| document.parts()), Ok(PARTS_MAX + 1));
    assert_eq!(read(&manifest(PARTS_MAX + 1)), Err(Flaw::TooMany(PARTS_MAX)));
    assert_eq!(read(&manifest(1_000_000)), Err(Flaw::TooLarge(DOCUMENT_MAX)));
    let empty = format!(r#"{{"config":{},"layers":[{}]}}"#, raw('b'), vec!["{}"; 100_000].join(","));
    assert_eq!(read(&empty), Err(Flaw::TooMany(PARTS_MAX)));
    let config = format!(r#"{{"rootfs":{{"diff_ids":[{}]}}}}"#, vec!["0"; 100_000].join(","));
    assert_eq!(read_config(&config), Err(Flaw::TooMany(PARTS_MAX)));
}

proptest! {
    #[test]
    fn arbitrary_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for role in [Role::Manifest, Role::Config] {
            if let Ok(document) = Document::parse(&bytes, role) {
                prop_assert!(document.parts() <= bytes.len() / 64);
            }
        }
    }

    #[test]
    fn space_and_unknown_members_change_nothing(
        space in "[ \t\r\n]{0,9}",
        key in "[a-e]{1,5}",
        value in "[1-9][0-9]{0,2}|\"[a-z]{0,5}\"|\\[\\]|\\{\\}|true|null",
    ) {
        let plain = format!(r#"{{"config":{},"layers":[{}]}}"#, raw('a'), raw('b'));
        let other = format!(
            r#"{{{space}"{key}":{value},"config"{space}:{},{space}"layers":[{}{space}]}}{space}"#, raw('a'), raw('b')
        );
        prop_assert_eq!(read(&other), read(&plain));
    }
}
