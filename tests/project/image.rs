//! What `make image` wrote: the list of crates, and nothing of the machine that it was built on.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::process::Command;

use flate2::read::GzDecoder;
use serde_json::Value;

use crate::page::root;

const LIST: &str = "target/image/secateur.cdx.json";
const BINARY: &str = "target/image/build/secateur";
const ARCHIVE: &str = "target/image/secateur.tar";

fn built(path: &str) -> Vec<u8> {
    fs::read(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}: run `make image` first"))
}

/// `name version` of every crate that cargo would build for a target, by the kinds of dependencies.
fn crates(edges: &str, target: &str) -> BTreeSet<String> {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--locked", "--prefix", "none", "--no-dedupe", "--format", "{p}", "--edges", edges])
        .args(["--target", target])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let name = |line: &str| {
        let (name, rest) = line.split_once(" v")?;
        Some(format!("{name} {}", rest.split(' ').next()?))
    };
    text.lines().filter_map(name).collect()
}

#[test]
fn the_list_names_every_crate_of_the_binary() {
    let list: Value = serde_json::from_slice(&built(LIST)).unwrap();
    let named = |component: &Value| {
        format!("{} {}", component["name"].as_str().unwrap(), component["version"].as_str().unwrap())
    };
    let components = list["components"].as_array().unwrap();
    let listed: BTreeSet<String> =
        components.iter().chain([&list["metadata"]["component"]]).map(named).collect();
    let target = list["metadata"]["properties"][0]["value"].as_str().expect("the list says for what it is");
    let linked = crates("normal,no-proc-macro", target);
    assert!(
        linked.len() > 100 && linked.contains(&format!("secateur {}", env!("CARGO_PKG_VERSION"))),
        "{linked:?}"
    );
    let missing: Vec<_> = linked.difference(&listed).collect();
    assert!(missing.is_empty(), "not in the list: {missing:?}");
    let strangers: Vec<_> = listed.difference(&crates("normal", "all")).cloned().collect();
    assert!(strangers.is_empty(), "in the list, and only for tests or builds: {strangers:?}");
    for component in components {
        assert!(component["hashes"][0]["content"].is_string(), "{} has no checksum", named(component));
        assert!(component["licenses"].is_array(), "{} has no licence", named(component));
    }
}

#[test]
fn nothing_says_where_it_was_built() {
    let home = std::env::var("CARGO_HOME").or_else(|_| std::env::var("HOME")).unwrap();
    for path in [BINARY, LIST] {
        let bytes = built(path);
        for place in [env!("CARGO_MANIFEST_DIR"), home.as_str(), "/.cargo/registry"] {
            // A home of `/` says nothing.
            let found =
                place.len() > 1 && bytes.windows(place.len()).any(|window| window == place.as_bytes());
            assert!(!found, "{path} says that it was built in {place}");
        }
    }
}

#[test]
fn the_archive_has_no_times() {
    let archive = files(&*built(ARCHIVE));
    assert!(archive.len() >= 5 && archive.iter().map(|file| &file.path).is_sorted());
    let (config, layers) = image(&archive);
    assert_eq!(config["created"], "1970-01-01T00:00:00Z");
    for file in archive.iter().chain(&layers) {
        assert_eq!((file.time, file.owner), (0, (0, 0)), "{}", file.path);
    }
}

#[test]
fn the_image_has_the_program_and_its_list() {
    let (_, files) = image(&files(&*built(ARCHIVE)));
    let [program, list] = &files[..] else { panic!("the image has {} files", files.len()) };
    assert_eq!([&program.path, &list.path], ["secateur", "secateur.cdx.json"]);
    assert!(program.content == built(BINARY), "the image has another program than {BINARY}");
    assert!(list.content == built(LIST), "the image has another list than {LIST}");
}

/// A file of an archive.
struct File {
    path: String,
    time: u64,
    owner: (u64, u64),
    content: Vec<u8>,
}

fn files(archive: impl Read) -> Vec<File> {
    let mut archive = tar::Archive::new(archive);
    let file = |entry: io::Result<tar::Entry<'_, _>>| {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let header = entry.header();
        let owner = (header.uid().unwrap(), header.gid().unwrap());
        File {
            path: entry.path().unwrap().display().to_string(),
            time: header.mtime().unwrap(),
            owner,
            content,
        }
    };
    archive.entries().unwrap().map(file).collect()
}

/// The configuration of the one image of an OCI archive, and the files of its layers.
fn image(archive: &[File]) -> (Value, Vec<File>) {
    let content = |path: &str| &*archive.iter().find(|file| file.path == path).expect(path).content;
    let blob = |descriptor: &Value| {
        content(&format!("blobs/{}", descriptor["digest"].as_str().unwrap().replace(':', "/")))
    };
    let document = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
    let index = document(content("index.json"));
    let manifest = document(blob(&index["manifests"][0]));
    let layers = manifest["layers"].as_array().unwrap().iter();
    (
        document(blob(&manifest["config"])),
        layers.flat_map(|layer| files(GzDecoder::new(blob(layer)))).collect(),
    )
}
