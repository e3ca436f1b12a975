//! Content digests.

use std::fmt;
use std::ops::Deref;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

/// A digest as the store writes it: `sha256:` and 64 hex digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub(crate) struct Digest(String);

impl Digest {
    /// The digest of some bytes.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Self(format!("sha256:{hex}"))
    }

    /// The chain ID of a list of diff IDs, which is the snapshot's key; `None` for no layers.
    ///
    /// See the OCI image specification, "Layer ChainID".
    pub(crate) fn chain(diff_ids: &[Self]) -> Option<Self> {
        let (first, rest) = diff_ids.split_first()?;
        Some(rest.iter().fold(first.clone(), |chain, diff| Self::of(format!("{chain} {diff}").as_bytes())))
    }

    /// The hex digits alone.
    pub(crate) fn hex(&self) -> &str {
        &self.0["sha256:".len()..]
    }
}

impl From<String> for Digest {
    fn from(digest: String) -> Self {
        assert!(digest.starts_with("sha256:"), "{digest} is not a sha256 digest");
        Self(digest)
    }
}

impl Deref for Digest {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}
