//! JSON, one level at a time: what is not asked for is skipped without being kept, however deep it is.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::image::{Digest, Flaw};

/// The members of an object that were asked for, as they are written there. `null` is no member.
#[derive(Debug)]
pub(super) struct Members<'a, const N: usize>(pub(super) [Option<&'a str>; N]);

impl<'a, const N: usize> Members<'a, N> {
    /// The members of these names. Go, in which containerd is written, takes any spelling of a name and the last of two members,
    /// so a text with either is ambiguous. One that is no object has the flaw `otherwise`.
    pub(super) fn of(object: &'a str, names: [&str; N], otherwise: Flaw) -> Result<Self, Flaw> {
        let mut reader = serde_json::Deserializer::from_str(object);
        let found = Object(names).deserialize(&mut reader).map_err(|_| otherwise)?;
        reader.end().map_err(|_| otherwise)?;
        found.map(Self)
    }
}

/// The elements of an array as they are written there, at most so many.
pub(super) fn elements(array: &str, limit: usize) -> Result<Vec<&str>, Flaw> {
    let mut reader = serde_json::Deserializer::from_str(array);
    Array(limit).deserialize(&mut reader).map_err(|_| Flaw::Shape)?
}

/// A digest, from a string.
pub(super) fn digest(string: &str) -> Result<Digest, Flaw> {
    let text: Cow<'_, str> = serde_json::from_str(string).map_err(|_| Flaw::Shape)?;
    text.parse().map_err(|_| Flaw::Shape)
}

struct Object<'n, const N: usize>([&'n str; N]);

impl<'de, const N: usize> DeserializeSeed<'de> for Object<'_, N> {
    type Value = Result<[Option<&'de str>; N], Flaw>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de, const N: usize> Visitor<'de> for Object<'_, N> {
    type Value = Result<[Option<&'de str>; N], Flaw>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = [None; N];
        let mut is_ambiguous = false;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match self.0.iter().position(|name| is_spelling_of(&key, name)) {
                Some(place) => {
                    let value = map.next_value::<&'de RawValue>()?.get();
                    is_ambiguous |= *key != *self.0[place] || found[place].is_some();
                    found[place] = Some(value);
                }
                None => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        let present = found.map(|value| value.filter(|value| *value != "null"));
        Ok(if is_ambiguous { Err(Flaw::Ambiguous) } else { Ok(present) })
    }
}

/// Whether Go would take a member of that name for the other: it folds case, of letters outside ASCII too.
fn is_spelling_of(key: &str, name: &str) -> bool {
    let folded = |text: &str| {
        text.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect::<String>()
    };
    key == name || key.chars().count() == name.chars().count() && folded(key) == name
}

struct Array(usize);

impl<'de> DeserializeSeed<'de> for Array {
    type Value = Result<Vec<&'de str>, Flaw>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Array {
    type Value = Result<Vec<&'de str>, Flaw>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while elements.len() < self.0 {
            match sequence.next_element::<&'de RawValue>()? {
                Some(element) => elements.push(element.get()),
                None => return Ok(Ok(elements)),
            }
        }
        let is_longer = sequence.next_element::<IgnoredAny>()?.is_some();
        while is_longer && sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(if is_longer { Err(Flaw::TooMany(self.0)) } else { Ok(elements) })
    }
}
