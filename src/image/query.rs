//! What a person wrote to say which image is meant.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use super::digest::{Digest, ImageId, is_lower_hex};
use super::record::parse_dangling_name;
use super::reference::{InvalidReference, Reference};

/// A prefix of an image ID has at least this many hex digits.
const PREFIX_MIN: usize = 4;
/// The hex digits of a whole sha256 digest.
const PREFIX_MAX: usize = 64;

/// One image, as a person writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// A whole digest: of a target or of a config.
    Digest(Digest),
    /// 4 to 64 hex digits: the start of an ID or, where it can be one, a name.
    Prefix {
        /// The digits.
        hex: Box<str>,
        /// The same text read as a name.
        name: Option<Reference>,
    },
    /// The name of a dangling record.
    Dangling(ImageId),
    /// A reference, complete.
    Name(Reference),
    /// An image with all the names that it had when it was found. Nobody writes it.
    Whole {
        /// The image.
        image: ImageId,
        /// The names of its records.
        names: Names,
    },
}

/// The names of records.
pub type Names = BTreeSet<Arc<str>>;

impl FromStr for Query {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(image) = parse_dangling_name(text) {
            return Ok(Self::Dangling(image));
        }
        if let Ok(digest) = text.parse() {
            return Ok(Self::Digest(digest));
        }
        let hex = text.strip_prefix("sha256:").unwrap_or(text);
        if (PREFIX_MIN..=PREFIX_MAX).contains(&hex.len()) && hex.bytes().all(is_lower_hex) {
            let name = Reference::normalize(text).ok().filter(|_| hex.len() == text.len());
            return Ok(Self::Prefix { hex: hex.into(), name: name.map(Reference::or_latest) });
        }
        Reference::normalize(text).map(|reference| Self::Name(reference.or_latest()))
    }
}

impl fmt::Display for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(digest) => digest.fmt(f),
            Self::Prefix { hex, .. } => f.write_str(hex),
            Self::Dangling(image) => f.write_str(&super::record::dangling_name(image)),
            Self::Name(reference) => reference.familiar().fmt(f),
            Self::Whole { image, .. } => image.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Query {
        Query::Name(Reference::canonical(text).unwrap())
    }

    #[test]
    fn a_text_is_read_as_digest_prefix_or_name() {
        let digest = format!("sha256:{}", "a1".repeat(32));
        let prefix = |hex: &str, name: Option<&str>| Query::Prefix {
            hex: hex.into(),
            name: name.map(|name| Reference::canonical(name).unwrap()),
        };
        let rows = [
            (digest.clone(), Query::Digest(digest.parse().unwrap())),
            (digest[7..].to_owned(), prefix(&digest[7..], None)),
            ("beef".to_owned(), prefix("beef", Some("docker.io/library/beef:latest"))),
            ("sha256:beef".to_owned(), prefix("beef", None)),
            ("bee".to_owned(), name("docker.io/library/bee:latest")),
            ("beefy".to_owned(), name("docker.io/library/beefy:latest")),
            ("beef:v1".to_owned(), name("docker.io/library/beef:v1")),
            (format!("moby-dangling@{digest}"), Query::Dangling(digest.parse().unwrap())),
            (format!("app@{digest}"), name(&format!("docker.io/library/app@{digest}"))),
        ];
        for (text, query) in rows {
            assert_eq!(text.parse(), Ok(query), "{text}");
        }
        assert_eq!("App".parse::<Query>(), Err(InvalidReference::Uppercase));
        assert_eq!("BEEF".parse::<Query>(), Err(InvalidReference::Uppercase));
        assert_eq!("".parse::<Query>(), Err(InvalidReference::Empty));
    }
}
