use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::pin::pin;

use axum::body::Body as Answer;
use futures::{StreamExt, stream};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{WatchEvent, WatchParams};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::*;

/// Much longer than the pings take.
const LONG: Duration = Duration::from_secs(20);

/// An API server that has one node, and where nothing happens. On its first connections it answers pings and nothing else.
async fn api_server(silent: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for connection in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            let answer = move |request| async move {
                match connection < silent {
                    true => pending().await,
                    false => answer(request).await,
                }
            };
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), hyper::service::service_fn(answer));
            tokio::spawn(connection);
        }
    });
    address
}

async fn answer(request: Request<hyper::body::Incoming>) -> Result<Response<Answer>, Infallible> {
    let is_watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
    let body = match is_watch {
        true => {
            let event = format!("{}\n", json!({"type": "ADDED", "object": node()}));
            Answer::from_stream(stream::iter([Ok::<_, Infallible>(event)]).chain(stream::pending()))
        }
        false => Answer::from(node().to_string()),
    };
    Ok(Response::new(body))
}

fn node() -> Value {
    json!({"metadata": {"name": "node-a", "resourceVersion": "1"}})
}

/// A way there on which connections die without a word once `dies` says so: what is sent goes nowhere, and none is closed. New ones
/// live.
async fn way(to: SocketAddr, dies: watch::Receiver<bool>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (near, _) = listener.accept().await.unwrap();
            let far = TcpStream::connect(to).await.unwrap();
            let dies = match *dies.borrow() {
                true => watch::channel(false).1,
                false => dies.clone(),
            };
            let ((near_in, near_out), (far_in, far_out)) = (tokio::io::split(near), tokio::io::split(far));
            tokio::spawn(pass(near_in, far_out, dies.clone()));
            tokio::spawn(pass(far_in, near_out, dies));
        }
    });
    address
}

async fn pass(mut from: ReadHalf<TcpStream>, mut to: WriteHalf<TcpStream>, dies: watch::Receiver<bool>) {
    let mut bytes = [0; 4096];
    while let Ok(read @ 1..) = from.read(&mut bytes).await {
        if !*dies.borrow() && to.write_all(&bytes[..read]).await.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_connection_that_died_without_a_word_ends_its_watch_and_is_replaced() {
    let (die, dies) = watch::channel(false);
    let address = way(api_server(0).await, dies).await;
    let config = Config::new(format!("http://{address}").parse().unwrap());
    let pings = Pings { after: Duration::from_millis(200), patience: Duration::from_millis(200) };
    // Without TLS nobody agrees on HTTP/2.
    let http = pinging(pings).http2_only(true).build::<_, Body>(tcp());
    let nodes: Api<Node> = Api::all(over(&config, http).unwrap());

    let mut events = pin!(nodes.watch(&WatchParams::default(), "0").await.unwrap());
    assert!(matches!(events.next().await, Some(Ok(WatchEvent::Added(_)))));
    let quiet = timeout(pings.after * 5, events.next()).await;
    assert!(quiet.is_err(), "an API server that answers pings is not given up: {quiet:?}");

    die.send(true).unwrap();
    let ended = timeout(LONG, events.next()).await.expect("it is noticed");
    assert!(matches!(ended, None | Some(Err(_))), "{ended:?}");
    timeout(LONG, nodes.get("node-a")).await.expect("there is another connection").unwrap();
}

/// Whoever is not wary waits for the same connection again.
#[tokio::test]
async fn a_wary_client_leaves_a_connection_on_which_a_request_was_given_up() {
    for is_wary in [true, false] {
        let config = Config::new(format!("http://{}", api_server(1).await).parse().unwrap());
        let http = pinging(PINGS).http2_only(true).build::<_, Body>(tcp());
        let client = match is_wary {
            true => over(&config, wary(http)),
            false => over(&config, http),
        };
        let nodes: Api<Node> = Api::all(client.unwrap());
        let patience = Duration::from_millis(300);
        assert!(timeout(patience, nodes.get("node-a")).await.is_err());
        let patience = if is_wary { LONG } else { patience };
        assert_eq!(timeout(patience, nodes.get("node-a")).await.is_ok(), is_wary);
    }
}
