//! Tables that people read: without borders, as wide as the terminal, and never wrapped where there is none.

use anstyle::AnsiColor;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Row};

use super::screen::Screen;
use crate::plain::plain;

/// The space between two columns.
const GAP: u16 = 2;

/// A column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    title: &'static str,
    kind: Kind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Word,
    Number,
}

impl Column {
    /// Names and sentences, wrapped between words or, where a word is too long, inside it.
    pub const fn text(title: &'static str) -> Self {
        let kind = Kind::Text;
        Self { title, kind }
    }

    /// A word, never wrapped.
    pub const fn word(title: &'static str) -> Self {
        let kind = Kind::Word;
        Self { title, kind }
    }

    /// A number, on the right and never wrapped.
    pub const fn number(title: &'static str) -> Self {
        let kind = Kind::Number;
        Self { title, kind }
    }
}

/// What is in a column of a row, in lines of their own.
#[derive(Debug, Clone)]
pub struct Cell(Vec<String>);

impl From<&str> for Cell {
    fn from(line: &str) -> Self {
        Self(vec![plain(line).into_owned()])
    }
}

impl From<String> for Cell {
    fn from(line: String) -> Self {
        line.as_str().into()
    }
}

impl From<Vec<String>> for Cell {
    fn from(lines: Vec<String>) -> Self {
        Self(lines.iter().map(|line| plain(line).into_owned()).collect())
    }
}

/// A table in the making.
#[derive(Debug)]
pub struct Table {
    columns: Vec<Column>,
    rows: Vec<Vec<Cell>>,
    paint: Option<Paint>,
}

/// The colours of a column's words.
#[derive(Debug)]
struct Paint {
    title: &'static str,
    colour: fn(&str) -> Option<AnsiColor>,
}

impl Table {
    /// An empty table.
    pub fn new(columns: impl Into<Vec<Column>>) -> Self {
        Self { columns: columns.into(), rows: Vec::new(), paint: None }
    }

    /// Gives colours to the words of a column.
    pub fn paint(mut self, title: &'static str, colour: fn(&str) -> Option<AnsiColor>) -> Self {
        self.paint = Some(Paint { title, colour });
        self
    }

    /// Adds a row.
    pub fn add<const N: usize>(&mut self, row: [Cell; N]) {
        self.rows.push(row.into());
    }

    /// The table as text; nothing where it has no row.
    pub fn render(&self, screen: Screen) -> String {
        if self.rows.is_empty() {
            return String::new();
        }
        let mut table = comfy_table::Table::new();
        table.load_style(comfy_table::presets::NOTHING);
        table.set_header(Row::from(self.columns.iter().map(|column| column.title).collect::<Vec<_>>()));
        for row in &self.rows {
            table.add_row(Row::from(row.iter().map(|Cell(lines)| lines.join("\n")).collect::<Vec<_>>()));
        }
        match screen.width {
            Some(width) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width),
            None => table.set_content_arrangement(ContentArrangement::Disabled),
        };
        for (column, drawn) in self.columns.iter().zip(table.column_iter_mut()) {
            drawn.set_padding((0, GAP));
            match column.kind {
                Kind::Text => {}
                Kind::Word => {
                    drawn.set_constraint(ColumnConstraint::ContentWidth);
                }
                Kind::Number => {
                    drawn.set_constraint(ColumnConstraint::ContentWidth);
                    drawn.set_cell_alignment(CellAlignment::Right);
                }
            }
        }
        let lines: Vec<String> = table.lines().map(|line| line.trim_end().to_owned()).collect();
        self.painted(lines, screen).into_iter().map(|line| line + "\n").collect()
    }

    /// A column of words starts on every line where its title starts on the first.
    fn painted(&self, mut lines: Vec<String>, screen: Screen) -> Vec<String> {
        let Some(Paint { title, colour }) = &self.paint else {
            return lines;
        };
        let Some(start) = lines.first().and_then(|header| header.find(*title)) else {
            return lines;
        };
        for line in lines.iter_mut().skip(1) {
            let Some((before, rest)) = line.split_at_checked(start) else {
                continue;
            };
            let word = rest.split(' ').next().unwrap_or_default();
            if let Some(colour) = colour(word) {
                *line = format!("{before}{}{}", screen.paint(word, colour), &rest[word.len()..]);
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let columns =
            [Column::text("IMAGE"), Column::word("OUTCOME"), Column::number("SIZE"), Column::text("WHAT")];
        let mut table =
            Table::new(columns).paint("OUTCOME", |word| (word == "Failed").then_some(AnsiColor::Red));
        let happened = ["untagged app:v1", "deleted 276aff71fc50"].map(str::to_owned);
        table.add(["app:v1".into(), "Deleted".into(), "1.9Mi".into(), happened.to_vec().into()]);
        table.add(
            [
                "registry.example.com:5000/acme/team/service/api:1.2.3",
                "Failed",
                "0",
                "something went wrong with this image, and it takes a while to say what",
            ]
            .map(Cell::from),
        );
        table
    }

    fn terminal(width: u16) -> Screen {
        let (width, colours) = (Some(width), false);
        Screen { width, colours }
    }

    #[test]
    fn a_table_fits_into_80_columns() {
        let expected = "\
IMAGE                           OUTCOME   SIZE  WHAT
app:v1                          Deleted  1.9Mi  untagged app:v1
                                                deleted 276aff71fc50
registry.example.com:5000/acme  Failed       0  something went wrong with this
/team/service/api:1.2.3                         image, and it takes a while to
                                                say what
";
        assert_eq!(table().render(terminal(80)), expected);
    }

    #[test]
    fn a_table_fits_into_40_columns() {
        let text = table().render(terminal(40));
        assert!(text.lines().all(|line| line.chars().count() <= 40), "{text}");
    }

    #[test]
    fn without_a_terminal_nothing_is_wrapped() {
        let expected = "\
IMAGE                                                  OUTCOME   SIZE  WHAT
app:v1                                                 Deleted  1.9Mi  untagged app:v1
                                                                       deleted 276aff71fc50
registry.example.com:5000/acme/team/service/api:1.2.3  Failed       0  something went wrong with this image, and it takes a while to say what
";
        let screen = Screen { width: None, colours: false };
        assert_eq!(table().render(screen), expected);
    }

    #[test]
    fn a_hostile_name_stays_in_its_line() {
        let mut table = Table::new([Column::text("IMAGE"), Column::word("OUTCOME")]);
        table.add(["odd\nother:v1  Deleted\u{1b}[2J\u{202e}\u{9b}".into(), "Failed".into()]);
        let expected = "\
IMAGE                                          OUTCOME
odd\\nother:v1  Deleted\\u{1b}[2J\\u{202e}\\u{9b}  Failed
";
        assert_eq!(table.render(Screen { width: None, colours: false }), expected);
    }

    #[test]
    fn colours_change_nothing_but_the_word() {
        let colours = Screen { width: Some(80), colours: true };
        let painted = table().render(colours);
        let red = "\u{1b}[1m\u{1b}[31mFailed\u{1b}[0m";
        assert_eq!(painted.matches('\u{1b}').count(), 3, "{painted:?}");
        assert_eq!(painted.replace(red, "Failed"), table().render(terminal(80)));
    }
}
