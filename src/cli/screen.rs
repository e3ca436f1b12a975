//! What stdout and stderr are: a terminal of some width, or not.

use std::env;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;

use anstyle::{AnsiColor, Style};
use terminal_size::{Width, terminal_size_of};

use crate::plain::plain;

/// Where something is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// The columns of the terminal; none where it is no terminal.
    pub width: Option<u16>,
    /// Whether colours may be used.
    pub colours: bool,
}

impl Screen {
    /// Stdout.
    pub fn stdout() -> Self {
        Self::of(&io::stdout())
    }

    /// Stderr.
    pub fn stderr() -> Self {
        Self::of(&io::stderr())
    }

    fn of(stream: &(impl IsTerminal + AsFd)) -> Self {
        let is_set = |name| env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = env::var_os("TERM").is_some_and(|term| term == "dumb");
        match stream.is_terminal() {
            true => Self {
                width: terminal_size_of(stream).map(|(Width(width), _)| width),
                colours: !is_set("NO_COLOR") && !is_dumb,
            },
            false => Self { width: None, colours: false },
        }
    }

    /// The text in a colour, where colours may be used.
    pub fn paint(self, text: &str, colour: AnsiColor) -> String {
        if !self.colours {
            return text.to_owned();
        }
        let style = Style::new().fg_color(Some(colour.into())).bold();
        format!("{style}{text}{style:#}")
    }
}

/// Says something on stderr, in one line. If nobody listens, nobody misses it.
pub fn say(what: impl Display) {
    show(plain(&what.to_string()));
}

/// Says on stderr what went wrong, in one line.
pub fn complain(what: impl Display) {
    mark("error:", AnsiColor::Red, &what.to_string());
}

/// Says on stderr what people should know of what went well, in one line.
pub fn warn(what: impl Display) {
    mark("warning:", AnsiColor::Yellow, &what.to_string());
}

fn mark(word: &str, colour: AnsiColor, what: &str) {
    show(format_args!("{} {}", Screen::stderr().paint(word, colour), plain(what)));
}

/// Writes something to stderr as it is: it was made for a terminal.
pub fn show(what: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{what}");
}
