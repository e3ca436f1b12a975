//! What a deletion costs the daemon.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};

use secateur::node::Outcome;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::deletion::Deletion;
use crate::bed::{Image, Node, Setup, Version, both};

both!(a_deletion_by_name_asks_for_no_more_on_a_larger_node);

/// How often each method was called on a daemon, by service and method.
type Calls = BTreeMap<String, u64>;

async fn a_deletion_by_name_asks_for_no_more_on_a_larger_node(version: Version) {
    let metrics = free_address();
    let setup = Setup { metrics: Some(metrics), ..Setup::default() };
    let node = Node::start_with(version, setup).await;
    let few = Image::series("docker.io/few/app", 5, 2);
    node.import_all(&few).await;
    let first = calls_of_deletion(&node, metrics, "few/app-3:v1").await;
    node.import_all(&Image::series("docker.io/many/app", 100, 2)).await;
    let second = calls_of_deletion(&node, metrics, "few/app-4:v1").await;

    assert_eq!(first, second);
    assert_eq!(first["containerd.services.content.v1.Content/Read"], 2, "its manifest and its config");
    assert_eq!(first["containerd.services.images.v1.Images/Delete"], 2, "its tag and the CRI's record");
    assert_eq!(first["containerd.services.images.v1.Images/List"], 1, "its own records, and its parents'");
}

async fn calls_of_deletion(node: &Node, metrics: SocketAddr, name: &str) -> Calls {
    let before = calls(metrics).await;
    let (engine, done) = Deletion::of(&[name]).carry_out(node).await;
    assert_eq!(done.results[0].outcome, Outcome::Deleted);
    engine.acknowledge(done).await.unwrap();
    let mut calls = calls(metrics).await;
    for (method, count) in before {
        *calls.get_mut(&method).unwrap() -= count;
    }
    calls.retain(|_, count| *count > 0);
    calls
}

/// Reads the counters that containerd's gRPC server keeps.
async fn calls(metrics: SocketAddr) -> Calls {
    let mut stream = TcpStream::connect(metrics).await.unwrap();
    stream.write_all(b"GET /v1/metrics HTTP/1.0\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let mut calls = Calls::new();
    for line in answer.lines().filter(|line| line.starts_with("grpc_server_started_total")) {
        let label = |name| {
            let (_, rest) = line.split_once(&format!("{name}=\"")).unwrap();
            rest.split('"').next().unwrap()
        };
        let count: f64 = line.rsplit(' ').next().unwrap().parse().unwrap();
        let method = format!("{}/{}", label("grpc_service"), label("grpc_method"));
        calls.insert(method, count as u64);
    }
    assert!(!calls.is_empty(), "{answer}");
    calls
}

fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}
