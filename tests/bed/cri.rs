//! The CRI of a containerd: its clients, and what it says of images.

use containerd_client::tonic::transport::Channel;
use k8s_cri::v1::image_service_client::ImageServiceClient;
use k8s_cri::v1::runtime_service_client::RuntimeServiceClient;
use k8s_cri::v1::{Image, ImageSpec, ImageStatusRequest, ListImagesRequest};

use super::containerd::{Containerd, MAX_MESSAGE};

impl Containerd {
    /// A client of the CRI's runtime service.
    pub(crate) fn runtime(&self) -> RuntimeServiceClient<Channel> {
        RuntimeServiceClient::new(self.channel()).max_decoding_message_size(MAX_MESSAGE)
    }

    /// A client of the CRI's image service.
    pub(crate) fn image_service(&self) -> ImageServiceClient<Channel> {
        ImageServiceClient::new(self.channel()).max_decoding_message_size(MAX_MESSAGE)
    }

    /// The images that the CRI lists. An image's `id` is its configuration's digest.
    pub(crate) async fn cri_images(&self) -> Vec<Image> {
        let request = ListImagesRequest { filter: None };
        self.image_service().list_images(request).await.expect("the CRI lists images").into_inner().images
    }

    /// What the CRI says of a name or ID; `None` where it knows no such image.
    pub(crate) async fn cri_image(&self, reference: &str) -> Option<Image> {
        let image = ImageSpec { image: reference.to_owned(), ..ImageSpec::default() };
        let request = ImageStatusRequest { image: Some(image), verbose: false };
        self.image_service().image_status(request).await.expect("the CRI knows or not").into_inner().image
    }
}
