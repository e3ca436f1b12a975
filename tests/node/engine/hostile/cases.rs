//! What can be wrong with an image, one thing after the other.

use std::collections::BTreeMap;

use super::*;
use crate::bed::{Cri, Setup, both};

both!(
    whatever_is_in_an_image_it_goes_and_so_do_the_others,
    a_name_may_be_of_100_kib,
    many_large_documents_are_read_one_at_a_time,
);

/// Something hostile, written to a node: what the record points at, and what it says of that.
struct Case {
    what: &'static str,
    target: Digest,
    media_type: &'static str,
    size: i64,
    /// What is said of it, after the digest of the document.
    flaw: Option<&'static str>,
}

impl Case {
    fn new(what: &'static str, target: Digest, flaw: impl Into<Option<&'static str>>) -> Self {
        Self { what, target, media_type: MANIFEST, size: 1, flaw: flaw.into() }
    }
}

const TOO_LARGE: &str = "has more than 8388608 bytes";
const NOT_JSON: &str = "is no JSON object in UTF-8";
const TOO_MANY: &str = "leads to more than 10000 blobs and layers";

async fn whatever_is_in_an_image_it_goes_and_so_do_the_others(version: Version) {
    // The CRI plugin would read all of it too, and takes its time.
    let node = Node::start_with(version, Setup { cri: Cri::Disabled, ..Setup::default() }).await;
    for number in 0.. {
        let Some(case) = write(&node, number).await else { break };
        node.name_strange(HOSTILE, &case.target, case.media_type, case.size).await;
        node.import(&Image::bare(APP).layer(case.what)).await;

        let took = delete(&node, &["hostile:v1", "app:v1"]).await;

        took.assert_bounded(&format!("{version:?}: {}", case.what));
        let [hostile, app] = &took.answer.results[..] else { panic!("two entries") };
        assert_eq!((&*app.outcome, &app.messages[..]), ("Deleted", &[][..]), "{}", case.what);
        assert_eq!(hostile.outcome, "Deleted", "{}: {hostile:?}", case.what);
        assert_eq!(hostile.removals, ["untagged hostile:v1", &format!("deleted {}", case.target)]);
        let said = case.flaw.map(|flaw| {
            let told = hostile.messages.first().map_or("", |message| message);
            assert!(told.ends_with(flaw), "{}: {:?}", case.what, hostile.messages);
        });
        assert_eq!(said.is_some(), !hostile.messages.is_empty(), "{}: {:?}", case.what, hostile.messages);
        let records = node.records().await;
        node.collect_garbage().await;
        assert!(records.is_empty(), "{}: {records:?}", case.what);
        assert_eq!(node.content().await, BTreeMap::new(), "{}", case.what);
    }
}

/// Writes the case of that number.
async fn write(node: &Node, number: usize) -> Option<Case> {
    let hundred_million = || " ".repeat(100 << 20);
    let layer = |number: usize| descriptor("layer", &Digest::of(&number.to_le_bytes()));
    let config = descriptor("config", &Digest::of(b"config"));
    let put = async |content: String| node.put_strange(content.as_bytes(), &[]).await;
    Some(match number {
        0 => Case::new("a manifest of 100 MiB", put(format!("{{{}}}", hundred_million())).await, TOO_LARGE),
        1 => {
            let layers = vec![layer(0).to_string(); 1_000_000].join(",");
            let text = format!(r#"{{"config":{config},"layers":[{layers}]}}"#);
            Case::new("a million layers", put(text).await, TOO_LARGE)
        }
        2 => {
            let layers = vec![r#"{"digest":""}"#; 500_000].join(",");
            let text = format!(r#"{{"config":{config},"layers":[{layers}]}}"#);
            Case::new("half a million layers without digests", put(text).await, TOO_MANY)
        }
        3 => {
            let layers: Vec<_> = (0..15_000).map(layer).collect();
            let text = json!({"config": config, "layers": layers}).to_string();
            Case::new("15,000 layers", put(text).await, TOO_MANY)
        }
        4 => {
            let config = put(format!("{{{}}}", " ".repeat(20 << 20))).await;
            let text = json!({"config": descriptor("config", &config)}).to_string();
            let target = node.put_strange(text.as_bytes(), &[config]).await;
            Case::new("a config of 20 MiB", target, TOO_LARGE)
        }
        5 => {
            let mut inner = put(json!({"config": config}).to_string()).await;
            for _ in 0..50 {
                inner = node.put_strange(&index(&[descriptor(INDEX, &inner)]), &[inner.clone()]).await;
            }
            Case { media_type: INDEX, ..Case::new("an index in an index, 50 levels", inner, None) }
        }
        6 => {
            let mut kept = Vec::new();
            for number in 0..1_100 {
                kept.push(node.put_strange(json!({"number": number}).to_string().as_bytes(), &[]).await);
            }
            let descriptors: Vec<_> = kept.iter().map(|digest| descriptor(MANIFEST, digest)).collect();
            let target = node.put_strange(&index(&descriptors), &kept).await;
            Case::new("1,100 manifests", target, "is one of more than 1000 manifests, indexes and configs")
        }
        7 => {
            let mut kept = Vec::new();
            for number in 0..6 {
                kept.push(put(format!("{{\"{number}\":{}1}}", " ".repeat(7 << 20))).await);
            }
            let descriptors: Vec<_> = kept.iter().map(|digest| descriptor(MANIFEST, digest)).collect();
            let target = node.put_strange(&index(&descriptors), &kept).await;
            let flaw = "was not read after 33554432 bytes of other manifests, indexes and configs";
            Case::new("six manifests of 7 MiB", target, flaw)
        }
        8 => {
            let text = b"{\"config\":\"\xff\xfe\"}";
            Case::new("invalid UTF-8", node.put_strange(text, &[]).await, NOT_JSON)
        }
        9 => Case::new("a million brackets", put("[".repeat(1_000_000)).await, NOT_JSON),
        10 => {
            let deep = format!("{}1{}", r#"{"a":"#.repeat(500_000), "}".repeat(500_000));
            let text = format!(r#"{{"config":{config},"annotations":{deep}}}"#);
            Case::new("annotations half a million levels deep", put(text).await, None)
        }
        11 => Case::new("nothing that is JSON", put("\u{1b}[2J not json".to_owned()).await, NOT_JSON),
        12 => {
            let text = format!(r#"{{"config":{config},"layers":[],"layers":[{}]}}"#, layer(0));
            Case::new("a member twice", put(text).await, "can be read in more than one way")
        }
        13 => {
            let text = json!({"config": config, "manifests": [layer(0)]}).to_string();
            Case::new("a manifest and an index at once", put(text).await, "can be read in more than one way")
        }
        14 => {
            let text = json!({"config": {"digest": "sha256:../../etc/passwd"}}).to_string();
            Case::new("a digest that is none", put(text).await, "is not what an image has there")
        }
        15 => {
            let target = put(json!({"manifests": []}).to_string()).await;
            let itself = index(&[descriptor(INDEX, &target)]);
            node.tamper(&target, &itself);
            Case::new("content that is not its digest's: a circle", target, "has content of another digest")
        }
        16 => {
            let target = put(json!({"config": config}).to_string()).await;
            Case { media_type: "text/html", ..Case::new("another media type", target, None) }
        }
        17 => {
            let target = put(json!({"config": config, "size": 1}).to_string()).await;
            Case { size: i64::MAX, ..Case::new("a size that is a lie", target, None) }
        }
        18 => {
            let (one, two) = (br#"{"circle":1}"#, br#"{"circle":2}"#);
            let target = node.put_strange(one, &[Digest::of(two)]).await;
            node.put_strange(two, std::slice::from_ref(&target)).await;
            Case::new("labels in a circle", target, None)
        }
        19 => {
            let labels: BTreeMap<String, String> = (0..9)
                .map(|number| (format!("{number}{}", "k".repeat(100 << 10)), "v".repeat(100 << 10)))
                .collect();
            let of_config = put(json!({"config": {"Labels": labels}}).to_string()).await;
            let text = json!({"config": descriptor("config", &of_config), "annotations": labels}).to_string();
            let target = node.put_strange(text.as_bytes(), &[of_config]).await;
            Case::new("labels and annotations of 100 KiB", target, None)
        }
        20 => Case::new("no content at all", Digest::of(b"nowhere"), None),
        21 => {
            let absent = |number: usize| descriptor(MANIFEST, &Digest::of(&number.to_le_bytes()));
            let target = node.put_strange(&index(&(0..5_000).map(absent).collect::<Vec<_>>()), &[]).await;
            let flaw = "is one of more than 1000 manifests, indexes and configs";
            Case::new("5,000 manifests that are not there", target, flaw)
        }
        _ => return None,
    })
}

async fn a_name_may_be_of_100_kib(version: Version) {
    let node = Node::start(version).await;
    let app = node.import(&Image::bare(APP).layer("one")).await;
    let long = "n".repeat(100 << 10);
    node.name_strange(&long, &app.target, MANIFEST, 1).await;

    let ran = Deletion::of(&["app:v1"]).run(&node).await;
    assert_eq!(ran.removals()[..2], [untagged("app:v1"), untagged(&long)]);
    assert_eq!(ran.gone, names([APP, &long, app.config()]));
}

async fn many_large_documents_are_read_one_at_a_time(version: Version) {
    let node = Node::start_with(version, Setup { cri: Cri::Disabled, ..Setup::default() }).await;
    for number in 0..12 {
        let text = format!("{{\"number\":{number}{}}}", " ".repeat(8_000_000));
        let target = node.put_strange(text.as_bytes(), &[]).await;
        node.name_strange(&format!("docker.io/library/hostile-{number}:v1"), &target, MANIFEST, 1).await;
    }
    // To say that nothing has this config, everything must be read.
    let took = delete(&node, &[&format!("sha256:{}", "0".repeat(64))]).await;
    assert_eq!(took.answer.only().outcome, "Absent");
    took.assert_bounded(&format!("{version:?}: twelve manifests of 8 MB at once"));
}
