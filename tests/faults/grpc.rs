//! The boundary to containerd: a socket on which every call of the agent comes by, before the real one.

use std::convert::Infallible;
use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::http::{HeaderValue, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{UnixListener, UnixStream};

use super::trap::{Trap, Way};

/// Not about an operation, and one of them lasts for as long as a connection.
const STANDING: [&str; 2] = ["Events/Subscribe", "Events/Publish"];

type Answer = Response<BoxBody<Bytes, hyper::Error>>;
type Passed = hyper::Result<Response<Incoming>>;

/// Listens at `socket`, and passes everything on to the daemon that listens at `daemon`.
pub(crate) fn listen(socket: PathBuf, daemon: PathBuf, trap: Arc<Trap>) {
    let listener = UnixListener::bind(socket).expect("the socket is new");
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.expect("the socket can be listened at");
            tokio::spawn(serve(stream, daemon.clone(), Arc::clone(&trap)));
        }
    });
}

async fn serve(stream: UnixStream, daemon: PathBuf, trap: Arc<Trap>) {
    let Ok(sender) = connect(&daemon).await else { return };
    let answer = service_fn(move |request| {
        let (sender, trap) = (sender.clone(), Arc::clone(&trap));
        async move { Ok::<_, Infallible>(answer(request, sender, &trap).await) }
    });
    let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), answer);
    // It ends with the agent, or with its connection.
    let _ = connection.await;
}

async fn connect(daemon: &Path) -> Result<SendRequest<Full<Bytes>>, ()> {
    let stream = UnixStream::connect(daemon).await.map_err(drop)?;
    let connected = hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await;
    let (sender, connection) = connected.map_err(drop)?;
    tokio::spawn(connection);
    Ok(sender)
}

async fn answer(request: Request<Incoming>, mut sender: SendRequest<Full<Bytes>>, trap: &Trap) -> Answer {
    let (head, body) = request.into_parts();
    let call = name(head.uri.path());
    let Ok(body) = body.collect().await else { return pending().await };
    let request = Request::from_parts(head, Full::new(body.to_bytes()));
    if STANDING.contains(&call.as_str()) {
        if trap.is_dead() {
            pending::<()>().await;
        }
        return passed(sender.send_request(request).await);
    }
    match trap.enter(&call).await {
        Way::Pass => passed(sender.send_request(request).await),
        Way::PassTwice => {
            whole(sender.send_request(request.clone()).await).await;
            passed(sender.send_request(request).await)
        }
        Way::Break => status("14", "broken by the test"),
        Way::Refuse => status("13", "refused by the test"),
        Way::Lose => {
            whole(sender.send_request(request).await).await;
            status("14", "lost by the test")
        }
        Way::Hang => pending().await,
        Way::PassAndHang => {
            whole(sender.send_request(request).await).await;
            trap.die();
            pending().await
        }
    }
}

/// `Images/Delete` of `/containerd.services.images.v1.Images/Delete`.
fn name(path: &str) -> String {
    path.rsplit('.').next().unwrap_or(path).to_owned()
}

fn passed(answer: Passed) -> Answer {
    match answer {
        Ok(answer) => answer.map(BodyExt::boxed),
        Err(_) => status("14", "containerd is away"),
    }
}

/// Waits until a call has been answered whole.
async fn whole(answer: Passed) {
    if let Ok(answer) = answer {
        // Whatever it says.
        let _ = answer.into_body().collect().await;
    }
}

/// An answer without a message: a gRPC status alone.
fn status(code: &'static str, message: &'static str) -> Answer {
    let mut answer = Response::new(Empty::new().map_err(|never| match never {}).boxed());
    let headers = [("content-type", "application/grpc"), ("grpc-status", code), ("grpc-message", message)];
    for (name, value) in headers {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}
