//! Manifests, indexes and configs: any bytes are a document or an error, and a document says no more than its bytes can.

use secateur::image::Digest;
use secateur::node::document::{Document, PARTS_MAX, Role};

/// The fewest bytes that name a blob.
const DIGEST_BYTES: usize = 64;

/// Reads the input as a document of either role.
pub fn check(data: &[u8]) {
    for role in [Role::Manifest, Role::Config] {
        let read = Document::parse(data, role);
        assert_eq!(read, Document::parse(data, role));
        let Ok(document) = read else { continue };
        assert!(document.parts() <= PARTS_MAX + 1);
        assert!(document.parts() * DIGEST_BYTES <= data.len());
        if let Some(text) = write(&document) {
            assert_eq!(Document::parse(text.as_bytes(), role), Ok(document));
        }
    }
}

/// The shortest text of the document; none of a config, whose chain IDs do not tell its layers.
fn write(document: &Document) -> Option<String> {
    let descriptor = |digest: &Digest| format!(r#"{{"digest":"{digest}"}}"#);
    let list = |digests: &[Digest]| digests.iter().map(descriptor).collect::<Vec<_>>().join(",");
    match document {
        Document::Index(manifests) => Some(format!(r#"{{"manifests":[{}]}}"#, list(manifests))),
        Document::Manifest { config, layers } => {
            Some(format!(r#"{{"config":{},"layers":[{}]}}"#, descriptor(config), list(layers)))
        }
        Document::Config(_) => None,
        Document::Other => Some("{}".to_owned()),
    }
}
