//! Where a journal is written down, and what holds the content that it names until the outcome is certain.
//!
//! That of a few images is in the labels of a lease, and a second lease holds their content: no file is written, and the end
//! of the second lease both lets go of the content and has it collected. For many images this would be a write for each, so
//! theirs is a blob under a lease, whose labels keep the content: one write for everything. A full disk has no room for a blob,
//! and that is when people delete images. Then it is in labels too, for which the daemon's database has room for long.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use containerd_client::services::v1::Lease;
use sha2::{Digest as _, Sha256};

use super::blobs::Blob;
use super::client::Containerd;
use super::error::CallError;
use super::journal::{JOURNAL_LABEL, expiry};
use super::leases::{Collect, patiently};
use super::stop::stop_at;
use crate::image::{Digest, ImageId};

/// The lease's label that says whose operation it is.
const OWNER_LABEL: &str = "secateur.dev/image-deletion";
/// What the journal's label says where the journal is in labels.
const IN_LABELS: &str = "labels";
/// What it says on a lease that only holds content for another.
const HOLDS: &str = "holds";
/// What it says on a lease that notes what was kept.
const NOTES: &str = "notes";
/// What the ID of such a lease has after that of the journal's.
const NOTE_SUFFIX: &str = "-kept";
/// The label that names the lease which holds the content.
const HOLDER_LABEL: &str = "secateur.dev/holder";
/// The labels that have the journal's parts, with their numbers after it.
const PART_LABEL: &str = "secateur.dev/journal-part.";
/// The largest journal that is read back from a blob, in bytes.
const JOURNAL_MAX: usize = 64 << 20;
/// How many bytes of a journal a label takes: with its key it may have 4,096.
const PART_MAX: usize = 4_000;
/// A lease takes a write for each image that it holds: a blob that holds more than this is sooner written.
const FEW: usize = 4;
/// A longer text is written as a blob: all that is in labels goes over the wire when leases are listed.
const SHORT: usize = 8 * PART_MAX;

/// Where a journal is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// The lease that ends with it.
    lease: String,
    form: Form,
    /// Whether another lease notes what was kept.
    has_note: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Form {
    /// It is this blob.
    Blob(Digest),
    /// It is in the labels of the lease, and another lease holds the content.
    Labels { holder: String },
}

/// A journal that was found.
pub(super) struct Found {
    pub(super) place: Place,
    pub(super) text: Vec<u8>,
    /// Whether the outcome is certain.
    pub(super) settled: Settled,
}

/// Whether the outcome of an operation is certain.
pub(super) enum Settled {
    /// It is not: the content is held.
    No,
    /// Everything was done.
    Wholly,
    /// Everything was done but this.
    But(Vec<u8>),
}

impl Place {
    /// Writes a journal down under a lease of that name, and holds these images.
    pub(super) async fn write(
        containerd: &Containerd,
        lease: String,
        owner: &str,
        text: String,
        images: &BTreeSet<ImageId>,
    ) -> Result<Self, CallError> {
        if images.len() <= FEW && text.len() <= SHORT {
            return Self::write_labels(containerd, &lease, owner, &text, images).await;
        }
        let failure = match Self::write_blob(containerd, &lease, owner, &text, images).await {
            Ok(place) => return Ok(place),
            Err(failure) if failure.is_answer() => failure,
            Err(failure) => return Err(failure),
        };
        tracing::warn!(error = %failure, "no room for a journal that is a blob, so it is written into labels");
        Self::abandon(containerd, &lease).await;
        let written = Self::write_labels(containerd, &lease, owner, &text, images).await;
        written.map_err(|also| {
            tracing::warn!(error = %also, "nor is there room in labels");
            failure
        })
    }

    /// Ends a lease that began nothing and takes room in the database. Where it cannot end now, the next operation ends it.
    async fn abandon(containerd: &Containerd, lease: &str) {
        if let Err(error) = containerd.delete_lease(lease, Collect::Later).await {
            tracing::warn!(%error, lease, "a lease is left");
        }
    }

    async fn write_blob(
        containerd: &Containerd,
        lease: &str,
        owner: &str,
        text: &str,
        images: &BTreeSet<ImageId>,
    ) -> Result<Self, CallError> {
        let blob = Digest::sha256(&Sha256::digest(text));
        let labels = labels(blob.as_str(), owner, expiry());
        let held = containerd.create_lease(lease, labels).await?;
        stop_at("journal-half");
        held.write_blob(&blob, text.as_bytes(), images.iter()).await?;
        Ok(Self { lease: lease.to_owned(), form: Form::Blob(blob), has_note: false })
    }

    async fn write_labels(
        containerd: &Containerd,
        stem: &str,
        owner: &str,
        text: &str,
        images: &BTreeSet<ImageId>,
    ) -> Result<Self, CallError> {
        patiently(async || Self::try_labels(containerd, stem, owner, text, images).await).await
    }

    /// The lease with the journal is made last: without it, the one that holds the content began nothing.
    async fn try_labels(
        containerd: &Containerd,
        stem: &str,
        owner: &str,
        text: &str,
        images: &BTreeSet<ImageId>,
    ) -> Result<Self, CallError> {
        let (lease, holder) = (format!("{stem}-labels"), format!("{stem}-holds"));
        // Both end at one time: a journal without the lease that holds its content is one whose outcome is certain.
        let expires = expiry();
        let written = async {
            containerd.create_lease(&holder, labels(HOLDS, owner, expires.clone())).await?;
            for image in images {
                containerd.hold_content(&holder, image.digest()).await?;
            }
            stop_at("journal-half");
            let mut labels = labels(IN_LABELS, owner, expires);
            labels.insert(HOLDER_LABEL.to_owned(), holder.clone());
            labels.extend(parts(text));
            containerd.create_lease(&lease, labels).await
        };
        if let Err(error) = written.await {
            // Without an answer the journal may be there, and then its content must be held.
            if error.is_answer() {
                Self::abandon(containerd, &holder).await;
            }
            return Err(error);
        }
        Ok(Self { lease, form: Form::Labels { holder }, has_note: false })
    }

    /// Every journal that there is, and the leases of ours that hold nothing for any of them.
    pub(super) async fn find(containerd: &Containerd) -> Result<(Vec<Found>, Vec<String>), CallError> {
        let leases = containerd.leases_with(JOURNAL_LABEL).await?;
        let leases: BTreeMap<&str, &Lease> = leases.iter().map(|lease| (lease.id.as_str(), lease)).collect();
        let mut found = Vec::new();
        for lease in leases.values() {
            found.extend(Self::read(containerd, lease, &leases).await?);
        }
        let needed: BTreeSet<String> = found.iter().flat_map(|found: &Found| found.place.leases()).collect();
        let strays = leases.into_keys().filter(|id| !needed.contains(*id)).map(str::to_owned).collect();
        Ok((found, strays))
    }

    /// Every lease of it that there may be.
    pub(super) fn leases(&self) -> impl Iterator<Item = String> {
        let holder = self.holder().map(str::to_owned);
        [self.lease.clone(), self.note_lease()].into_iter().chain(holder)
    }

    fn note_lease(&self) -> String {
        format!("{}{NOTE_SUFFIX}", self.lease)
    }

    async fn read(
        containerd: &Containerd,
        lease: &Lease,
        leases: &BTreeMap<&str, &Lease>,
    ) -> Result<Option<Found>, CallError> {
        let found = |form, text, is_held| {
            let mut place = Self { lease: lease.id.clone(), form, has_note: false };
            let note = leases.get(place.note_lease().as_str());
            place.has_note = note.is_some();
            let settled = match note {
                _ if is_held => Settled::No,
                Some(note) => Settled::But(joined(&note.labels)),
                None => Settled::Wholly,
            };
            Some(Found { place, text, settled })
        };
        let label = |key: &str| lease.labels.get(key).map(String::as_str).unwrap_or_default();
        if label(JOURNAL_LABEL) == IN_LABELS {
            let holder = label(HOLDER_LABEL).to_owned();
            let is_held = leases.contains_key(holder.as_str());
            return Ok(found(Form::Labels { holder }, joined(&lease.labels), is_held));
        }
        let Ok(blob) = label(JOURNAL_LABEL).parse::<Digest>() else { return Ok(None) };
        let Some(stored) = containerd.blob(&blob).await? else { return Ok(None) };
        let Some(Blob::Whole(text)) = containerd.read_blob(&blob, JOURNAL_MAX).await? else {
            return Ok(None);
        };
        Ok(found(Form::Blob(blob), text, stored.keeps_blobs))
    }

    /// Notes what was kept, for whoever finds the journal once nothing is held any longer.
    pub(super) async fn note(
        &mut self,
        containerd: &Containerd,
        owner: &str,
        kept: &str,
    ) -> Result<(), CallError> {
        self.has_note = true;
        let lease = self.note_lease();
        let mut labels = labels(NOTES, owner, expiry());
        labels.extend(parts(kept));
        patiently(async || containerd.create_lease(&lease, labels.clone()).await).await.map(drop)
    }

    /// Without the note of a run that was killed before its outcome was certain.
    pub(super) async fn forget_note(&mut self, containerd: &Containerd) -> Result<(), CallError> {
        if self.has_note {
            containerd.delete_lease(&self.note_lease(), Collect::Later).await?;
            self.has_note = false;
        }
        Ok(())
    }

    /// Holds the content no longer, where that takes a step of its own.
    pub(super) async fn let_go(&self, containerd: &Containerd) -> Result<(), CallError> {
        match &self.form {
            Form::Blob(blob) => containerd.clear_labels(blob).await,
            Form::Labels { .. } => Ok(()),
        }
    }

    /// The lease that holds the content, where one does: it is let go of when that lease ends.
    pub(super) fn holder(&self) -> Option<&str> {
        match &self.form {
            Form::Blob(_) => None,
            Form::Labels { holder } => Some(holder),
        }
    }

    /// Nothing is left of the journal.
    pub(super) async fn clear(mut self, containerd: &Containerd) -> Result<(), CallError> {
        containerd.delete_lease(&self.lease, Collect::Later).await?;
        self.forget_note(containerd).await
    }
}

fn labels(journal: &str, owner: &str, expires: (String, String)) -> HashMap<String, String> {
    HashMap::from([
        (JOURNAL_LABEL.to_owned(), journal.to_owned()),
        (OWNER_LABEL.to_owned(), owner.to_owned()),
        expires,
    ])
}

/// A text in labels, and in their order.
fn parts(text: &str) -> BTreeMap<String, String> {
    let mut parts = BTreeMap::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (part, after) = rest.split_at(rest.floor_char_boundary(PART_MAX));
        parts.insert(format!("{PART_LABEL}{:06}", parts.len()), part.to_owned());
        rest = after;
    }
    parts
}

fn joined(labels: &HashMap<String, String>) -> Vec<u8> {
    let parts: BTreeMap<_, _> = labels.iter().filter(|(key, _)| key.starts_with(PART_LABEL)).collect();
    parts.into_values().flat_map(|part| part.bytes()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journal_is_put_together_as_it_was() {
        for text in ["", "short", &"a\u{e9}\u{1f511}".repeat(10_000)] {
            let parts = parts(text);
            assert!(parts.iter().all(|(key, part)| key.len() + part.len() <= 4_096));
            let mut labels: HashMap<_, _> = parts.into_iter().collect();
            labels.extend(super::labels(IN_LABELS, "drop/uid", expiry()));
            assert_eq!(joined(&labels), text.as_bytes());
        }
    }
}
