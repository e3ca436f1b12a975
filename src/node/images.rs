//! containerd's image store.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use containerd_client::services::v1::Image;
use containerd_client::services::v1::images_client::ImagesClient;
use containerd_client::services::v1::{
    CreateImageRequest, DeleteImageRequest, GetImageRequest, ListImagesRequest,
};
use containerd_client::types::Descriptor;
use futures::future::try_join_all;
use serde::{Deserialize, Serialize};
use tonic::{Code, Status};

use super::client::{Containerd, LONG_DEADLINE, MESSAGE_MAX, Service, call, call_within};
use super::error::{CallError, found};
use crate::image::{ImageId, Record, dangling_name};

/// To find the records of more images than this, the daemon is quicker to list everything.
const IMAGES_MAX: usize = 4;
/// The same of records by their names.
const NAMES_MAX: usize = 16;

/// Labels that name the record which they are on.
const NAME_LABELS: [&str; 2] = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];

/// A record as the store has it: all that is needed to make it anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The unique name.
    pub name: String,
    /// What it points at.
    pub target: Target,
    /// Its labels.
    #[serde(default, skip_serializing_if = "HashMap::is_empty")]
    pub labels: HashMap<String, String>,
    /// When it was made or changed last, in seconds since the epoch: whoever loads an image under a name that is there moves the name,
    /// and containerd keeps the time at which that was made. A record that is made anew gets a new time.
    #[serde(skip)]
    pub changed: i64,
}

/// The descriptor of a record's target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The media type.
    #[serde(rename = "mediaType")]
    pub media_type: String,
    /// The digest.
    pub digest: String,
    /// The size in bytes.
    pub size: i64,
    /// The annotations.
    #[serde(default, skip_serializing_if = "HashMap::is_empty")]
    pub annotations: HashMap<String, String>,
}

/// What became of a record that was to be removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removed {
    /// It is gone, by this call.
    Now,
    /// It was gone before.
    Before,
    /// It points elsewhere now and was left alone.
    Moved(String),
}

impl Containerd {
    fn images(&self) -> ImagesClient<Service> {
        ImagesClient::new(self.service()).max_decoding_message_size(MESSAGE_MAX)
    }

    /// Every record of the namespace.
    pub async fn list_images(&self) -> Result<Vec<Row>, CallError> {
        self.list_images_that(Vec::new()).await
    }

    /// Every record of these images; perhaps others too.
    pub(super) async fn list_images_of(&self, images: &BTreeSet<ImageId>) -> Result<Vec<Row>, CallError> {
        match images.len() {
            0 => Ok(Vec::new()),
            1..=IMAGES_MAX => {
                let filters = images.iter().map(|image| format!("target.digest=={image}"));
                self.list_images_that(filters.collect()).await
            }
            _ => self.list_images().await,
        }
    }

    /// The records of these names that there are; perhaps others too.
    pub(super) async fn images_named(&self, names: &BTreeSet<Arc<str>>) -> Result<Vec<Row>, CallError> {
        if names.len() > NAMES_MAX {
            return self.list_images().await;
        }
        let found: Vec<_> = try_join_all(names.iter().map(|name| self.get_image(name))).await?;
        Ok(found.into_iter().flatten().collect())
    }

    async fn list_images_that(&self, filters: Vec<String>) -> Result<Vec<Row>, CallError> {
        let request = ListImagesRequest { filters };
        let answer = call_within(LONG_DEADLINE, "images.List", "", self.images().list(request)).await?;
        answer.images.into_iter().map(|image| Row::read("images.List", image)).collect()
    }

    /// The record of that name.
    pub async fn get_image(&self, name: &str) -> Result<Option<Row>, CallError> {
        const METHOD: &str = "images.Get";
        let request = GetImageRequest { name: name.to_owned() };
        let Some(answer) = found(call(METHOD, name, self.images().get(request)).await)? else {
            return Ok(None);
        };
        let image = answer.image.ok_or_else(|| CallError::incomplete(METHOD, name, "the image"))?;
        Row::read(METHOD, image).map(Some)
    }

    /// Makes a record. One of that name that is there already is left as it is, wherever it points.
    pub async fn create_image(&self, row: &Row) -> Result<(), CallError> {
        let request = CreateImageRequest { image: Some(row.write()), source_date_epoch: None };
        match call("images.Create", &row.name, self.images().create(request)).await {
            Err(error) if error.code() != Some(Code::AlreadyExists) => Err(error),
            _ => Ok(()),
        }
    }

    /// Makes a record, or fails if there is one of that name that keeps something else.
    pub(super) async fn keep_image(&self, row: &Row) -> Result<(), CallError> {
        self.create_image(row).await?;
        match self.changed(row).await? {
            None => Ok(()),
            Some(_) => {
                let other = Status::already_exists("a record of that name keeps something else");
                Err(CallError::status("images.Create", &row.name, &other))
            }
        }
    }

    /// Removes a record if it still points at its target. containerd 2 checks that itself; for older ones it is looked at right
    /// before. The collector is not waited for.
    pub async fn delete_image(&self, row: &Row) -> Result<Removed, CallError> {
        if !self.checks_target()
            && let Some(changed) = self.changed(row).await?
        {
            return Ok(changed);
        }
        let request =
            DeleteImageRequest { name: row.name.clone(), sync: false, target: Some(row.target.write()) };
        match found(call("images.Delete", &row.name, self.images().delete(request)).await)? {
            Some(()) => Ok(Removed::Now),
            None => Ok(self.changed(row).await?.unwrap_or(Removed::Before)),
        }
    }

    async fn changed(&self, row: &Row) -> Result<Option<Removed>, CallError> {
        Ok(match self.get_image(&row.name).await? {
            None => Some(Removed::Before),
            Some(now) if now.target.digest != row.target.digest => Some(Removed::Moved(now.target.digest)),
            Some(_) => None,
        })
    }
}

impl Row {
    /// The record as decisions see it; none if its target is no digest, which containerd does not allow.
    pub fn record(&self) -> Option<Record> {
        let target: ImageId = self.target.digest.parse().ok()?;
        Some(Record::new(&self.name, target, &self.labels))
    }

    /// The dangling record that keeps the image: its labels, but for those that name a record.
    pub(super) fn dangling(&self, image: &ImageId) -> Self {
        let mut dangling = Self { name: dangling_name(image), ..self.clone() };
        dangling.labels.retain(|label, _| !NAME_LABELS.contains(&label.as_str()));
        dangling
    }

    fn read(method: &'static str, image: Image) -> Result<Self, CallError> {
        let Some(target) = image.target else {
            return Err(CallError::incomplete(method, &image.name, "the target"));
        };
        Ok(Self {
            target: Target {
                media_type: target.media_type,
                digest: target.digest,
                size: target.size,
                annotations: target.annotations,
            },
            labels: image.labels,
            changed: [image.created_at, image.updated_at]
                .into_iter()
                .flatten()
                .map(|time| time.seconds)
                .max()
                .unwrap_or(0),
            name: image.name,
        })
    }

    fn write(&self) -> Image {
        Image {
            name: self.name.clone(),
            labels: self.labels.clone(),
            target: Some(self.target.write()),
            created_at: None,
            updated_at: None,
        }
    }
}

impl Target {
    fn write(&self) -> Descriptor {
        Descriptor {
            media_type: self.media_type.clone(),
            digest: self.digest.clone(),
            size: self.size,
            annotations: self.annotations.clone(),
        }
    }
}
