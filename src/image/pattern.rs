//! Patterns: many references named at once. The same matcher serves what is deleted and what is protected.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use globset::{GlobBuilder, GlobMatcher};
use thiserror::Error;

use super::reference::Reference;

/// A pattern over references: `*` and `?` within one path component or tag, `**` across slashes, `{a,b}` for either.
///
/// It has the parts of a reference, `repository[:tag][@digest]`. A part that was not written matches anything: `ghcr.io/acme/**`
/// is every tag of every repository there. The repository is tried in its canonical and in its familiar form, so a registry
/// must be written with its port to be matched. A repository that is a name and nothing more is completed as names are:
/// `docker.io/app:*` is `docker.io/library/app:*`.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: Box<str>,
    repository: GlobMatcher,
    tag: Option<GlobMatcher>,
    digest: Option<GlobMatcher>,
}

/// Why a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidPattern {
    /// Nothing was written.
    #[error("it is empty: write a pattern such as ghcr.io/acme/**")]
    Empty,
    /// Something that no reference can contain.
    #[error("a reference has no {0:?} in it")]
    Character(char),
    /// A brace without its other half, nothing in it, or another pair.
    #[error("every {{ of a pattern needs its own }}: write {{a,b}}, without another {{ in it")]
    Unpaired,
    /// No repository has such slashes.
    #[error("it must not begin or end with a slash, nor have two together")]
    Slashes,
    /// Repositories have none.
    #[error("repository name must be lowercase")]
    Uppercase,
    /// Braces hold more than one part of a reference.
    #[error("`:` and `@` cannot stand inside braces: write one pattern for each")]
    Braces,
    /// `**` beside something else in a path component.
    #[error("`**` stands for whole path components: write it between slashes, as in ghcr.io/acme/**")]
    PartialComponents,
    /// The glob itself is wrong.
    #[error("{0}")]
    Glob(String),
}

impl Pattern {
    /// Whether a text is a pattern: it contains what no reference can contain.
    pub fn is_pattern(text: &str) -> bool {
        text.contains(['*', '?', '{', '}'])
    }

    /// What matches an image by its name in a pod and nothing else. A name with a tag and a digest is known on the node by each.
    pub fn of(image: &str) -> Vec<Self> {
        let (named, digest) =
            image.split_once('@').map_or((image, None), |(named, digest)| (named, Some(digest)));
        let repository = match named.rsplit_once(':') {
            Some((repository, tag)) if !tag.contains('/') => repository,
            _ => named,
        };
        let by_digest = digest.map(|digest| format!("{repository}@{digest}"));
        let by_tag = (digest.is_none() || named != repository).then(|| named.to_owned());
        by_tag.into_iter().chain(by_digest).filter_map(|pattern| pattern.parse().ok()).collect()
    }

    /// Whether the reference matches.
    pub fn matches(&self, reference: &Reference) -> bool {
        let part = |glob: &Option<GlobMatcher>, part: Option<&str>| {
            glob.as_ref().is_none_or(|glob| part.is_some_and(|part| glob.is_match(part)))
        };
        let repository = reference.repository();
        let canonical = repository.to_string();
        let is_familiar = || {
            let familiar = repository.familiar().to_string();
            familiar != canonical && self.repository.is_match(familiar)
        };
        part(&self.tag, reference.tag())
            && part(&self.digest, reference.digest().map(|digest| digest.as_str()))
            && (self.repository.is_match(&canonical) || is_familiar())
    }
}

impl FromStr for Pattern {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        check(text)?;
        let (rest, digest) = text.split_once('@').map_or((text, None), |(rest, digest)| (rest, Some(digest)));
        let path_start = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (repository, tag) = match rest[path_start..].rfind(':') {
            Some(colon) => (&rest[..path_start + colon], Some(&rest[path_start + colon + 1..])),
            None => (rest, None),
        };
        Ok(Self {
            text: text.into(),
            repository: glob(&completed(repository))?,
            tag: tag.map(glob).transpose()?,
            digest: digest.map(glob).transpose()?,
        })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// What the rules of an `ImageDeletion`'s entries say of patterns too; of a text that one refuses, the others are not asked.
fn check(text: &str) -> Result<(), InvalidPattern> {
    if text.is_empty() {
        return Err(InvalidPattern::Empty);
    }
    let foreign = |c: &char| !c.is_ascii_alphanumeric() && !"._-/:@*?{},".contains(*c);
    if let Some(character) = without_address(text).chars().find(foreign) {
        return Err(InvalidPattern::Character(character));
    }
    let alternatives = inside_braces(text).ok_or(InvalidPattern::Unpaired)?;
    if text.starts_with('/') || text.ends_with('/') || text.contains("//") {
        return Err(InvalidPattern::Slashes);
    }
    if path_of(text).contains(|c: char| c.is_ascii_uppercase()) {
        return Err(InvalidPattern::Uppercase);
    }
    if alternatives.iter().any(|inside| inside.contains([':', '@'])) {
        return Err(InvalidPattern::Braces);
    }
    Ok(())
}

/// A registry can be an IPv6 address; nothing else has brackets.
fn without_address(text: &str) -> &str {
    let address = text.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    let is_address =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
    address.filter(|(address, _)| is_address(address)).map_or(text, |(_, rest)| rest)
}

/// The repository without its first component, which may be a registry.
fn path_of(text: &str) -> &str {
    let rest = without_address(text);
    let end_of = |part: &str| part.find([':', '@']).unwrap_or(part.len());
    let host = end_of(rest);
    let has_port = rest[host..]
        .strip_prefix(':')
        .and_then(|rest| rest.split_once('/'))
        .filter(|(port, _)| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()));
    match has_port {
        Some((_, path)) => &path[..end_of(path)],
        None => rest[..host].split_once('/').map_or("", |(_, path)| path),
    }
}

/// What is inside each pair of braces; none where one lacks its other half, has nothing in it, or another pair.
fn inside_braces(text: &str) -> Option<Vec<&str>> {
    let is_outside = |part: &str| !part.contains('}');
    let mut parts = text.split('{');
    parts.next().filter(|part| is_outside(part))?;
    let inside = parts.map(|part| {
        let (inside, after) = part.split_once('}')?;
        (!inside.is_empty() && is_outside(after)).then_some(inside)
    });
    inside.collect()
}

/// A name as the canonical form has it, without a tag and a digest; anything else as it is.
fn completed(repository: &str) -> Cow<'_, str> {
    if repository.contains(['*', '?', '{']) {
        return repository.into();
    }
    let name = Reference::normalize(repository).map(|reference| reference.repository().to_string());
    name.map_or(repository.into(), Cow::Owned)
}

/// A registry can be an IPv6 address, so brackets are no character class here.
fn glob(text: &str) -> Result<GlobMatcher, InvalidPattern> {
    if has_partial_components(text) {
        return Err(InvalidPattern::PartialComponents);
    }
    let escaped = text.replace('[', "\\[").replace(']', "\\]");
    GlobBuilder::new(&escaped)
        .literal_separator(true)
        .empty_alternates(true)
        .backslash_escape(true)
        .build()
        .map(|glob| glob.compile_matcher())
        .map_err(|error| InvalidPattern::Glob(error.kind().to_string()))
}

/// Where `**` does not fill a path component, the glob crate takes it for `*`.
fn has_partial_components(text: &str) -> bool {
    text.match_indices("**").any(|(start, stars)| {
        let before = text[..start].chars().next_back();
        let after = text[start + stars.len()..].chars().next();
        !before.is_none_or(|c| "/{,".contains(c)) || !after.is_none_or(|c| "/},".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_matches_part_by_part() {
        let digest = format!("sha256:{}", "a1".repeat(32));
        let by_digest = format!("ghcr.io/acme/api@{digest}");
        let both = format!("ghcr.io/acme/api:1@{digest}");
        let rows = [
            ("ghcr.io/acme/**:1.2.*", "ghcr.io/acme/api:1.2.3", true),
            ("ghcr.io/acme/**:1.2.*", "ghcr.io/acme/team/api:1.2.3", true),
            ("ghcr.io/acme/**:1.2.*", "ghcr.io/acme/api:1.3.0", false),
            ("ghcr.io/acme/**:1.2.*", "ghcr.io/other/api:1.2.3", false),
            ("ghcr.io/acme/*:1", "ghcr.io/acme/team/api:1", false),
            ("ghcr.io/acme/*", "ghcr.io/acme/api:anything", true),
            ("ghcr.io/acme/*", by_digest.as_str(), true),
            ("ghcr.io/acme/*:*", by_digest.as_str(), false),
            ("ghcr.io/acme/*@sha256:a1*", by_digest.as_str(), true),
            ("ghcr.io/acme/*:1", both.as_str(), true),
            ("app:*", "docker.io/library/app:v1", true),
            ("docker.io/library/app:*", "docker.io/library/app:v1", true),
            ("app:*", "ghcr.io/app:v1", false),
            ("app:v?", "docker.io/library/app:v1", true),
            ("app:v?", "docker.io/library/app:v10", false),
            ("app:{v1,v2}", "docker.io/library/app:v2", true),
            ("{app,api}:v1", "docker.io/library/api:v1", true),
            ("*", "docker.io/library/app:v1", true),
            ("*", "ghcr.io/acme/app:v1", false),
            ("**", "ghcr.io/acme/app:v1", true),
            ("registry.k8s.io/**", "registry.k8s.io/pause:3.9", true),
            // A registry with a port is that registry only.
            ("localhost:5000/app:*", "localhost:5000/app:v1", true),
            ("localhost:5000/app:*", "localhost/app:v1", false),
            ("localhost:5000/**", "localhost:5001/app:v1", false),
            ("localhost/**", "localhost:5000/app:v1", false),
            ("ghcr.io/acme/{api,web/**}", "ghcr.io/acme/web/a/b:1", true),
            ("ghcr.io/acme/{api,web/**}", "ghcr.io/acme/web2/a:1", false),
            ("{ghcr.io/acme,docker.io/library}/app:v1", "docker.io/library/app:v1", true),
            ("ghcr.io/**/api", "ghcr.io/api:1", true),
            ("ghcr.io/**/api", "ghcr.io/a/b/api:1", true),
            ("**/app:**", "docker.io/library/app:v1", true),
            ("*:5000/**", "localhost:5000/a/b:v1", true),
            ("[::1]:5000/*:v1", "[::1]:5000/app:v1", true),
            ("app{,-debug}:v1", "docker.io/library/app:v1", true),
            ("app{,-debug}:v1", "docker.io/library/app-debug:v1", true),
            // What is no more than a name is completed as names are.
            ("docker.io/app:*", "docker.io/library/app:v1", true),
            ("docker.io/app", "docker.io/library/app:v1", true),
            ("index.docker.io/acme/app", "docker.io/acme/app:v1", true),
            ("docker.io/*:v1", "docker.io/library/app:v1", false),
        ];
        for (pattern, reference, verdict) in rows {
            let pattern: Pattern = pattern.parse().unwrap();
            assert_eq!(pattern.matches(&reference.parse().unwrap()), verdict, "{pattern} on {reference}");
        }
    }

    #[test]
    fn what_is_no_pattern_is_refused_with_a_reason() {
        let refused = |text: &str| text.parse::<Pattern>().err();
        assert_eq!(refused(""), Some(InvalidPattern::Empty));
        assert_eq!(refused("{app:v1,api:v2}"), Some(InvalidPattern::Braces));
        assert_eq!(refused("app *"), Some(InvalidPattern::Character(' ')));
        for text in ["ghcr.io/acme**", "ghcr.io/**api", "a***", "app:v**", "app@**a1", "localhost:**/app"] {
            assert_eq!(refused(text), Some(InvalidPattern::PartialComponents), "{text}");
        }
        assert_eq!(refused("app+*"), Some(InvalidPattern::Character('+')));
        assert_eq!(refused("app[ab]*"), Some(InvalidPattern::Character('[')));
        for text in ["app:{v1", "app:v1}", "{}", "{a,{b,c}}", "}{"] {
            assert_eq!(refused(text), Some(InvalidPattern::Unpaired), "{text}");
        }
        for text in ["/app*", "app*/", "a//*"] {
            assert_eq!(refused(text), Some(InvalidPattern::Slashes), "{text}");
        }
        for text in ["acme/A*", "ghcr.io/*/Api", "localhost:5000/A*:v1", "[::1]/A*"] {
            assert_eq!(refused(text), Some(InvalidPattern::Uppercase), "{text}");
        }
    }

    #[test]
    fn the_name_of_an_image_matches_by_its_tag_and_by_its_digest() {
        let digest = format!("sha256:{}", "a1".repeat(32));
        let (with_tag, without) = (format!("host:5000/app:v1@{digest}"), format!("host:5000/app@{digest}"));
        let rows: [(&str, &[&str]); 4] = [
            ("host:5000/app:v1", &["host:5000/app:v1"]),
            ("host:5000/app", &["host:5000/app"]),
            (&with_tag, &["host:5000/app:v1", &without]),
            (&without, &[&without]),
        ];
        for (image, expected) in rows {
            let found: Vec<_> = Pattern::of(image).iter().map(ToString::to_string).collect();
            assert_eq!(found, expected, "{image}");
        }
    }
}
