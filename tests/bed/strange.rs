//! Content and records that no builder makes and no registry takes, written through containerd's own services.

use std::collections::HashMap;

use containerd_client::services::v1::{
    CreateImageRequest, CreateRequest, DeleteRequest, Image as ImageMessage, WriteAction, WriteContentRequest,
};
use containerd_client::tonic::Request;
use containerd_client::types::Descriptor;

use super::Digest;
use super::containerd::{Containerd, NAMESPACE, in_namespace};

/// Holds what has no record yet.
const LEASE: &str = "bed-strange";
/// How much content goes into one message, in bytes.
const CHUNK: usize = 1 << 20;

impl Containerd {
    /// Writes content of any kind that keeps these others, as a client labels an index. It stays until the next
    /// [`Containerd::name_strange`], and then by what keeps it.
    pub(crate) async fn put_strange(&self, content: &[u8], keeps: &[Digest]) -> Digest {
        let create = CreateRequest { id: LEASE.to_owned(), ..CreateRequest::default() };
        // There may be one already.
        let _ = self.client().leases().create(in_namespace(NAMESPACE, create)).await;
        let digest = Digest::of(content);
        let labels = keeps.iter().enumerate();
        let labels: HashMap<_, _> = labels
            .map(|(index, kept)| (format!("containerd.io/gc.ref.content.{index}"), kept.to_string()))
            .collect();
        let message = |action: WriteAction, offset: usize, data: &[u8]| WriteContentRequest {
            action: action.into(),
            r#ref: format!("strange-{}", digest.hex()),
            total: content.len().try_into().expect("a size"),
            expected: digest.to_string(),
            offset: offset.try_into().expect("an offset"),
            data: data.to_vec(),
            labels: labels.clone(),
        };
        let chunks = content.chunks(CHUNK).enumerate();
        let mut messages: Vec<_> =
            chunks.map(|(index, data)| message(WriteAction::Write, index * CHUNK, data)).collect();
        messages.push(message(WriteAction::Commit, content.len(), &[]));
        let mut request = Request::new(futures::stream::iter(messages));
        for (header, value) in [("containerd-namespace", NAMESPACE), ("containerd-lease", LEASE)] {
            request.metadata_mut().insert(header, value.parse().expect("a header value"));
        }
        let mut answers =
            self.client().content().write(request).await.expect("it takes content").into_inner();
        while answers.message().await.expect("it takes content").is_some() {}
        digest
    }

    /// Makes a record of any name for content, with what the record says that it is and how large.
    pub(crate) async fn name_strange(&self, name: &str, target: &Digest, media_type: &str, size: i64) {
        let descriptor = Descriptor {
            media_type: media_type.to_owned(),
            digest: target.to_string(),
            size,
            annotations: HashMap::new(),
        };
        let image =
            ImageMessage { name: name.to_owned(), target: Some(descriptor), ..ImageMessage::default() };
        let request = CreateImageRequest { image: Some(image), source_date_epoch: None };
        let made = self.client().images().create(in_namespace(NAMESPACE, request)).await;
        made.expect("containerd makes the record");
        let delete = DeleteRequest { id: LEASE.to_owned(), sync: false };
        // Where the content is that of another image, there was none.
        let _ = self.client().leases().delete(in_namespace(NAMESPACE, delete)).await;
    }
}
