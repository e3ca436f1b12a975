//! The boundary to the API server: every request of the agent, or of the controller, comes by, just before its connection.

use std::future::pending;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::http::{Request, Response, StatusCode};
use futures::future::BoxFuture;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy::Client as Hyper;
use hyper_util::client::legacy::connect::Connect;
use kube::client::Body;
use kube::{Client, Config};
use secateur::transport;
use serde_json::json;
use tower::{BoxError, Service};

use super::stream::{away, until_broken};
use super::trap::{Trap, Way};

type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;

/// A client of the API server, with a trap.
pub(crate) fn client(config: &Config, trap: Arc<Trap>) -> Client {
    let connections = transport::http(config, transport::tcp()).expect("the certificates can be read");
    transport::over(config, Trapped { connections, trap }).expect("the token can be read")
}

#[derive(Clone)]
struct Trapped<C> {
    connections: Hyper<C, Full<Bytes>>,
    trap: Arc<Trap>,
}

impl<C: Connect + Clone + Send + Sync + 'static> Service<Request<Body>> for Trapped<C> {
    type Response = Answer;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Answer, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let Self { connections, trap } = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let request = Request::from_parts(head, Full::new(body.collect().await?.to_bytes()));
            answer(request, &connections, trap).await
        })
    }
}

async fn answer<C: Connect + Clone + Send + Sync + 'static>(
    request: Request<Full<Bytes>>,
    connections: &Hyper<C, Full<Bytes>>,
    trap: Arc<Trap>,
) -> Result<Answer, BoxError> {
    let send = async || connections.request(request.clone()).await;
    let is_watch = is_watch(&request);
    // Nobody waits for the end of a watch.
    let done = async || -> Result<(), BoxError> {
        let answer = send().await?;
        if !is_watch {
            answer.into_body().collect().await?;
        }
        Ok(())
    };
    let passed = |answer: Response<Incoming>| match is_watch {
        true => answer.map(|body| until_broken(body, Arc::clone(&trap))),
        false => answer.map(|body| body.map_err(BoxError::from).boxed_unsync()),
    };
    let _open = trap.open();
    match trap.enter(&name(&request)).await {
        Way::Pass => Ok(passed(send().await?)),
        Way::PassTwice => {
            done().await?;
            Ok(passed(send().await?))
        }
        Way::Break => Err(away()),
        Way::Lose => {
            done().await?;
            Err(away())
        }
        Way::Refuse => Ok(said(500)),
        Way::Answer(status) => Ok(said(status)),
        Way::AnswerAfter(status) => {
            done().await?;
            Ok(said(status))
        }
        Way::Hang => pending().await,
        Way::PassAndHang => {
            done().await?;
            trap.die();
            pending().await
        }
    }
}

/// What the API server says where it does not do what it is asked.
fn said(code: u16) -> Answer {
    let reason = match code {
        401 => "Unauthorized",
        403 => "Forbidden",
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "InternalError",
    };
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "code": code, "reason": reason,
        "message": "refused by the test",
    });
    let text = Full::from(status.to_string()).map_err(|never| match never {});
    let mut answer = Response::new(text.boxed_unsync());
    *answer.status_mut() = StatusCode::from_u16(code).expect("it is a status");
    answer
}

fn is_watch(request: &Request<Full<Bytes>>) -> bool {
    request.uri().query().is_some_and(|query| query.contains("watch="))
}

/// `PATCH imagedeletionreports`: the method and the kind of object.
fn name(request: &Request<Full<Bytes>>) -> String {
    let path = request.uri().path().trim_matches('/');
    let parts: Vec<&str> = path.split('/').collect();
    let at = if parts.first() == Some(&"api") { 2 } else { 3 };
    let at = if parts.get(at) == Some(&"namespaces") && parts.len() > at + 2 { at + 2 } else { at };
    let method = if is_watch(request) { "WATCH" } else { request.method().as_str() };
    format!("{method} {}", parts.get(at).unwrap_or(&path))
}
