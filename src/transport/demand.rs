//! What a client demands of the API server: that it answers every request, a watch among them, and goes on with what it has begun.
//!
//! An API server may answer pings and nothing else, as one that hangs does behind a proxy that does not. Who waits for it on such a
//! connection waits for ever. So a request that is not answered in time fails, and takes its connection out of use, and so does one
//! that is given up before: the next one makes another.

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

/// How long the API server may say nothing. It gives most requests up itself after so long, and a watch begins at once.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// The API server said nothing for so long.
#[derive(Debug, Error)]
#[error("the API server did not answer within {:?}", .0)]
pub(super) struct Silence(Duration);

/// The same service, of which an answer is demanded within `patience`, and of each answer but a watch its next part.
pub(super) fn demanding<S, B>(
    http: S,
    patience: Duration,
) -> impl Service<Request<Body>, Response = Response<Flowing<B>>, Error = BoxError, Future: Send> + Clone
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
{
    service_fn(move |mut request: Request<Body>| {
        let is_watch = request.uri().query().is_some_and(|query| query.contains("watch=true"));
        let unanswered = Unanswered(Some(capture_connection(&mut request)));
        let answer = http.clone().call(request);
        async move {
            let answer = timeout(patience, answer).await.map_err(|_| Silence(patience))?;
            let connection = unanswered.end();
            // Whoever watches knows how long nothing may happen.
            let pulse = (!is_watch).then(|| Pulse { patience, due: Box::pin(sleep(patience)), connection });
            Ok(answer.map_err(Into::into)?.map(|body| Flowing { body: Box::pin(body), pulse }))
        }
    })
}

/// The connection of a request that has no answer yet.
struct Unanswered(Option<CaptureConnection>);

impl Unanswered {
    /// It has an answer now.
    fn end(mut self) -> Option<CaptureConnection> {
        self.0.take()
    }
}

impl Drop for Unanswered {
    fn drop(&mut self) {
        take_out_of_use(self.0.as_ref());
    }
}

fn take_out_of_use(connection: Option<&CaptureConnection>) {
    if let Some(connected) = connection.map(CaptureConnection::connection_metadata)
        && let Some(connected) = connected.as_ref()
    {
        connected.poison();
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
    connection: Option<CaptureConnection>,
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
        let next = self.body.as_mut().poll_frame(context).map_err(Into::into);
        let Some(pulse) = &mut self.pulse else { return next };
        if next.is_ready() {
            pulse.due.as_mut().reset(Instant::now() + pulse.patience);
            return next;
        }
        ready!(pulse.due.as_mut().poll(context));
        take_out_of_use(pulse.connection.as_ref());
        Poll::Ready(Some(Err(Silence(pulse.patience).into())))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
