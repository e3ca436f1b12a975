//! `secateur prune`.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::args::{Format, Global, Prune};
use super::asked::Asked;
use super::confirm;
use super::delete::show;
use super::error::Error;
use super::exit::Exit;
use super::session::Session;
use crate::image::{Idle, Request, Rules, Scope};

/// Deletes the images that nothing uses.
pub async fn prune(global: &Global, arguments: Prune) -> Result<Exit, Error> {
    let session = Session::open(global, global.output.unwrap_or(Format::Table)).await?;
    let manner = arguments.manner;
    let selection = Selection {
        scope: match arguments.unused {
            true => Scope::Unused,
            false => Scope::Dangling,
        },
        rules: Rules {
            force: false,
            // Whatever is selected goes by itself, and what is not selected stays.
            prune: false,
            protect: [arguments.keep, manner.protect].concat(),
        },
        older_than: arguments.older_than,
    };
    let mut idle = selection.make(&session).await?;
    if !idle.is_empty() && !manner.dry_run && !manner.yes && confirm::can_ask() {
        let results = session.dry_run(&selection.request(&idle)).await?;
        show(&results);
        confirm::ask(&format!("Delete {}?", images(idle.len())))?;
        // A person takes time to answer: only what was shown and is still unused goes, by the names that it had.
        let shown: HashMap<_, _> = idle.into_iter().map(|idle| (idle.image, idle.names)).collect();
        idle = selection.make(&session).await?;
        idle.retain(|idle| shown.get(&idle.image).is_some_and(|names| names.is_superset(&idle.names)));
    }
    if idle.is_empty() {
        session.note("nothing to prune");
    }
    let request = selection.request(&idle);
    let asked = Asked::found(request.entries.clone());
    session.carry_out(&request, &asked, manner.dry_run).await
}

/// What is to be pruned.
struct Selection {
    scope: Scope,
    rules: Rules,
    older_than: Option<SignedDuration>,
}

impl Selection {
    async fn make(&self, session: &Session) -> Result<Vec<Idle>, Error> {
        let changed_before =
            self.older_than.map(|age| Timestamp::now().saturating_sub(age).unwrap_or(Timestamp::MIN));
        Ok(session.node.idle(self.scope, &session.guarded(&self.rules), changed_before).await?)
    }

    fn request(&self, idle: &[Idle]) -> Request {
        Request { entries: idle.iter().map(Idle::entry).collect(), rules: self.rules.clone() }
    }
}

fn images(number: usize) -> String {
    match number {
        1 => "1 image".to_owned(),
        _ => format!("{number} images"),
    }
}
