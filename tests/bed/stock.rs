//! A store with more images than anybody would import one after another.

use std::collections::HashMap;

use containerd_client::services::v1::{
    CreateImageRequest, CreateRequest, DeleteRequest, Image as ImageMessage, WriteAction, WriteContentRequest,
};
use containerd_client::tonic::{Code, Request};
use containerd_client::types::Descriptor;
use futures::{StreamExt, stream};
use serde_json::json;

use super::Digest;
use super::archive::MANIFEST;
use super::containerd::{Containerd, NAMESPACE, in_namespace};
use super::image::HOST;

/// How many calls are under way at once.
const CONCURRENCY: usize = 32;
/// What holds the content until the records do.
const LEASE: &str = "bed-stock";

impl Containerd {
    /// Makes `count` images `<repository>-<number>:v1`, each with a manifest, a configuration and no layers, and with the record
    /// that the CRI would make of it. Where there is a CRI, it takes long to take note of them all.
    pub(crate) async fn stock(&self, repository: &str, count: usize) {
        let lease = CreateRequest { id: LEASE.to_owned(), ..CreateRequest::default() };
        self.client()
            .leases()
            .create(in_namespace(NAMESPACE, lease))
            .await
            .expect("containerd makes a lease");
        let put = async |number: usize| self.put_image(&format!("{repository}-{number}:v1")).await;
        stream::iter(0..count).for_each_concurrent(CONCURRENCY, put).await;
        let end = DeleteRequest { id: LEASE.to_owned(), sync: true };
        self.client().leases().delete(in_namespace(NAMESPACE, end)).await.expect("containerd ends a lease");
    }

    async fn put_image(&self, name: &str) {
        let config = json!({
            "os": "linux", "architecture": HOST, "config": {"Labels": {"name": name}},
            "rootfs": {"type": "layers", "diff_ids": []},
        });
        let config = config.to_string().into_bytes();
        let (digest, size) = (Digest::of(&config), config.len());
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": size},
            "layers": [],
        });
        let manifest = manifest.to_string().into_bytes();
        let target = Descriptor {
            media_type: MANIFEST.to_owned(),
            digest: Digest::of(&manifest).to_string(),
            size: manifest.len().try_into().expect("a manifest is small"),
            ..Descriptor::default()
        };
        let keeps = HashMap::from([("containerd.io/gc.ref.content.config".to_owned(), digest.to_string())]);
        self.put_blob(config, HashMap::new()).await;
        self.put_blob(manifest, keeps).await;
        for name in [name, &digest] {
            let target = Some(target.clone());
            let image = ImageMessage { name: name.to_owned(), target, ..ImageMessage::default() };
            let request = CreateImageRequest { image: Some(image), source_date_epoch: None };
            let made = self.client().images().create(in_namespace(NAMESPACE, request)).await;
            match made {
                Err(status) if status.code() == Code::AlreadyExists => {}
                made => drop(made.expect("containerd makes the record")),
            }
        }
    }

    async fn put_blob(&self, data: Vec<u8>, labels: HashMap<String, String>) {
        let digest = Digest::of(&data).to_string();
        let request = WriteContentRequest {
            action: WriteAction::Commit.into(),
            r#ref: digest.clone(),
            total: data.len().try_into().expect("a blob is small"),
            expected: digest,
            offset: 0,
            data,
            labels,
        };
        let mut request: Request<_> = in_namespace(NAMESPACE, stream::iter([request]));
        request.metadata_mut().insert("containerd-lease", LEASE.parse().expect("an ID is a header's value"));
        let mut content = self.client().content();
        let mut written = content.write(request).await.expect("containerd takes content").into_inner();
        while written.message().await.expect("containerd takes content").is_some() {}
    }
}
