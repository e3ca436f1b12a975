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
