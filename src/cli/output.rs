//! Data on stdout: a table, JSON or YAML.

use std::borrow::Cow;
use std::io::{self, Write};

use serde::Serialize;

use super::args::Format;
use super::error::Error;
use super::screen::Screen;
use crate::plain::{plain, plain_json};

/// Prints data in a format.
pub fn print(
    format: Format,
    data: &impl Serialize,
    table: impl FnOnce(Screen) -> String,
) -> Result<(), Error> {
    let text = match format {
        Format::Table => table(Screen::stdout()),
        Format::Json => json(data)?,
        Format::Yaml => yaml(data)?,
    };
    write(&text)
}

fn json(data: &impl Serialize) -> Result<String, Error> {
    let text = serde_json::to_string_pretty(data).map_err(|error| Error::Format(error.to_string()))?;
    Ok(plain_json(&text).into_owned() + "\n")
}

/// Where something in the data does not print, it is written as JSON, which is YAML and can escape everything.
fn yaml(data: &impl Serialize) -> Result<String, Error> {
    let text = serde_saphyr::to_string(data).map_err(|error| Error::Format(error.to_string()))?;
    match text.lines().all(|line| matches!(plain(line), Cow::Borrowed(_))) {
        true => Ok(text),
        false => json(data),
    }
}

/// Writes text as it is.
pub fn write(text: &str) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(Error::Print)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hostile() -> impl Strategy<Value = String> {
        let harmful = prop::sample::select(
            &[
                "\n",
                "\r",
                "\u{1b}[2J",
                "\u{85}",
                "\u{9b}31m",
                "\u{2028}",
                "\u{202e}",
                "\u{feff}",
                ": ",
                "- ",
                "'",
                "\"",
                "# ",
                "~",
                "|",
                "yes",
                "\u{7f}",
            ][..],
        );
        prop::collection::vec(prop_oneof![harmful.prop_map(str::to_owned), any::<String>()], 0..6)
            .prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn whatever_is_in_the_data_it_can_be_read_back_and_prints(text in hostile()) {
            let data = [vec![text.clone()], vec![format!("untagged {text}")]];
            let (json, yaml) = (json(&data).unwrap(), yaml(&data).unwrap());
            prop_assert_eq!(&serde_json::from_str::<[Vec<String>; 2]>(&json).unwrap(), &data);
            prop_assert_eq!(&serde_saphyr::from_str::<[Vec<String>; 2]>(&yaml).unwrap(), &data, "{}", yaml);
            for line in json.lines().chain(yaml.lines()) {
                prop_assert_eq!(plain(line), line);
            }
        }
    }
}
