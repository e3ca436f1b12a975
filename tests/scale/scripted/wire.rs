//! gRPC without generated code: a request of a known type, and one answer or several.

use futures::{Stream, stream};
use hyper::body::Incoming;
use prost::Message;
use tonic::body::Body;
use tonic::server::Grpc;
use tonic::{Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::service_fn;

/// What comes over the connection.
pub(super) type Request = axum::http::Request<Incoming>;
/// What goes back over it.
pub(super) type Answer = axum::http::Response<Body>;

/// Answers a request with a message.
pub(super) async fn one<Q, A>(request: Request, answer: impl Fn(Q) -> Result<A, Status>) -> Answer
where
    Q: Message + Default + 'static,
    A: Message + 'static,
{
    let service = service_fn(|request: tonic::Request<Q>| {
        std::future::ready(answer(request.into_inner()).map(Response::new))
    });
    Grpc::new(ProstCodec::default()).unary(service, request).await
}

/// Answers a request with a stream of messages.
pub(super) async fn many<Q, A, S>(request: Request, answer: impl Fn(Q) -> Result<S, Status>) -> Answer
where
    Q: Message + Default + 'static,
    A: Message + 'static,
    S: Stream<Item = Result<A, Status>> + Send + 'static,
{
    let service = service_fn(|request: tonic::Request<Q>| {
        std::future::ready(answer(request.into_inner()).map(Response::new))
    });
    Grpc::new(ProstCodec::default()).server_streaming(service, request).await
}

/// Answers the first message of a stream with one message.
pub(super) async fn first<Q, A>(request: Request, answer: impl Fn(Q) -> Result<A, Status> + Sync) -> Answer
where
    Q: Message + Default + 'static,
    A: Message + Send + 'static,
{
    let answer = &answer;
    let service = service_fn(async |request: tonic::Request<Streaming<Q>>| {
        let message = request.into_inner().message().await?;
        let message = message.ok_or_else(|| Status::invalid_argument("a stream without a message"))?;
        let answered = answer(message)?;
        Ok::<_, Status>(Response::new(stream::iter([Ok::<_, Status>(answered)])))
    });
    Grpc::new(ProstCodec::default()).streaming(service, request).await
}
