//! What a client demands of the API server: that it answers every request, a watch among them, and goes on with what it has begun.
//!
//! An API server may answer pings and nothing else, as one that hangs does behind a proxy that does not. Who waits for it on such a
//! connection waits for ever. So a request that is not answered in time fails, and its connection is left: the next one makes another.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::http::{Request, Response};
use hyper::body::{Body as HttpBody, Bytes, Frame, SizeHint};
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use kube::client::Body;
use thiserror::Error;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tower::{BoxError, Service, service_fn};

/// How long the API server may say nothing. It gives most requests up itself after 60 s, and a watch begins at once.
pub(super) const PATIENCE: Duration = Duration::from_secs(75);

/// What becomes of the connection on which a request is given up by whoever has asked, before its answer is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GivenUp {
    /// It is left. For a controller: what is asked next goes by another one.
    Leaves,
    /// It stays. Agents are too many: where an API server is slow, all of them would connect anew, at the worst time.
    Stays,
}

/// How long is waited, and for whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Demand {
    pub(super) patience: Duration,
    pub(super) given_up: GivenUp,
}

/// The API server said nothing for so long.
#[derive(Debug, Error)]
#[error("the API server did not answer within {:?}", .0)]
pub(super) struct Silence(Duration);

/// The same service, of which an answer is demanded in time, and of each answer but a watch its next part.
pub(super) fn demanding<S, B>(
    http: S,
    demand: Demand,
) -> impl Service<Request<Body>, Response = Response<Flowing<B>>, Error = BoxError, Future: Send> + Clone
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
{
    service_fn(move |mut request: Request<Body>| {
        let is_watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
        let Demand { patience, given_up } = demand;
        let mut waiting = Waiting { connection: Some(capture_connection(&mut request)), given_up };
        let answer = http.clone().call(request);
        async move {
            let Ok(answer) = timeout(patience, answer).await else {
                waiting.leave();
                return Err(Silence(patience).into());
            };
            let is_refusal = answer.as_ref().is_ok_and(|answer| !answer.status().is_success());
            if is_watch || is_refusal {
                // Whoever watches knows how long nothing may happen, and of a refusal the rest may never be read.
                waiting.end();
            }
            let pulse = (!is_watch).then(|| Pulse { patience, due: Box::pin(sleep(patience)), waiting });
            Ok(answer.map_err(Into::into)?.map(|body| Flowing { body: Box::pin(body), pulse }))
        }
    })
}

/// The connection of a request whose answer is not complete yet.
struct Waiting {
    connection: Option<CaptureConnection>,
    given_up: GivenUp,
}

impl Waiting {
    /// The answer is complete.
    fn end(&mut self) {
        self.connection = None;
    }

    /// No request is sent on that connection any more.
    fn leave(&mut self) {
        if let Some(connection) = self.connection.take()
            && let Some(connected) = connection.connection_metadata().as_ref()
        {
            connected.poison();
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if self.given_up == GivenUp::Leaves {
            self.leave();
        }
    }
}

/// What an answer says.
pub(super) struct Flowing<B> {
    body: Pin<Box<B>>,
    pulse: Option<Pulse>,
}

/// When the next part of an answer must be there.
struct Pulse {
    patience: Duration,
    due: Pin<Box<Sleep>>,
    waiting: Waiting,
}

impl<B> HttpBody for Flowing<B>
where
    B: HttpBody<Data = Bytes>,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Self { body, pulse } = &mut *self;
        let next = body.as_mut().poll_frame(context).map_err(Into::into);
        let Some(pulse) = pulse else { return next };
        match &next {
            Poll::Pending => {
                ready!(pulse.due.as_mut().poll(context));
                pulse.waiting.leave();
                return Poll::Ready(Some(Err(Silence(pulse.patience).into())));
            }
            Poll::Ready(Some(_)) if !body.is_end_stream() => {
                pulse.due.as_mut().reset(Instant::now() + pulse.patience);
            }
            Poll::Ready(_) => pulse.waiting.end(),
        }
        next
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
