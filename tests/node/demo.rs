//! `make demo`: the main job on a throw-away node, with an image in use and one not.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a demonstration that cannot go on stops and says why"
)]

#[allow(dead_code, unused_imports, unused_macros, reason = "the tests use the rest of the bed")]
mod bed;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use bed::{Image, Node, State, Version};
use tokio::signal::unix::{SignalKind, signal};

const DELETION: &str = "\
apiVersion: secateur.dev/v1alpha1
kind: ImageDeletion
metadata:
  name: drop-app-and-cart
spec:
  images:
  - app:v1
  - cart:v1
";

#[tokio::main]
async fn main() -> ExitCode {
    let mut terminate = signal(SignalKind::terminate()).expect("signals can be listened for");
    tokio::select! {
        code = demonstrate() => code,
        _ = tokio::signal::ctrl_c() => ExitCode::FAILURE,
        _ = terminate.recv() => ExitCode::FAILURE,
    }
}

async fn demonstrate() -> ExitCode {
    println!("Starting a throw-away containerd, with its images and one pod...");
    let node = Node::start(Version::V1).await;
    let app = Image::new("docker.io/library/app:v1").layer("app, version 1");
    let cart = Image::new("docker.io/library/cart:v1").layer("cart, version 1");
    node.import_all(&[app, cart]).await;
    let pod = node.pod("shop", "cart-7d9").await;
    node.container(&pod, "cart", "docker.io/library/cart:v1", State::Running).await;
    let shell = Shell::on(&node);

    println!("\nThe pod shop/cart-7d9 runs cart:v1. Nothing uses app:v1.\n");
    shell.run(&["images"]);
    println!("An ImageDeletion asks for both:\n\n{DELETION}");
    let file = node.directory().join("deletion.yaml");
    std::fs::write(&file, DELETION).expect("the node's directory can be written");
    let code = shell.run(&["run", "-f", file.to_str().expect("the path is text")]);
    println!(
        "app:v1 is gone, with its layers. A running container uses cart:v1, so it was left alone: a conflict"
    );
    println!("that names the pod, and exit code {code}. What is there now:\n");
    shell.run(&["images"]);
    drop(node);
    println!("The containerd is gone again. To do the same on one of yours, as root:\n");
    let program = shell.program.display();
    for next in ["images", "delete --dry-run -v NAME", "prune --unused --older-than 72h --dry-run", "--help"]
    {
        println!("  {program} {next}");
    }
    match code {
        4 => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

/// Where commands are typed.
struct Shell {
    program: PathBuf,
    socket: PathBuf,
}

impl Shell {
    /// The binary lies above the directory of this example.
    fn on(node: &Node) -> Self {
        let example = std::env::current_exe().expect("the example has a path");
        let directory = example.ancestors().nth(2).expect("it lies in a directory of its own");
        Self { program: directory.join("secateur"), socket: node.socket() }
    }

    /// Shows a command and what it prints, and returns its exit code.
    fn run(&self, arguments: &[&str]) -> i32 {
        let name = |argument: &&str| {
            let file = Path::new(argument).file_name().filter(|_| argument.starts_with('/'));
            file.map_or((*argument).to_owned(), |file| file.display().to_string())
        };
        println!("$ secateur {}", arguments.iter().map(name).collect::<Vec<_>>().join(" "));
        let status = Command::new(&self.program)
            .args(arguments)
            .env("SECATEUR_ADDRESS", &self.socket)
            .status()
            .expect("the binary is built: run `make demo`");
        println!();
        status.code().unwrap_or(-1)
    }
}
