//! Content digests, and the identities made of them.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use sha2::{Digest as _, Sha256, Sha384, Sha512};
use thiserror::Error;

/// How many hex digits a shortened digest or container ID shows.
const SHORT_LENGTH: usize = 12;

/// A content digest, `<algorithm>:<lowercase hex>`, of one of the algorithms of the OCI image spec that a
/// registry accepts: sha256, sha384, sha512.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(Arc<str>);

/// Why a text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidDigest {
    /// It does not have the form `algorithm:hex`.
    #[error("invalid digest format: write it as sha256:<64 hex digits>")]
    Format,
    /// The algorithm is not one that an image can have.
    #[error("unsupported digest algorithm: write sha256, sha384 or sha512")]
    Algorithm,
    /// Too few or too many hex digits for the algorithm.
    #[error("invalid digest length: {algorithm} has {expected} hex digits")]
    Length {
        /// The digest's algorithm.
        algorithm: &'static str,
        /// How many hex digits it has.
        expected: usize,
    },
}

impl Digest {
    /// The digest whose 32 bytes sha256 has computed.
    pub(crate) fn sha256(bytes: &[u8]) -> Self {
        Self(format!("sha256:{}", hex(bytes)).into())
    }

    /// Whether it is the digest of these bytes.
    pub fn is_of(&self, bytes: &[u8]) -> bool {
        let computed = match self.algorithm() {
            "sha512" => hex(&Sha512::digest(bytes)),
            "sha384" => hex(&Sha384::digest(bytes)),
            _ => hex(&Sha256::digest(bytes)),
        };
        computed == self.encoded()
    }

    fn algorithm(&self) -> &str {
        self.0.split_once(':').map_or("", |(algorithm, _)| algorithm)
    }

    /// The whole digest, `sha256:…`.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The hex digits after the algorithm.
    pub fn encoded(&self) -> &str {
        self.0.split_once(':').map_or(&*self.0, |(_, encoded)| encoded)
    }

    /// The first 12 hex digits, as people read them.
    pub fn short(&self) -> &str {
        shorten(self.encoded())
    }
}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (algorithm, encoded) = text.split_once(':').ok_or(InvalidDigest::Format)?;
        let (algorithm, expected) = match algorithm {
            "sha256" => ("sha256", 64),
            "sha384" => ("sha384", 96),
            "sha512" => ("sha512", 128),
            _ if is_algorithm(algorithm) && is_encoded(encoded) => return Err(InvalidDigest::Algorithm),
            _ => return Err(InvalidDigest::Format),
        };
        if !encoded.is_empty() && is_encoded(encoded) && encoded.len() != expected {
            return Err(InvalidDigest::Length { algorithm, expected });
        }
        if encoded.len() != expected || !encoded.bytes().all(is_lower_hex) {
            return Err(InvalidDigest::Format);
        }
        Ok(Self(text.into()))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn is_algorithm(text: &str) -> bool {
    text.split(['.', '+', '_', '-'])
        .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
}

fn is_encoded(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'=' | b'_' | b'-'))
}

pub(super) fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

/// The first 12 characters of an ID, as people read them.
pub(super) fn shorten(id: &str) -> &str {
    id.char_indices().nth(SHORT_LENGTH).map_or(id, |(end, _)| &id[..end])
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Borrow<str> for Digest {
    fn borrow(&self) -> &str {
        &self.0
    }
}

/// What makes an image the same image: the digest of the target that all its records share. The CRI shows people the
/// *config* digest instead; that one is a plain [`Digest`] here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageId(Digest);

impl ImageId {
    /// The identity of the image whose records have this target.
    pub const fn new(target: Digest) -> Self {
        Self(target)
    }

    /// The target's digest.
    pub const fn digest(&self) -> &Digest {
        &self.0
    }

    /// The first 12 hex digits, as people read them.
    pub fn short(&self) -> &str {
        self.0.short()
    }
}

impl fmt::Display for ImageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Borrow<str> for ImageId {
    fn borrow(&self) -> &str {
        self.0.borrow()
    }
}

impl FromStr for ImageId {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_read_or_refused_with_a_reason() {
        let hex = |length: usize| "a1".repeat(length / 2);
        let rows = [
            (format!("sha256:{}", hex(64)), Ok(())),
            (format!("sha384:{}", hex(96)), Ok(())),
            (format!("sha512:{}", hex(128)), Ok(())),
            (hex(64), Err(InvalidDigest::Format)),
            (format!("sha256:{}", hex(64).to_uppercase()), Err(InvalidDigest::Format)),
            (format!("sha256:{}", hex(62)), Err(InvalidDigest::Length { algorithm: "sha256", expected: 64 })),
            (format!("blake3:{}", hex(64)), Err(InvalidDigest::Algorithm)),
            (format!("sha256+b64:{}", hex(64)), Err(InvalidDigest::Algorithm)),
            (format!("SHA256:{}", hex(64)), Err(InvalidDigest::Format)),
            ("sha256:".to_owned(), Err(InvalidDigest::Format)),
            (String::new(), Err(InvalidDigest::Format)),
        ];
        for (text, verdict) in rows {
            assert_eq!(text.parse::<Digest>().map(|_| ()), verdict, "{text}");
        }
    }

    #[test]
    fn a_digest_is_of_the_bytes_that_it_names() {
        let rows = [
            // printf abc | sha256sum, sha384sum, sha512sum
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "sha384:cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed\
             8086072ba1e7cc2358baeca134c825a7",
            "sha512:ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a\
             2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        ];
        for text in rows {
            let digest: Digest = text.parse().unwrap();
            assert!(digest.is_of(b"abc"), "{text}");
            assert!(!digest.is_of(b"abd"), "{text}");
        }
    }

    #[test]
    fn short_is_twelve_digits_without_the_algorithm() {
        let digest: Digest = format!("sha256:{}", "0123456789abcdef".repeat(4)).parse().unwrap();
        assert_eq!(digest.short(), "0123456789ab");
        assert_eq!(shorten("abc"), "abc");
    }
}
