//! The boundary to the API server: every request of the agent comes by, just before its connection.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::http::{Request, Response, StatusCode};
use futures::future::BoxFuture;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper_util::client::legacy::Client as Hyper;
use hyper_util::client::legacy::connect::Connect;
use kube::client::Body;
use kube::{Client, Config};
use secateur::transport;
use tower::{BoxError, Service};

use super::trap::{Trap, Way};

type Answer = Response<BoxBody<Bytes, hyper::Error>>;

/// An agent's client, with a trap.
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
            answer(request, &connections, &trap).await
        })
    }
}

async fn answer<C: Connect + Clone + Send + Sync + 'static>(
    request: Request<Full<Bytes>>,
    connections: &Hyper<C, Full<Bytes>>,
    trap: &Trap,
) -> Result<Answer, BoxError> {
    let send = async || connections.request(request.clone()).await;
    let passed = |answer: Response<Incoming>| answer.map(BodyExt::boxed);
    let away = || Err(BoxError::from(io::Error::from(io::ErrorKind::ConnectionReset)));
    let is_watch = request.uri().query().is_some_and(|query| query.contains("watch="));
    if is_watch {
        if trap.is_dead() {
            return pending().await;
        }
        return Ok(passed(send().await?));
    }
    match trap.enter(&name(&request)).await {
        Way::Pass => Ok(passed(send().await?)),
        Way::PassTwice => {
            send().await?.into_body().collect().await?;
            Ok(passed(send().await?))
        }
        Way::Break => away(),
        Way::Lose => {
            send().await?.into_body().collect().await?;
            away()
        }
        Way::Refuse => {
            let text = Full::from("refused by the test").map_err(|never| match never {});
            let mut answer = Response::new(text.boxed());
            *answer.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
            Ok(answer)
        }
        Way::Hang => pending().await,
        Way::PassAndHang => {
            send().await?.into_body().collect().await?;
            trap.die();
            pending().await
        }
    }
}

/// `PATCH imagedeletionreports`: the method and the kind of object.
fn name(request: &Request<Full<Bytes>>) -> String {
    let path = request.uri().path().trim_matches('/');
    let parts: Vec<&str> = path.split('/').collect();
    let at = if parts.first() == Some(&"api") { 2 } else { 3 };
    format!("{} {}", request.method(), parts.get(at).unwrap_or(&path))
}
