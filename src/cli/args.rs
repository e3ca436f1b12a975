//! What can be written on the command line.

use std::convert::Infallible;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use jiff::{SignedDuration, Span, SpanRelativeTo};

use crate::image::Pattern;
use crate::node::{DEFAULT_ADDRESS, DEFAULT_NAMESPACE};

/// Deletes container images from a node: on request, safely, and says exactly what it did.
#[derive(Debug, Parser)]
#[command(name = "secateur", version, subcommand_required = true, arg_required_else_help = true, after_help = EXIT_CODES)]
pub struct Arguments {
    /// What holds for every subcommand.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What holds for every subcommand.
#[derive(Debug, Args)]
#[command(next_help_heading = "Options of every command")]
pub struct Global {
    /// The socket of containerd, with or without unix://
    #[arg(long, global = true, env = "SECATEUR_ADDRESS", default_value = DEFAULT_ADDRESS, value_name = "SOCKET", value_parser = socket)]
    pub address: PathBuf,
    /// The namespace of containerd; the CRI plugin serves k8s.io
    #[arg(long, global = true, default_value = DEFAULT_NAMESPACE)]
    pub namespace: String,
    /// How to print: table, json or yaml; data goes to stdout, everything else to stderr [default: table; of run: yaml]
    #[arg(short, long, global = true, value_enum, value_name = "FORMAT", hide_possible_values = true)]
    pub output: Option<Format>,
    /// Say the reasons behind each decision; twice: every change to the image store too
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
}

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// One JSON document.
    Json,
    /// One YAML document.
    Yaml,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Delete images by name, digest, ID, ID prefix or pattern
    #[command(after_help = DELETE_EXAMPLES)]
    Delete(Delete),
    /// Do what an ImageDeletion asks for on this node, and print it with its status
    #[command(after_help = RUN_EXAMPLES)]
    Run(Run),
    /// List the images that are there and who uses them
    #[command(after_help = IMAGES_EXAMPLES)]
    Images(Images),
    /// Delete images that nothing uses
    #[command(after_help = PRUNE_EXAMPLES)]
    Prune(Prune),
    /// Carry out the ImageDeletions of a cluster on this node, for as long as it runs (DaemonSet)
    #[command(after_help = AGENT_EXAMPLES)]
    Agent(super::daemon::Agent),
    /// Bring the reports of all agents together in the ImageDeletions, for as long as it runs (Deployment)
    #[command(after_help = CONTROLLER_EXAMPLES)]
    Controller(super::daemon::Controller),
    /// Print the CustomResourceDefinitions
    #[command(after_help = "Examples:\n  secateur crds | kubectl apply -f -")]
    Crds,
    /// Ask every agent of a cluster for the deletion of an image that there is not, in dry run, and wait for the answer
    #[command(hide = true, after_help = "Examples:\n  secateur self-test")]
    SelfTest,
    /// Print a completion script for a shell
    #[command(after_help = COMPLETIONS_EXAMPLES)]
    Completions {
        /// The shell
        shell: Shell,
    },
}

impl Command {
    /// Whether it runs until it is told to end, and logs as daemons do.
    pub const fn is_daemon(&self) -> bool {
        matches!(self, Self::Agent(_) | Self::Controller(_))
    }
}

/// `delete`.
#[derive(Debug, Args)]
pub struct Delete {
    /// Names, digests, IDs, ID prefixes of at least 4 digits, or patterns: * within a path component or tag, ** across
    /// slashes, ? and {a,b}
    #[arg(required = true, value_name = "REF")]
    pub references: Vec<String>,
    /// Delete in spite of conflicts that can be forced, such as a stopped container; what a running one uses stays, and the
    /// last name of an image in use goes alone
    #[arg(short, long)]
    pub force: bool,
    /// Keep parents that are left without a name
    #[arg(long)]
    pub no_prune: bool,
    /// How it is done.
    #[command(flatten)]
    pub manner: Manner,
}

/// How a deletion is done.
#[derive(Debug, Args)]
pub struct Manner {
    /// Say what would be deleted, and delete nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask; without a terminal nothing is asked anyway
    #[arg(short, long)]
    pub yes: bool,
    /// Never delete an image that has a matching name
    #[arg(long, value_name = "PATTERN")]
    pub protect: Vec<Pattern>,
}

/// `run`.
#[derive(Debug, Args)]
pub struct Run {
    /// A file with one ImageDeletion in YAML or JSON; - is stdin
    #[arg(short, long = "filename", value_name = "FILE")]
    pub file: PathBuf,
    /// Say what would be deleted, and delete nothing, as with spec.dryRun
    #[arg(long)]
    pub dry_run: bool,
    /// Never delete an image that has a matching name
    #[arg(long, value_name = "PATTERN")]
    pub protect: Vec<Pattern>,
}

/// `images`.
#[derive(Debug, Args)]
pub struct Images {
    /// Only these: names, digests, IDs, ID prefixes or patterns
    #[arg(value_name = "REF")]
    pub references: Vec<String>,
}

/// `prune`.
#[derive(Debug, Args)]
pub struct Prune {
    /// Images without a name (the default)
    #[arg(long, conflicts_with = "unused")]
    pub dangling: bool,
    /// Every image that no container uses
    #[arg(long)]
    pub unused: bool,
    /// Only images that were loaded, pulled or tagged last so long ago, such as 72h or 3d
    #[arg(long, value_name = "AGE", value_parser = age)]
    pub older_than: Option<SignedDuration>,
    /// Keep images that have a matching name
    #[arg(long, value_name = "PATTERN")]
    pub keep: Vec<Pattern>,
    /// How it is done.
    #[command(flatten)]
    pub manner: Manner,
}

/// What names sockets for the CRI's clients has the scheme in front.
fn socket(text: &str) -> Result<PathBuf, Infallible> {
    Ok(text.strip_prefix("unix://").unwrap_or(text).into())
}

/// A day has 24 hours here.
fn age(text: &str) -> Result<SignedDuration, String> {
    let duration = text
        .parse::<Span>()
        .and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()))
        .map_err(|_| "write a number and a unit, such as 72h or 3d")?;
    if duration.is_negative() {
        return Err("an age is not negative".to_owned());
    }
    Ok(duration)
}

const EXIT_CODES: &str = "\
Exit codes:
  0  all done
  1  something went wrong
  2  wrong usage, or an invalid reference
  3  no such image
  4  a conflict: something holds an image
Of several, the first that applies of 1, 4, 3, 2.";

const DELETE_EXAMPLES: &str = "\
Examples:
  secateur delete app:v1                         one name; the image goes with its last
  secateur delete 276aff71fc50                   an image by its ID; --force where it has several names
  secateur delete 'ghcr.io/acme/**:1.2.*'        every reference that matches
  secateur delete --dry-run -v app:v1            what would be done, and why
  secateur delete -o json app:v1 api:v2          for scripts";

const RUN_EXAMPLES: &str = "\
Examples:
  secateur run -f deletion.yaml
  secateur run -f deletion.yaml -o table
  secateur run -f deletion.yaml --dry-run -v
  kubectl get imagedeletion drop-app-v1 -o yaml | secateur run -f -";

const IMAGES_EXAMPLES: &str = "\
Examples:
  secateur images
  secateur images 'ghcr.io/acme/**'
  secateur images -o json | jq '.images[] | select(.usedBy == [])'";

const PRUNE_EXAMPLES: &str = "\
Examples:
  secateur prune                                 images without a name
  secateur prune --unused --older-than 72h       what no container uses, and is older
  secateur prune --unused --keep 'ghcr.io/acme/**' --dry-run";

const AGENT_EXAMPLES: &str = "\
Examples:
  secateur agent --node-name node-a
  secateur agent --node-name node-a --protect 'registry.k8s.io/**' --log-format text";

const CONTROLLER_EXAMPLES: &str = "\
Examples:
  secateur controller --pod-namespace secateur-system --pod-name secateur-controller-0";

const COMPLETIONS_EXAMPLES: &str = "\
Examples:
  source <(secateur completions bash)
  secateur completions fish > ~/.config/fish/completions/secateur.fish";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn an_age_is_a_span_that_is_not_negative() {
        assert_eq!(age("72h"), Ok(SignedDuration::from_hours(72)));
        assert_eq!(age("3d"), Ok(SignedDuration::from_hours(72)));
        assert_eq!(age("1h30m"), Ok(SignedDuration::from_mins(90)));
        for wrong in ["", "72", "yesterday", "-1h", "1 month"] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_socket_may_be_written_as_for_the_clients_of_the_cri() {
        for text in ["/run/k3s/containerd/containerd.sock", "unix:///run/k3s/containerd/containerd.sock"] {
            assert_eq!(socket(text), Ok("/run/k3s/containerd/containerd.sock".into()));
        }
    }

    #[test]
    fn every_subcommand_has_examples() {
        for command in Arguments::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let example = format!("\n  secateur {}", command.get_name());
            let piped = format!("secateur {}", command.get_name());
            assert!(help.starts_with("Examples:\n"), "{}", command.get_name());
            assert!(help.contains(&example) || help.contains(&piped), "{help}");
        }
    }
}
