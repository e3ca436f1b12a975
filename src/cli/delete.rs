//! `secateur delete`.

use super::answer::{Answer, table};
use super::args::{Delete, Format, Global};
use super::asked::Asked;
use super::confirm;
use super::error::Error;
use super::exit::Exit;
use super::screen::{self, Screen};
use super::session::{Session, print};
use crate::conversion::image_result;
use crate::image::{Removal, Request, Rules};
use crate::node::EntryResult;

/// Deletes what the arguments name.
pub async fn delete(global: &Global, arguments: Delete) -> Result<Exit, Error> {
    let format = global.output.unwrap_or(Format::Table);
    let asked = Asked::read(&arguments.references);
    let request = Request {
        entries: asked.entries(),
        rules: Rules {
            force: arguments.force,
            prune: !arguments.no_prune,
            protect: arguments.manner.protect,
        },
    };
    if request.entries.is_empty() {
        let answer = Answer { results: asked.answer(&[]), ..Answer::default() };
        return print(format, &answer);
    }
    let session = Session::open(global, format).await?;
    let takes_much = arguments.force || asked.has_pattern();
    if takes_much && !arguments.manner.dry_run && !arguments.manner.yes && confirm::can_ask() {
        let mut shown = session.dry_run(&request).await?;
        while removes_any(&shown) {
            show(&shown);
            confirm::ask("Delete this?")?;
            // A person takes time to answer: only what was shown goes.
            let now = session.dry_run(&request).await?;
            if removals(&now).eq(removals(&shown)) {
                break;
            }
            session.note("meanwhile this has changed:");
            shown = now;
        }
    }
    session.carry_out(&request, &asked, arguments.manner.dry_run).await
}

/// Whether there is anything to ask about.
fn removes_any(results: &[EntryResult]) -> bool {
    removals(results).next().is_some()
}

fn removals(results: &[EntryResult]) -> impl Iterator<Item = &Removal> {
    results.iter().flat_map(|result| &result.removals)
}

/// Shows a person on stderr what would be deleted.
pub fn show(results: &[EntryResult]) {
    let results: Vec<_> = results.iter().map(image_result).collect();
    screen::show(table(&results, Screen::stderr()));
}
