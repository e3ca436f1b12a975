//! A bound on the size of a list, in bytes of JSON.

use serde::Serialize;

use crate::plain::plain;

/// The longest message of a node or a conflict that a status repeats, in characters.
const MAX_MESSAGE: usize = 256;

/// So many bytes to give out. Once something did not fit, nothing is admitted any more, so that what is kept is a
/// beginning and not a selection.
pub(super) struct Budget {
    left: usize,
    exhausted: bool,
}

impl Budget {
    pub(super) fn new(bytes: usize) -> Self {
        Self { left: bytes, exhausted: false }
    }

    /// The item, if there is room for it and a comma.
    pub(super) fn admit<T: Serialize>(&mut self, item: T) -> Option<T> {
        let size = serde_json::to_vec(&item).map_or(usize::MAX, |json| json.len().saturating_add(1));
        self.exhausted |= size > self.left;
        if self.exhausted {
            return None;
        }
        self.left -= size;
        Some(item)
    }

    /// Whether something did not fit.
    pub(super) fn is_exhausted(&self) -> bool {
        self.exhausted
    }
}

/// The name, cut where it has more bytes than any that is real. It is data, so what does not print stays in it. Says whether it is
/// another by that.
pub(super) fn cut_name(bytes: usize, name: &mut String) -> bool {
    if name.len() <= bytes {
        return false;
    }
    name.truncate(name.floor_char_boundary(bytes));
    name.push_str("...");
    true
}

/// The message, cut to the length that a status repeats.
pub(super) fn cut(message: &str) -> String {
    cut_to(MAX_MESSAGE, message)
}

/// The message as it prints, cut where it has more characters.
pub(crate) fn cut_to(characters: usize, message: &str) -> String {
    let message = plain(message);
    match message.char_indices().nth(characters) {
        None => message.into_owned(),
        Some((end, _)) => format!("{}...", &message[..end]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_cut_between_characters() {
        let rows = [
            ("app:v1", "app:v1", false),
            ("app:v1.2", "app:v1.2", false),
            ("app:v1.23", "app:v1.2...", true),
            ("app:v1.\u{e9}", "app:v1....", true),
            ("a\nb\u{1b}", "a\nb\u{1b}", false),
        ];
        for (name, expected, is_another) in rows {
            let mut cut = name.to_owned();
            assert_eq!((cut_name(8, &mut cut), &*cut), (is_another, expected), "{name:?}");
        }
    }
}
