//! A node that a command works on.

use std::collections::BTreeSet;

use crate::image::Request;
use crate::node::{Done, EntryResult, Node, Operation, Watch};

use super::answer::Answer;
use super::args::{Format, Global};
use super::asked::Asked;
use super::error::Error;
use super::exit::Exit;
use super::interrupt::Interrupt;
use super::output;
use super::progress::Bar;
use super::screen::say;

/// A connection, and how to print.
#[derive(Debug)]
pub struct Session {
    /// The node.
    pub node: Node,
    format: Format,
    explains: bool,
}

impl Session {
    /// Connects to the node.
    pub async fn open(global: &Global, format: Format) -> Result<Self, Error> {
        Ok(Self {
            node: Node::connect(&global.address, &global.namespace).await?,
            format,
            explains: global.verbose > 0,
        })
    }

    /// What a request would do, with the reasons where they were asked for.
    pub async fn dry_run(&self, request: &Request) -> Result<Vec<EntryResult>, Error> {
        let _bar = Bar::start("reading the node");
        Ok(self.node.dry_run(&operation(request)).await?)
    }

    /// Does what is requested. The results are still to be [acknowledged](Node::acknowledge).
    pub async fn delete(&self, request: &Request, interrupt: &Interrupt) -> Result<Done, Error> {
        let bar = Bar::start("waiting until no one else works on this node");
        let operation = operation(request);
        let progress = |progress| bar.show(progress);
        let watch = Watch { cancel: interrupt.token(), progress: &progress, needs: &operation.pods };
        Ok(self.node.delete(&operation, &watch).await?)
    }

    /// Does what is requested, prints what came of it, and only then lets the node forget it.
    pub async fn carry_out(&self, request: &Request, asked: &Asked, dry_run: bool) -> Result<Exit, Error> {
        if dry_run {
            let results = self.dry_run(request).await?;
            let exit = self.report(asked, &results, Answer::default())?;
            self.note("dry run: nothing was deleted");
            return Ok(exit);
        }
        let interrupt = Interrupt::listen().map_err(Error::Start)?;
        let done = self.delete(request, &interrupt).await?;
        let recovered =
            Answer { recovered: done.recovered.iter().map(Into::into).collect(), ..Answer::default() };
        let exit = self.report(asked, &done.results, recovered)?;
        say_left(&done);
        self.node.acknowledge(done).await?;
        Ok(Exit::worst([exit, interrupt.exit()]))
    }

    /// Says the reasons behind the decisions, if that was asked for.
    pub fn explain(&self, results: &[EntryResult]) {
        if self.explains {
            for result in results {
                for reason in &result.reasons {
                    say(format_args!("{}: {reason}", result.entry));
                }
            }
        }
    }

    /// Says something that only a person at a table needs to know.
    pub fn note(&self, what: &str) {
        if self.format == Format::Table {
            say(what);
        }
    }

    fn report(&self, asked: &Asked, results: &[EntryResult], answer: Answer) -> Result<Exit, Error> {
        self.explain(results);
        let answer = Answer { results: asked.answer(results), ..answer };
        print(self.format, &answer)
    }
}

/// Prints an answer, and says how the command ends by it.
pub fn print(format: Format, answer: &Answer) -> Result<Exit, Error> {
    output::print(format, &answer.document(), |screen| answer.table(screen))?;
    if format == Format::Table {
        answer.complain();
    }
    Ok(answer.exit())
}

/// Says what agents have begun here that this command has left to them.
pub fn say_left(done: &Done) {
    let owners: BTreeSet<&str> = done.left_alone.iter().map(String::as_str).collect();
    for owner in owners {
        say(format_args!(
            "left alone: what ImageDeletion {owner} was doing on this node when its agent was killed; the agent ends it when it \
             runs again"
        ));
    }
}

fn operation(request: &Request) -> Operation {
    Operation { request: request.clone(), ..Operation::default() }
}
