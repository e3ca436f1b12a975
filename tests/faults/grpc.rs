//! The boundary to containerd: a socket on which every call of the agent comes by, before the real one.

use std::convert::Infallible;
use std::future::pending;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::http::{HeaderValue, Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{UnixListener, UnixStream};
use tower::BoxError;

use super::stream::until_broken;
use super::trap::{Trap, Way};

/// What lasts for as long as a connection.
const STANDING: &str = "Events/Subscribe";
/// What is asked until the first is heard of, and that is at no certain call.
const UNCOUNTED: &str = "Events/Publish";

type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;
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
        async move { Ok::<_, Infallible>(answer(request, sender, trap).await) }
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

async fn answer(request: Request<Incoming>, mut sender: SendRequest<Full<Bytes>>, trap: Arc<Trap>) -> Answer {
    let (head, body) = request.into_parts();
    let call = name(head.uri.path());
    let Ok(body) = body.collect().await else { return pending().await };
    let request = Request::from_parts(head, Full::new(body.to_bytes()));
    let mut send = || sender.send_request(request.clone());
    if call == UNCOUNTED {
        if trap.is_dead() {
            pending::<()>().await;
        }
        return passed(send().await);
    }
    let stands = call == STANDING;
    let passed = |answer| match stands {
        true => passed_on(answer, |body| until_broken(body, Arc::clone(&trap))),
        false => passed(answer),
    };
    let _open = trap.open();
    match trap.enter(&call).await {
        Way::Pass => passed(send().await),
        Way::PassTwice => {
            done(send().await, stands).await;
            passed(send().await)
        }
        Way::Break => status("14", "broken by the test"),
        Way::Refuse | Way::Answer(_) | Way::AnswerAfter(_) => status("13", "refused by the test"),
        Way::Lose => {
            done(send().await, stands).await;
            status("14", "lost by the test")
        }
        Way::Hang => pending().await,
        Way::PassAndHang => {
            done(send().await, stands).await;
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
    passed_on(answer, |body| body.map_err(BoxError::from).boxed_unsync())
}

fn passed_on(answer: Passed, body: impl FnOnce(Incoming) -> UnsyncBoxBody<Bytes, BoxError>) -> Answer {
    match answer {
        Ok(answer) => answer.map(body),
        Err(_) => status("14", "containerd is away"),
    }
}

/// Waits until a call has been answered whole, or for its beginning where it has no end.
async fn done(answer: Passed, stands: bool) {
    if let Ok(answer) = answer
        && !stands
    {
        // Whatever it says.
        let _ = answer.into_body().collect().await;
    }
}

/// An answer without a message: a gRPC status alone.
fn status(code: &'static str, message: &'static str) -> Answer {
    let mut answer = Response::new(Empty::new().map_err(|never| match never {}).boxed_unsync());
    let headers = [("content-type", "application/grpc"), ("grpc-status", code), ("grpc-message", message)];
    for (name, value) in headers {
        answer.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    answer
}
