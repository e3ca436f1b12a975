//! Text from strangers, made fit for a terminal, a log and an Event: names of images can have anything in them.
//!
//! What does not print is written as Rust writes it in a string: line breaks, escape sequences, marks that turn the direction of
//! writing, characters without width. Data keep what they are; only what a person reads goes through here.

use std::borrow::Cow;
use std::fmt::Write as _;

/// The text in one line, and nothing in it but what prints.
pub fn plain(text: &str) -> Cow<'_, str> {
    if is_plain_ascii(text) || text.chars().all(prints) {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    for character in text.chars() {
        match prints(character) {
            true => plain.push(character),
            false => plain.extend(character.escape_debug()),
        }
    }
    Cow::Owned(plain)
}

/// The same JSON document, and nothing in it but what prints and the lines that it is laid out in.
pub fn plain_json(document: &str) -> Cow<'_, str> {
    let stays = |character: char| character == '\n' || prints(character);
    if is_plain_ascii(document) || document.chars().all(stays) {
        return Cow::Borrowed(document);
    }
    let mut plain = String::with_capacity(document.len());
    for character in document.chars() {
        if stays(character) {
            plain.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            // Writing to a string does not fail.
            let _ = write!(plain, "\\u{unit:04x}");
        }
    }
    Cow::Owned(plain)
}

/// The body of a request that applies a JSON document. The API server reads it as YAML, which has no control characters where JSON
/// has some in its strings.
pub fn plain_body(json: Vec<u8>) -> Vec<u8> {
    match str::from_utf8(&json) {
        Ok(text) => plain_json(text).into_owned().into_bytes(),
        Err(_) => json,
    }
}

/// What most texts are, found out soon.
fn is_plain_ascii(text: &str) -> bool {
    text.bytes().all(|byte| matches!(byte, b' '..=b'~'))
}

/// Whether a character is seen as itself, wherever it is written.
fn prints(character: char) -> bool {
    matches!(character, '"' | '\'' | '\\') || character.escape_debug().len() == 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What must never come out: whatever ends a line, moves a cursor, turns the direction or is not seen.
    fn is_harmful(character: char) -> bool {
        character.is_control()
            || matches!(character, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
            || matches!(character, '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
    }

    fn hostile() -> impl Strategy<Value = String> {
        let harmful = prop::sample::select(
            &[
                '\n',
                '\r',
                '\t',
                '\0',
                '\u{7}',
                '\u{8}',
                '\u{1b}',
                '\u{7f}',
                '\u{85}',
                '\u{9b}',
                '\u{9d}',
                '\u{200e}',
                '\u{2028}',
                '\u{202e}',
                '\u{2066}',
                '\u{feff}',
                '\u{e0041}',
                '"',
                '\\',
                '\'',
            ][..],
        );
        prop::collection::vec(prop_oneof![harmful, any::<char>()], 0..40)
            .prop_map(|characters| characters.into_iter().collect())
    }

    #[test]
    fn what_does_not_print_is_written_out() {
        let rows = [
            ("docker.io/library/app:v1", "docker.io/library/app:v1"),
            ("it's \"quoted\" in C:\\", "it's \"quoted\" in C:\\"),
            ("caf\u{e9} \u{4e2d}\u{6587}", "caf\u{e9} \u{4e2d}\u{6587}"),
            ("two\nlines\r\n", "two\\nlines\\r\\n"),
            ("\u{1b}[2J\u{1b}]0;title\u{7}", "\\u{1b}[2J\\u{1b}]0;title\\u{7}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("app\u{202e}1v:\u{2066}", "app\\u{202e}1v:\\u{2066}"),
            ("a\u{200b}b\u{feff}", "a\\u{200b}b\\u{feff}"),
        ];
        for (text, expected) in rows {
            assert_eq!(plain(text), expected);
        }
    }

    #[test]
    fn json_stays_the_same_document() {
        let rows = [
            ("{\n  \"a\": \"b\"\n}\n", "{\n  \"a\": \"b\"\n}\n"),
            ("{\"a\":\"\u{9b}\u{7f}\u{202e}\"}", r#"{"a":"\u009b\u007f\u202e"}"#),
            ("{\"a\":\"\u{e0041}\"}", r#"{"a":"\udb40\udc41"}"#),
        ];
        for (json, expected) in rows {
            assert_eq!(plain_json(json), expected);
        }
    }

    proptest! {
        #[test]
        fn nothing_harmful_comes_out(text in hostile()) {
            let plain = plain(&text);
            prop_assert!(!plain.chars().any(is_harmful), "{plain:?}");
            let is_clean = text.chars().all(prints);
            prop_assert_eq!(is_clean, plain == text);
        }

        #[test]
        fn nothing_harmful_is_in_json_and_nothing_is_lost(text in hostile()) {
            let document = serde_json::to_string_pretty(&[&text]).unwrap();
            let plain = plain_json(&document);
            prop_assert!(!plain.chars().any(|c| c != '\n' && is_harmful(c)), "{plain:?}");
            prop_assert_eq!(serde_json::from_str::<[String; 1]>(&plain).unwrap(), [text]);
        }
    }
}
