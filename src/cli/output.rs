//! Data on stdout: a table, JSON or YAML.

use std::io::{self, Write};

use serde::Serialize;

use super::args::Format;
use super::error::Error;
use super::screen::Screen;

/// Prints data in a format.
pub fn print(
    format: Format,
    data: &impl Serialize,
    table: impl FnOnce(Screen) -> String,
) -> Result<(), Error> {
    let text = match format {
        Format::Table => table(Screen::stdout()),
        Format::Json => {
            serde_json::to_string_pretty(data).map_err(|error| Error::Format(error.to_string()))? + "\n"
        }
        Format::Yaml => serde_saphyr::to_string(data).map_err(|error| Error::Format(error.to_string()))?,
    };
    write(&text)
}

/// Writes text as it is.
pub fn write(text: &str) -> Result<(), Error> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(Error::Print)
}
