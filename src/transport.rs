//! How an agent and a controller talk to the API server: by one HTTP/2 connection, for their watches and for everything else.
//!
//! kube's own client speaks HTTP/1.1, where a watch has a connection to itself and requests need another one. The API server closes
//! that once nothing was asked for 90 s, and on thousands of nodes a deletion would begin with as many handshakes. And nobody
//! notices there that the other side is dead before a watch is over, which takes five minutes; here it is asked every now and then.
//! One that answers that and nothing else is [given up](demand) too.
//!
//! What it refuses for now is asked again at once, and a few times only: whoever asks has pauses of its own, and says in the log and
//! counts what went wrong. kube's own client would ask for minutes without a word, and for as long as the API server says.
//!
//! One connection carries a hundred requests at a time, more than a controller ever has: its watches, the lists of reports and
//! what it writes.

mod demand;

use std::time::Duration;

use axum::http::{Request, Response, Uri};
use hyper::body::Bytes;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_timeout::TimeoutConnector;
use hyper_util::client::legacy::connect::{Connection, HttpConnector};
use hyper_util::client::legacy::{Builder, Client as HttpClient};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use kube::client::retry::RetryPolicy;
use kube::client::{Body, ClientBuilder, ConfigExt};
use kube::{Client, Config};
use tower::retry::RetryLayer;
use tower::{BoxError, Service, ServiceBuilder};

pub use demand::GivenUp;
use demand::{Demand, PATIENCE, demanding};

/// What Kubernetes' own clients do.
const PINGS: Pings = Pings { after: Duration::from_secs(30), patience: Duration::from_secs(15) };

/// How often what the API server refuses for now (429, 503, 504) is asked again before whoever has asked learns of it.
const AGAIN: u32 = 3;
/// The pauses before that, whatever the refusal says (`Retry-After`): a second and a half in all, and of each agent others.
const SHORTEST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How it is noticed that the API server is dead.
#[derive(Debug, Clone, Copy)]
struct Pings {
    /// After so long without a word it is asked whether it is there still.
    after: Duration,
    /// Without an answer to that for so long the connection is given up.
    patience: Duration,
}

/// An HTTP client on connections that `C` makes.
pub type Http<C, B> = HttpClient<TimeoutConnector<HttpsConnector<C>>, B>;

/// A client of the API server that this configuration names.
///
/// # Errors
///
/// Where the configuration's certificates or credentials can't be used.
pub fn client(mut config: Config, given_up: GivenUp) -> kube::Result<Client> {
    if is_for_kube(&config) {
        config.default_retry = false;
        return Client::try_from(config);
    }
    demanding_over(&config, http(&config, tcp())?, Demand { patience: PATIENCE, given_up })
}

/// What is not so in a pod, and kube's own client knows what to do with.
fn is_for_kube(config: &Config) -> bool {
    config.proxy_url.is_some() || config.tls_server_name.is_some()
}

/// The client of an agent over anything that takes its requests to the API server, an [`http`] client for one.
///
/// # Errors
///
/// Where the configuration's credentials can't be used.
pub fn over<S, B>(config: &Config, http: S) -> kube::Result<Client>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    demanding_over(config, http, Demand { patience: PATIENCE, given_up: GivenUp::Stays })
}

fn demanding_over<S, B>(config: &Config, http: S, demand: Demand) -> kube::Result<Client>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<BoxError>,
{
    let service = ServiceBuilder::new()
        .layer(config.base_uri_layer())
        .option_layer(again())
        .option_layer(config.auth_layer()?)
        .layer(config.extra_headers_layer()?)
        .service(demanding(http, demand));
    Ok(ClientBuilder::new(service, config.default_namespace.clone()).build())
}

/// Asks a few times what is refused for now.
fn again() -> Option<RetryLayer<RetryPolicy>> {
    RetryPolicy::new(SHORTEST_PAUSE, LONGEST_PAUSE, AGAIN, false).ok().map(RetryLayer::new)
}

/// Makes connections without TLS, which is put on top of them.
pub fn tcp() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_nodelay(true);
    connector
}

/// The HTTP client below that.
///
/// # Errors
///
/// Where the configuration's certificates can't be used.
pub fn http<C, B>(config: &Config, connector: C) -> kube::Result<Http<C, B>>
where
    C: Service<Uri> + Clone + Send + Sync + 'static,
    C::Response: Connection + hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
    C::Future: Send + 'static,
    C::Error: Into<BoxError>,
    B: hyper::body::Body + Send,
    B::Data: Send,
{
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(config.rustls_client_config()?)
        .https_or_http()
        .enable_all_versions()
        .wrap_connector(connector);
    let mut connector = TimeoutConnector::new(https);
    connector.set_connect_timeout(config.connect_timeout);
    connector.set_read_timeout(config.read_timeout);
    connector.set_write_timeout(config.write_timeout);
    Ok(pinging(PINGS).build(connector))
}

fn pinging(pings: Pings) -> Builder {
    let mut builder = HttpClient::builder(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .pool_idle_timeout(None)
        .http2_keep_alive_interval(pings.after)
        .http2_keep_alive_timeout(pings.patience)
        .http2_keep_alive_while_idle(true);
    builder
}

#[cfg(test)]
mod tests;
