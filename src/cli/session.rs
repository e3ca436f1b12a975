//! A node that a command works on.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use crate::image::{Pattern, Request, Rules};
use crate::node::{self, Done, EntryResult, Node, Operation, Turn, Watch};

use super::answer::Answer;
use super::args::{Format, Global};
use super::asked::Asked;
use super::error::Error;
use super::exit::Exit;
use super::interrupt::Interrupt;
use super::output;
use super::progress::Bar;
use super::screen::say;

/// How long to wait for a turn in silence: an ordinary operation is over sooner.
const PATIENCE: Duration = Duration::from_secs(60);

/// A connection, and how to print.
#[derive(Debug)]
pub struct Session {
    /// The node.
    pub node: Node,
    /// What protects the image of its pods' sandboxes.
    sandbox: Vec<Pattern>,
    format: Format,
    explains: bool,
}

impl Session {
    /// Connects to the node.
    pub async fn open(global: &Global, format: Format) -> Result<Self, Error> {
        let node = Node::connect(&global.address, &global.namespace).await?;
        let sandbox = node.sandbox_image().await.map_err(node::Error::from)?;
        Ok(Self { node, sandbox, format, explains: global.verbose > 0 })
    }

    /// What a request would do, with the reasons where they were asked for.
    pub async fn dry_run(&self, request: &Request) -> Result<Vec<EntryResult>, Error> {
        let _bar = Bar::start("reading the node");
        Ok(self.node.dry_run(&self.operation(request)).await?)
    }

    /// Waits until no one else works on the node, or until the deadline.
    pub async fn turn(&self, interrupt: &Interrupt, deadline: Option<Timestamp>) -> Result<Turn, Error> {
        let _bar = Bar::start("waiting until no one else works on this node");
        let token = interrupt.token();
        let saying = async {
            tokio::time::sleep(PATIENCE).await;
            say("waiting: another operation has been at work on this node for longer than a minute");
            std::future::pending().await
        };
        tokio::select! {
            turn = self.node.turn(&token) => Ok(turn?),
            () = until(deadline) => Err(Error::Late),
            never = saying => never,
        }
    }

    /// Does what is requested. The results are still to be [acknowledged](Node::acknowledge).
    pub async fn delete(&self, turn: Turn, request: &Request, interrupt: &Interrupt) -> Result<Done, Error> {
        let bar = Bar::start("reading the node");
        let operation = self.operation(request);
        let progress = |progress| bar.show(progress);
        let watch = Watch { cancel: interrupt.token(), progress: &progress, needs: &operation.pods };
        Ok(self.node.delete(turn, &operation, &watch).await?)
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
        let turn = self.turn(&interrupt, None).await?;
        let done = self.delete(turn, request, &interrupt).await?;
        let recovered =
            Answer { recovered: done.recovered.iter().map(Into::into).collect(), ..Answer::default() };
        let exit = self.report(asked, &done.results, recovered)?;
        say_left(&done);
        self.node.acknowledge(done).await?;
        Ok(Exit::worst([exit, interrupt.exit()]))
    }

    fn operation(&self, request: &Request) -> Operation {
        let request = Request { rules: self.guarded(&request.rules), ..request.clone() };
        Operation { request, ..Operation::default() }
    }

    /// The rules, and what pods could not start without.
    pub fn guarded(&self, rules: &Rules) -> Rules {
        Rules { protect: [&rules.protect[..], &self.sandbox].concat(), ..rules.clone() }
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

/// Returns at the deadline, if there is one.
async fn until(deadline: Option<Timestamp>) {
    match deadline.map(|deadline| Timestamp::now().duration_until(deadline)) {
        Some(left) => tokio::time::sleep(left.try_into().unwrap_or_default()).await,
        None => std::future::pending().await,
    }
}
