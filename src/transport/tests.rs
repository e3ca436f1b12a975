use std::convert::Infallible;
use std::future::pending;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body as Answer;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
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

/// What an API server does but for answering pings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Server {
    Answers,
    /// The same, and nothing on any other connection. The first request comes too early.
    Once,
    /// Nothing.
    Silent,
    /// It begins to answer, and no more.
    Stuck,
    /// It can't for now, and nobody is to ask again for hours.
    Busy(StatusCode),
}

/// An API server that has one node, and where nothing happens. On its first connection it is `first`.
async fn api_server(first: Server) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for connection in 0.. {
            let (stream, _) = listener.accept().await.unwrap();
            let server = match (connection, first) {
                (0, _) => first,
                (_, Server::Once) => Server::Silent,
                (_, Server::Answers | Server::Silent | Server::Stuck | Server::Busy(_)) => Server::Answers,
            };
            let is_early = Arc::new(AtomicBool::new(server == Server::Once));
            let answer = move |request| {
                let is_early = Arc::clone(&is_early);
                async move {
                    match server {
                        Server::Once if is_early.swap(false, Ordering::Relaxed) => {
                            Ok(refusal(StatusCode::TOO_MANY_REQUESTS))
                        }
                        Server::Busy(status) => Ok(refusal(status)),
                        Server::Answers | Server::Once => answer(request).await,
                        Server::Silent => pending().await,
                        Server::Stuck => Ok(Response::new(Answer::from_stream(
                            stream::iter([Ok::<_, Infallible>("{")]).chain(stream::pending()),
                        ))),
                    }
                }
            };
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), hyper::service::service_fn(answer));
            tokio::spawn(connection);
        }
    });
    address
}

fn refusal(status: StatusCode) -> Response<Answer> {
    let mut refusal = Response::new(Answer::from("come back"));
    *refusal.status_mut() = status;
    refusal.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("7200"));
    refusal
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
    let address = way(api_server(Server::Answers).await, dies).await;
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

/// A client of an API server that is `first` on its first connection.
async fn nodes(first: Server, patience: Duration, given_up: GivenUp) -> Api<Node> {
    let config = Config::new(format!("http://{}", api_server(first).await).parse().unwrap());
    let http = pinging(PINGS).http2_only(true).build::<_, Body>(tcp());
    Api::all(demanding_over(&config, http, Demand { patience, given_up }).unwrap())
}

#[tokio::test]
async fn a_request_fails_that_is_not_answered_and_the_next_one_goes_by_another_connection() {
    let patience = Duration::from_millis(300);
    for (server, is_watch) in [(Server::Silent, false), (Server::Silent, true), (Server::Stuck, false)] {
        let nodes = nodes(server, patience, GivenUp::Stays).await;
        let case = format!("{server:?}, a watch: {is_watch}");
        let first = async {
            match is_watch {
                true => nodes.watch(&WatchParams::default(), "0").await.map(drop),
                false => nodes.get("node-a").await.map(drop),
            }
        };
        let error = timeout(LONG, first).await.expect(&case).expect_err(&case);
        assert!(format!("{error:?}").contains("Silence"), "{case}: {error:?}");
        timeout(LONG, nodes.get("node-a")).await.expect(&case).expect(&case);
    }
}

#[tokio::test]
async fn a_connection_on_which_a_request_is_given_up_is_left_by_a_controller_and_not_by_an_agent() {
    let short = Duration::from_millis(300);
    for server in [Server::Silent, Server::Stuck] {
        let of_controller = nodes(server, LONG * 9, GivenUp::Leaves).await;
        assert!(timeout(short, of_controller.get("node-a")).await.is_err());
        timeout(LONG, of_controller.get("node-a")).await.expect("there is another connection").unwrap();
        let of_agent = nodes(server, LONG * 9, GivenUp::Stays).await;
        for _ in 0..2 {
            assert!(timeout(short, of_agent.get("node-a")).await.is_err());
        }
    }
}

#[tokio::test]
async fn an_answer_or_a_refusal_leaves_its_connection_in_use() {
    let nodes = nodes(Server::Once, LONG, GivenUp::Leaves).await;
    for _ in 0..3 {
        timeout(LONG, nodes.get("node-a")).await.expect("by the first connection").unwrap();
    }
}

/// They have pauses of their own, and say what went wrong: an agent that hears nothing for minutes would seem to be well.
#[tokio::test]
async fn whoever_asks_learns_within_seconds_that_the_api_server_refuses_for_now() {
    for status in [429, 503, 504].map(|code| StatusCode::from_u16(code).unwrap()) {
        let nodes = nodes(Server::Busy(status), LONG, GivenUp::Stays).await;
        let few = Duration::from_secs(5);
        let got = timeout(few, nodes.get("node-a")).await.expect("a request is not kept").map(drop);
        let watched = timeout(few, nodes.watch(&WatchParams::default(), "0")).await.expect("nor a watch");
        for answer in [got, watched.map(drop)] {
            let code = answer.expect_err("it is refused");
            assert!(
                matches!(&code, kube::Error::Api(said) if said.code == status.as_u16()),
                "{status}: {code:?}"
            );
        }
    }
}

/// Nothing may happen for longer than an answer may take.
#[tokio::test]
async fn a_watch_is_waited_for_that_has_begun() {
    let patience = Duration::from_millis(300);
    let nodes = nodes(Server::Answers, patience, GivenUp::Leaves).await;
    let mut events = pin!(nodes.watch(&WatchParams::default(), "0").await.unwrap());
    assert!(matches!(events.next().await, Some(Ok(WatchEvent::Added(_)))));
    let quiet = timeout(patience * 3, events.next()).await;
    assert!(quiet.is_err(), "{quiet:?}");
}
