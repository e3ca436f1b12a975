//! `secateur images`.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::args::{Format, Global, Images};
use super::asked::Asked;
use super::error::Error;
use super::exit::Exit;
use super::output;
use super::progress::Bar;
use super::screen::{Screen, complain};
use super::table::{Column, Table};
use crate::api::quantity;
use crate::image::{Container, State};
use crate::node::{Listed, Node};

/// Lists the images and who uses them.
pub async fn images(global: &Global, arguments: Images) -> Result<Exit, Error> {
    let format = global.output.unwrap_or(Format::Table);
    let asked = Asked::read(&arguments.references);
    asked.refused().for_each(complain);
    let invalid = match asked.refused().next() {
        Some(_) => Exit::Usage,
        None => Exit::Done,
    };
    if asked.entries().is_empty() && invalid == Exit::Usage {
        return Ok(invalid);
    }
    let node = Node::connect(&global.address, &global.namespace).await?;
    let bar = Bar::start("reading the node");
    let catalog = node.catalog(&asked.entries()).await?;
    drop(bar);

    let now = Timestamp::now();
    let list = List { images: catalog.images.iter().map(Image::from).collect() };
    output::print(format, &list, |screen| table(&catalog.images, now, screen))?;
    catalog.refused.iter().for_each(complain);
    let absent = match catalog.refused.is_empty() {
        true => Exit::Done,
        false => Exit::Absent,
    };
    Ok(Exit::worst([invalid, absent]))
}

#[derive(Serialize)]
struct List {
    images: Vec<Image>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Image {
    id: String,
    configs: Vec<String>,
    names: Vec<String>,
    created: Timestamp,
    unique_bytes: u64,
    shared_bytes: u64,
    pinned: bool,
    dangling: bool,
    used_by: Vec<User>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct User {
    id: String,
    running: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pod: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    container: Option<String>,
}

impl From<&Listed> for Image {
    fn from(listed: &Listed) -> Self {
        Self {
            id: listed.image.to_string(),
            configs: listed.configs.clone(),
            names: listed.names.clone(),
            created: listed.created,
            unique_bytes: listed.size.unique,
            shared_bytes: listed.size.shared,
            pinned: listed.pinned,
            dangling: listed.dangling,
            used_by: listed.containers.iter().map(|container| User::from(&**container)).collect(),
        }
    }
}

impl From<&Container> for User {
    fn from(container: &Container) -> Self {
        let owner = container.owner.as_ref();
        Self {
            id: container.id.to_string(),
            running: container.state == State::Running,
            namespace: owner.map(|owner| owner.namespace.to_string()),
            pod: owner.map(|owner| owner.pod.to_string()),
            container: owner.and_then(|owner| owner.container.as_ref().map(ToString::to_string)),
        }
    }
}

fn table(images: &[Listed], now: Timestamp, screen: Screen) -> String {
    let columns = [
        Column::text("IMAGE"),
        Column::word("ID"),
        Column::number("UNIQUE"),
        Column::number("SHARED"),
        Column::number("AGE"),
        Column::text("USED BY"),
    ];
    let mut table = Table::new(columns);
    for listed in images {
        table.add([
            match &listed.names[..] {
                [] => "(dangling)".into(),
                names => names.iter().map(|name| short_name(name)).collect::<Vec<_>>().into(),
            },
            listed.image.short().into(),
            quantity::human(listed.size.unique).into(),
            quantity::human(listed.size.shared).into(),
            age(now.duration_since(listed.created)).into(),
            keepers(listed).into(),
        ]);
    }
    table.render(screen)
}

/// A digest in a name takes a line of its own, so only its start is shown.
fn short_name(name: &str) -> String {
    match name.split_once('@') {
        Some((name, digest)) => format!("{name}@{}", super::answer::short(digest)),
        None => name.to_owned(),
    }
}

fn keepers(listed: &Listed) -> Vec<String> {
    let container = |container: &Container| {
        let name = match &container.owner {
            Some(owner) => owner.to_string(),
            None => container.short().to_owned(),
        };
        match container.state {
            State::Running => name,
            State::Stopped => format!("{name} (stopped)"),
        }
    };
    let pinned = listed.pinned.then(|| "(pinned)".to_owned());
    listed.containers.iter().map(|found| container(found)).chain(pinned).collect()
}

/// The largest unit alone, as `kubectl` writes it: `5d`, `3h`, `12m`, `40s`.
fn age(age: SignedDuration) -> String {
    let seconds = age.as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7_200 => format!("{}m", seconds / 60),
        7_200..172_800 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests;
