//! References to images: the grammar of the distribution project, the canonical form that containerd stores and the
//! familiar form that people type.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::digest::{Digest, InvalidDigest, is_lower_hex};

const DEFAULT_DOMAIN: &str = "docker.io";
const LEGACY_DEFAULT_DOMAIN: &str = "index.docker.io";
const OFFICIAL_PREFIX: &str = "library/";
const DEFAULT_TAG: &str = "latest";

/// The longest path of a repository, in bytes, as the distribution project has it.
const PATH_MAX: usize = 255;
/// The longest tag, in bytes.
const TAG_MAX: usize = 128;
/// A digest inside a reference has at least this many hex digits, whatever its algorithm.
const DIGEST_HEX_MIN: usize = 32;

/// A reference in canonical form: `docker.io/library/app:v1`, `…/app@sha256:…`, `…/app:v1@sha256:…`, or a bare
/// repository.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    repository: Repository,
    tag: Option<Box<str>>,
    digest: Option<Digest>,
}

/// A repository: a registry's domain, with its port, and a path in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Repository {
    /// Empty for the few names whose first component looks like a domain but is only a path, such as `a_b.c/app`.
    domain: Box<str>,
    path: Box<str>,
}

/// Why a text is not a reference.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidReference {
    /// Nothing was written.
    #[error("it is empty: write a name such as app:v1")]
    Empty,
    /// It is a reference but for its upper case.
    #[error("repository name must be lowercase")]
    Uppercase,
    /// 64 hex digits can't name a repository, for they would look like an image ID.
    #[error("a repository cannot be named by 64 hex digits")]
    HexName,
    /// The path of the repository is longer than a registry takes.
    #[error("repository name must not be more than 255 characters")]
    TooLong,
    /// The digest in it is not one.
    #[error(transparent)]
    Digest(#[from] InvalidDigest),
    /// Anything else that the grammar does not allow.
    #[error("write it as [registry[:port]/]repository[:tag][@digest]")]
    Format,
}

impl Reference {
    /// Reads what a person may write and completes it: `app` becomes `docker.io/library/app`, without a tag.
    pub fn normalize(text: &str) -> Result<Self, InvalidReference> {
        if text.is_empty() {
            return Err(InvalidReference::Empty);
        }
        if text.len() == 64 && text.bytes().all(is_lower_hex) {
            return Err(InvalidReference::HexName);
        }
        let (domain, remainder) = split_domain(text);
        let name = remainder.split([':', '@']).next().unwrap_or_default();
        if name.to_lowercase() != name {
            return Err(InvalidReference::Uppercase);
        }
        let official = domain == DEFAULT_DOMAIN && !remainder.contains('/');
        let prefix = if official { OFFICIAL_PREFIX } else { "" };
        format!("{domain}/{prefix}{remainder}").parse()
    }

    /// Reads a name in canonical form; none if it isn't one, even if [`Self::normalize`] could complete it.
    pub fn canonical(text: &str) -> Option<Self> {
        Self::normalize(text).ok().filter(|reference| reference.to_string() == text)
    }

    /// The reference with the tag `latest` where it has neither tag nor digest.
    pub fn or_latest(mut self) -> Self {
        if self.tag.is_none() && self.digest.is_none() {
            self.tag = Some(DEFAULT_TAG.into());
        }
        self
    }

    /// The reference with this digest.
    pub fn at(mut self, digest: Digest) -> Self {
        self.digest = Some(digest);
        self
    }

    /// The repository.
    pub const fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The tag, if one was written.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest, if one was written.
    pub const fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// The short form that people type: `app:v1` for `docker.io/library/app:v1`.
    pub fn familiar(&self) -> Familiar<'_> {
        Familiar(self)
    }

    fn write_suffix(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        if let Some(digest) = &self.digest {
            write!(f, "@{digest}")?;
        }
        Ok(())
    }
}

impl Repository {
    /// The short form: without Docker Hub's domain and without its `library/`.
    pub fn familiar(&self) -> FamiliarRepository<'_> {
        FamiliarRepository(self)
    }
}

/// The grammar alone, without completing anything.
impl FromStr for Reference {
    type Err = InvalidReference;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Err(InvalidReference::Empty);
        }
        let Some(parts) = Parts::split(text) else {
            return Err(match Parts::split(&text.to_lowercase()) {
                Some(_) => InvalidReference::Uppercase,
                None => InvalidReference::Format,
            });
        };
        if parts.path.len() > PATH_MAX {
            return Err(InvalidReference::TooLong);
        }
        Ok(Self {
            repository: Repository { domain: parts.domain.into(), path: parts.path.into() },
            tag: parts.tag.map(Into::into),
            digest: parts.digest.map(str::parse).transpose()?,
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.repository)?;
        self.write_suffix(f)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.domain.is_empty() {
            return f.write_str(&self.path);
        }
        write!(f, "{}/{}", self.domain, self.path)
    }
}

/// A [`Reference`] that displays in its familiar form.
pub struct Familiar<'a>(&'a Reference);

impl fmt::Display for Familiar<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.repository.familiar())?;
        self.0.write_suffix(f)
    }
}

/// A [`Repository`] that displays in its familiar form.
pub struct FamiliarRepository<'a>(&'a Repository);

impl fmt::Display for FamiliarRepository<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if &*self.0.domain != DEFAULT_DOMAIN {
            return self.0.fmt(f);
        }
        let official = self.0.path.strip_prefix(OFFICIAL_PREFIX).filter(|path| !path.contains('/'));
        f.write_str(official.unwrap_or(&self.0.path))
    }
}

/// The parts of a reference that satisfies the grammar. The digest is only as well-formed as the grammar asks.
struct Parts<'a> {
    domain: &'a str,
    path: &'a str,
    tag: Option<&'a str>,
    digest: Option<&'a str>,
}

impl<'a> Parts<'a> {
    fn split(text: &'a str) -> Option<Self> {
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(digest)),
            None => (text, None),
        };
        let path_start = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest[path_start..].rfind(':') {
            Some(colon) => (&rest[..path_start + colon], Some(&rest[path_start + colon + 1..])),
            None => (rest, None),
        };
        if !tag.is_none_or(is_tag) || !digest.is_none_or(is_digest) {
            return None;
        }
        let (domain, path) = match name.split_once('/') {
            Some((domain, path)) if is_domain(domain) && is_path(path) => (domain, path),
            _ if is_path(name) => ("", name),
            _ => return None,
        };
        Some(Self { domain, path, tag, digest })
    }
}

/// Docker's rule for where a registry ends and a path begins.
fn split_domain(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        Some((LEGACY_DEFAULT_DOMAIN, path)) => (DEFAULT_DOMAIN, path),
        Some((domain, path))
            if domain == "localhost" || domain.contains(['.', ':']) || domain.to_lowercase() != domain =>
        {
            (domain, path)
        }
        _ => (DEFAULT_DOMAIN, text),
    }
}

fn is_domain(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, after)) => {
                return !address.is_empty()
                    && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':')
                    && (after.is_empty() || after.strip_prefix(':').is_some_and(is_port));
            }
            None => return false,
        },
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    host.split('.').all(is_domain_component) && port.is_none_or(is_port)
}

fn is_port(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_domain_component(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        && !text.starts_with('-')
        && !text.ends_with('-')
}

fn is_path(text: &str) -> bool {
    text.split('/').all(is_path_component)
}

/// Runs of lowercase letters and digits, with `.`, `_`, `__` or any number of `-` between two of them.
fn is_path_component(text: &str) -> bool {
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = text.as_bytes();
    let (Some(&first), Some(&last)) = (bytes.first(), bytes.last()) else {
        return false;
    };
    alphanumeric(first)
        && alphanumeric(last)
        && bytes.split(|&b| alphanumeric(b)).all(|separator| {
            matches!(separator, b"" | b"." | b"_" | b"__") || separator.iter().all(|&b| b == b'-')
        })
}

fn is_tag(text: &str) -> bool {
    let word = |b: u8| b.is_ascii_alphanumeric() || b == b'_';
    text.len() <= TAG_MAX
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|b| word(b) || matches!(b, b'.' | b'-'))
}

fn is_digest(text: &str) -> bool {
    let Some((algorithm, encoded)) = text.split_once(':') else {
        return false;
    };
    let component = |part: &str| {
        part.bytes().next().is_some_and(|b| b.is_ascii_alphabetic())
            && part.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    algorithm.split(['-', '_', '+', '.']).all(component)
        && encoded.len() >= DIGEST_HEX_MIN
        && encoded.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests;
