//! A cluster that stays: `cluster up DIRECTORY` and `cluster down DIRECTORY`. With `cluster demo DIRECTORY` a new one does the
//! main job before it stays.
//!
//! `up` leaves a kubeconfig in the directory, for any `kubectl` of this machine.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a command that cannot go on stops and says why")]

#[allow(dead_code, unused_imports, reason = "the tests use the rest of the bed")]
#[path = "../bed/lib.rs"]
mod bed;
#[allow(dead_code, unused_imports, reason = "the tests use the rest of the cluster")]
mod cluster;
mod demo;
mod world;

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{env, process};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use self::bed::Daemon;
use self::cluster::{API_SERVER, Cluster};
use self::world::World;

/// How long a cluster may take to start, also on a small and busy machine.
const PATIENCE: Duration = Duration::from_secs(180);
const PAUSE: Duration = Duration::from_millis(50);

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match (world::home(), &words[..]) {
        (None, ["up", directory]) => up(&Stay::at(directory), "empty"),
        (None, ["demo", directory]) => show(directory),
        (None, ["down", directory]) => down(&Stay::at(directory)),
        (None, ["hold", directory, content]) => hold(&Stay::at(directory), content),
        (Some(home), ["hold", directory, content, server]) => {
            stay(&home, &Stay::at(directory), content, server)
        }
        _ => {
            eprintln!("usage: cluster up|demo|down DIRECTORY");
            ExitCode::from(2)
        }
    }
}

/// What is known of a cluster that stays.
struct Stay {
    directory: PathBuf,
}

impl Stay {
    fn at(directory: &str) -> Self {
        fs::create_dir_all(directory).expect("the directory can be made");
        Self { directory: fs::canonicalize(directory).expect("the directory is there") }
    }

    /// The process that holds the cluster, where one does.
    fn holder(&self) -> Option<Pid> {
        let pid = Pid::from_raw(fs::read_to_string(self.file("pid")).ok()?.parse().ok()?);
        let program = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
        (program.file_name() == env::current_exe().ok()?.file_name()).then_some(pid)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// Starts a cluster anew for the main job, and does it.
fn show(directory: &str) -> ExitCode {
    down(&Stay::at(directory));
    let stay = Stay::at(directory);
    match up(&stay, "demo") {
        ExitCode::SUCCESS => demo::show(&stay.file("kubeconfig")),
        failure => failure,
    }
}

/// Starts a cluster that outlives this process, unless it is there, and says how to talk to it.
fn up(stay: &Stay, content: &str) -> ExitCode {
    let kubeconfig = stay.file("kubeconfig");
    if stay.holder().is_none() {
        for file in ["kubeconfig", "pid"] {
            fs::remove_file(stay.file(file)).ok();
        }
        start_holder(stay, content);
        let deadline = Instant::now() + PATIENCE;
        while !kubeconfig.exists() {
            let ended = stay.file("pid").exists() && stay.holder().is_none();
            if ended || Instant::now() > deadline {
                eprintln!("the cluster did not start: see {}", stay.file("log").display());
                return ExitCode::FAILURE;
            }
            sleep(PAUSE);
        }
    }
    println!("export KUBECONFIG={}", kubeconfig.display());
    ExitCode::SUCCESS
}

fn start_holder(stay: &Stay, content: &str) {
    let log = File::create(stay.file("log")).expect("the directory can be written");
    let status = Command::new("setsid")
        .arg("--fork")
        .arg(env::current_exe().expect("the program has a path"))
        .arg("hold")
        .arg(&stay.directory)
        .arg(content)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("the log has two writers"))
        .stderr(log)
        .status();
    assert!(status.expect("util-linux is installed").success(), "setsid failed");
}

/// Ends the cluster and removes all of it.
fn down(stay: &Stay) -> ExitCode {
    if let Some(holder) = stay.holder() {
        kill(holder, Signal::SIGTERM).expect("the holder can be told to end");
        while stay.holder().is_some() {
            sleep(PAUSE);
        }
    }
    fs::remove_dir_all(&stay.directory).expect("the directory can be removed");
    ExitCode::SUCCESS
}

/// Holds a world with a cluster, and a way into it for programs of this machine.
fn hold(stay: &Stay, content: &str) -> ExitCode {
    fs::write(stay.file("pid"), process::id().to_string()).expect("the directory can be written");
    let world = World::new();
    let server = free_address();
    let (_, port) = server.rsplit_once(':').expect("an address has a port");
    let listen = format!("TCP-LISTEN:{port},bind=127.0.0.1,reuseaddr,fork");
    let _relay =
        relay(&listen, &format!("UNIX-CONNECT:{}", socket(world.directory()).display()), world.directory());
    world.run([Path::new("hold"), &stay.directory, Path::new(content), Path::new(&server)])
}

/// Inside: starts the cluster, with what it is to contain, and sleeps.
fn stay(home: &Path, stay: &Stay, content: &str, server: &str) -> ExitCode {
    let runtime = tokio::runtime::Runtime::new().expect("tokio starts");
    let cluster = runtime.block_on(Cluster::start(home));
    if content == "demo" {
        runtime.block_on(demo::prepare(&cluster));
    }
    let listen = format!("UNIX-LISTEN:{},fork", socket(home).display());
    let _relay = relay(&listen, &format!("TCP:{API_SERVER}:443"), home);
    // The kubeconfig appears at once with all its content: it is the sign that the cluster is up.
    let draft = stay.file("kubeconfig.new");
    let kubeconfig = fs::read_to_string(cluster.kubeconfig()).expect("the kubeconfig can be read");
    let kubeconfig = kubeconfig.replace(&format!("https://{API_SERVER}"), &format!("https://{server}"));
    fs::write(&draft, kubeconfig).expect("the directory can be written");
    fs::rename(draft, stay.file("kubeconfig")).expect("the directory can be written");
    loop {
        std::thread::park();
    }
}

fn socket(home: &Path) -> PathBuf {
    home.join("api.sock")
}

fn relay(from: &str, to: &str, home: &Path) -> Daemon {
    Daemon::spawn(Command::new("socat").args([from, to]), &home.join("relay.log"))
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    listener.local_addr().expect("it has an address").to_string()
}
