//! A client of the API whose requests and bytes are counted: requests as they leave for the connection, those that are tried
//! again among them, and bytes at the connection itself, with TLS and everything around it.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};

use axum::http::{Request, Response, StatusCode, Uri};
use futures::future::BoxFuture;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::TokioIo;
use kube::client::Body;
use kube::{Client, Config};
use secateur::transport;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tower::{Service, ServiceBuilder};

/// What one client has done so far.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    requests: AtomicU64,
    watches: AtomicU64,
    refused: AtomicU64,
    connections: AtomicU64,
    received: AtomicU64,
}

/// A meter's figures at some time, or between two times.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reading {
    /// Requests, without watches.
    pub(crate) requests: u64,
    /// Watches that were opened.
    pub(crate) watches: u64,
    /// Answers of `429 Too Many Requests`.
    pub(crate) refused: u64,
    /// Connections that were made.
    pub(crate) connections: u64,
    /// Bytes that were received.
    pub(crate) received: u64,
}

impl Meter {
    /// The figures now.
    pub(crate) fn read(&self) -> Reading {
        Reading {
            requests: self.requests.load(Relaxed),
            watches: self.watches.load(Relaxed),
            refused: self.refused.load(Relaxed),
            connections: self.connections.load(Relaxed),
            received: self.received.load(Relaxed),
        }
    }

    fn asked<B>(&self, request: &Request<B>) {
        let is_watch = request.uri().query().is_some_and(|query| query.contains("watch="));
        if is_watch { &self.watches } else { &self.requests }.fetch_add(1, Relaxed);
    }

    fn answered<B>(&self, response: &Response<B>) {
        if response.status() == StatusCode::TOO_MANY_REQUESTS {
            self.refused.fetch_add(1, Relaxed);
        }
    }
}

impl Reading {
    /// What was added since an earlier reading.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            requests: self.requests - earlier.requests,
            watches: self.watches - earlier.watches,
            refused: self.refused - earlier.refused,
            connections: self.connections - earlier.connections,
            received: self.received - earlier.received,
        }
    }
}

/// An agent's client, with a meter.
pub(crate) fn client(config: &Config, meter: &Arc<Meter>) -> Client {
    let http = transport::http(config, Metered(Arc::clone(meter))).expect("the certificates can be read");
    let (asking, answering) = (Arc::clone(meter), Arc::clone(meter));
    let counting = ServiceBuilder::new()
        .map_request(move |request: Request<Body>| {
            asking.asked(&request);
            request
        })
        .map_response(move |response: Response<_>| {
            answering.answered(&response);
            response
        })
        .service(http);
    transport::over(config, counting).expect("the token can be read")
}

/// Makes connections that are counted.
#[derive(Clone)]
struct Metered(Arc<Meter>);

impl Service<Uri> for Metered {
    type Response = TokioIo<Counted>;
    type Error = io::Error;
    type Future = BoxFuture<'static, io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        let meter = Arc::clone(&self.0);
        Box::pin(async move {
            let address = (server.host().unwrap_or_default(), server.port_u16().unwrap_or(443));
            let stream = TcpStream::connect(address).await?;
            meter.connections.fetch_add(1, Relaxed);
            Ok(TokioIo::new(Counted { stream, meter }))
        })
    }
}

/// A connection whose bytes are counted.
struct Counted {
    stream: TcpStream,
    meter: Arc<Meter>,
}

impl Connection for Counted {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.meter.received.fetch_add((buffer.filled().len() - before) as u64, Relaxed);
        read
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
