//! `secateur run`: what a cluster of this one node would do with an `ImageDeletion`.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::path::Path;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::answer::{Answer, table, went};
use super::args::{Format, Global, Run};
use super::asked::Asked;
use super::error::Error;
use super::exit::Exit;
use super::interrupt::Interrupt;
use super::output;
use super::screen::{Screen, say};
use super::session::{Session, say_left};
use super::table::{Column, Table};
use super::wait::{Wait, Waited};
use crate::api::aggregate::{Reports, aggregate};
use crate::api::deletion::{ImageDeletion, OnConflict};
use crate::api::report::ImageDeletionReport;
use crate::api::result::{ImageResult, Record};
use crate::api::status::ImageDeletionStatus;
use crate::api::validate;
use crate::image::{Request, Rules};

/// Does what the file asks for, and prints the object with its status.
pub async fn run(global: &Global, arguments: Run) -> Result<Exit, Error> {
    let format = global.output.unwrap_or(Format::Yaml);
    let mut deletion = read(&arguments.file)?;
    let started = Time(Timestamp::now());
    create(&mut deletion, &started);
    deletion.spec.dry_run |= arguments.dry_run;
    if deletion.spec.node_selector.is_some() {
        say(
            "spec.nodeSelector: a command line knows no labels of nodes, so this node is taken to be selected",
        );
    }
    let spec = &deletion.spec;
    let asked = Asked::read(&spec.images.iter().map(ToString::to_string).collect::<Vec<_>>());
    let request = Request {
        entries: asked.entries(),
        rules: Rules { force: spec.force, prune: spec.prune, protect: arguments.protect },
    };
    let session = Session::open(global, format).await?;
    if spec.dry_run {
        let results = session.dry_run(&request).await?;
        session.explain(&results);
        let answer = Answer { results: asked.answer(&results), ..Answer::default() };
        return print(format, deletion, &answer, started);
    }
    let interrupt = Interrupt::listen().map_err(Error::Start)?;
    let deadline = deletion.deadline().unwrap_or(Timestamp::MAX);
    let waited = match spec.on_conflict {
        OnConflict::Report => {
            let turn = session.turn(&interrupt, Some(deadline)).await?;
            Waited::once(session.delete(turn, &request, &interrupt).await?)
        }
        OnConflict::Wait => Wait::new(&session, &interrupt, deadline).delete(&request).await?,
    };
    session.explain(&waited.results);
    let answer = Answer { results: asked.answer(&waited.results), recovered: waited.recovered };
    let exit = print(format, deletion, &answer, started)?;
    if let Some(done) = waited.last {
        say_left(&done);
        session.node.acknowledge(done).await?;
    }
    match waited.error {
        Some(error) => Err(error),
        None => Ok(Exit::worst([exit, interrupt.exit()])),
    }
}

fn read(path: &Path) -> Result<ImageDeletion, Error> {
    let text = match path == Path::new("-") {
        true => io::read_to_string(io::stdin()),
        false => fs::read_to_string(path),
    };
    let name = || match path == Path::new("-") {
        true => "stdin".into(),
        false => path.to_owned(),
    };
    let text = text.map_err(|source| Error::Read { path: name(), source })?;
    validate::parse(&text).map_err(|reason| Error::Deletion { path: name(), reason })
}

/// What an API server sets when an object is created, as far as the status speaks of it.
fn create(deletion: &mut ImageDeletion, now: &Time) {
    deletion.metadata.creation_timestamp = Some(now.clone());
    deletion.metadata.generation = Some(1);
    deletion.status =
        Some(ImageDeletionStatus { start_time: Some(now.clone()), ..ImageDeletionStatus::default() });
}

fn print(format: Format, mut deletion: ImageDeletion, answer: &Answer, started: Time) -> Result<Exit, Error> {
    let results: Vec<ImageResult> = answer.results.iter().map(|answered| answered.result.clone()).collect();
    let now = Timestamp::now();
    let node = node_name();
    let report = ImageDeletionReport::of(&deletion, &node, results.clone(), started, Some(Time(now)));
    let mut reports = Reports::on(&report.spec.image_deletion_uid);
    reports.insert(report.spec);
    deletion.status = Some(aggregate(&deletion, &[node].into(), 0, &reports, now));
    output::print(format, &deletion, |screen| {
        [summary(&deletion, screen), table(&results, screen)].join("\n")
    })?;
    answer.complain();
    if let Some(status) = deletion.status.filter(|_| format != Format::Table) {
        say_left_out(&status, &results);
    }
    Ok(answer.exit())
}

/// Says what is gone and has no room in the status. A cluster keeps it in its reports, and here is none.
fn say_left_out(status: &ImageDeletionStatus, results: &[ImageResult]) {
    let merged = status.records.iter().map(|merged| &merged.record);
    let of_nodes = status.node_results.iter().flat_map(|result| &result.records);
    let told: HashSet<&Record> = merged.chain(of_nodes).collect();
    for result in results {
        for record in result.records.iter().filter(|record| !told.contains(record)) {
            say(format_args!("{}: {}", result.image, went(record)));
        }
    }
}

/// The columns that `kubectl get` shows.
fn summary(deletion: &ImageDeletion, screen: Screen) -> String {
    let columns = [
        Column::text("NAME"),
        Column::word("PHASE"),
        Column::word("NODES"),
        Column::number("DELETED"),
        Column::number("CONFLICTED"),
        Column::number("RECLAIMED"),
    ];
    let mut table = Table::new(columns);
    if let Some(status) = &deletion.status {
        let metadata = &deletion.metadata;
        let name = metadata.name.as_ref().or(metadata.generate_name.as_ref());
        table.add([
            name.cloned().unwrap_or_default().into(),
            format!("{:?}", status.phase).into(),
            status.nodes_reported.as_str().into(),
            status.nodes.deleted.to_string().into(),
            status.nodes.conflicted.to_string().into(),
            status.reclaimed.as_str().into(),
        ]);
    }
    table.render(screen)
}

/// What the kubelet calls the node unless it is told otherwise.
fn node_name() -> String {
    fs::read_to_string("/proc/sys/kernel/hostname")
        .map(|name| name.trim().to_lowercase())
        .ok()
        .filter(|name| !name.is_empty())
        .unwrap_or_else(|| "localhost".to_owned())
}
