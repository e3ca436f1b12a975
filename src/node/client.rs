//! The connection to one containerd, and the way that every call goes.

use std::future::Future;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use containerd_client::services::v1 as services;
use containerd_client::tonic::transport::{Channel, Endpoint, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::{Request, Response, Status};
use tower::service_fn;

use super::error::{CallError, CallFailure, ConnectError};

/// Where containerd usually listens.
pub const DEFAULT_ADDRESS: &str = "/run/containerd/containerd.sock";
/// The namespace that the CRI plugin serves.
pub const DEFAULT_NAMESPACE: &str = "k8s.io";

/// The target of the event that every call leaves in the trace: its `method`, its `resource` and the `seconds` that it took.
pub const CALLS: &str = "secateur::node::calls";

/// How long an ordinary call may take.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);
/// How long a call may take that lists or collects everything.
pub(super) const LONG_DEADLINE: Duration = Duration::from_secs(300);
/// The largest answer that is accepted, in bytes. containerd itself sends at most 16 MiB.
pub(super) const MESSAGE_MAX: usize = 16 << 20;

/// One containerd, in one of its namespaces.
#[derive(Debug, Clone)]
pub struct Containerd {
    channel: Channel,
    address: PathBuf,
    headers: Headers,
    checks_target: bool,
}

/// What a containerd service client is made of here.
pub(super) type Service = InterceptedService<Channel, Headers>;

/// Every call says its namespace, and the lease that holds what it makes.
#[derive(Debug, Clone)]
pub(super) struct Headers {
    namespace: MetadataValue<Ascii>,
    lease: Option<MetadataValue<Ascii>>,
}

impl Interceptor for Headers {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.metadata_mut().insert("containerd-namespace", self.namespace.clone());
        if let Some(lease) = &self.lease {
            request.metadata_mut().insert("containerd-lease", lease.clone());
        }
        Ok(request)
    }
}

impl Containerd {
    /// Connects to the containerd that listens at `address`.
    pub async fn connect(address: &Path, namespace: &str) -> Result<Self, ConnectError> {
        let invalid = || ConnectError::Namespace(namespace.to_owned());
        if namespace.is_empty()
            || !namespace.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
        {
            return Err(invalid());
        }
        let headers = Headers { namespace: namespace.parse().map_err(|_| invalid())?, lease: None };
        UnixStream::connect(address).await.map_err(|source| refused(address, source))?;
        let mut containerd =
            Self { channel: channel(address), address: address.to_owned(), headers, checks_target: false };
        let stranger = |source| ConnectError::NotContainerd { path: address.to_owned(), source };
        let version = containerd.version().await.map_err(stranger)?;
        containerd.checks_target = major(&version).is_some_and(|major| major >= 2);
        // The usual namespace comes with the first image; any other was named by somebody who expects it to be there.
        if namespace != DEFAULT_NAMESPACE {
            let there = containerd.namespaces().await.map_err(stranger)?;
            if !there.iter().any(|name| name == namespace) {
                return Err(ConnectError::NoSuchNamespace { namespace: namespace.to_owned(), there });
            }
        }
        Ok(containerd)
    }

    /// The namespaces that there are, by name.
    async fn namespaces(&self) -> Result<Vec<String>, CallError> {
        let mut client = services::namespaces_client::NamespacesClient::new(self.service());
        let request = services::ListNamespacesRequest { filter: String::new() };
        let answer = call("namespaces.List", "", client.list(request)).await?;
        let mut names: Vec<String> = answer.namespaces.into_iter().map(|namespace| namespace.name).collect();
        names.sort_unstable();
        Ok(names)
    }

    /// The same daemon in each of its other namespaces.
    pub(super) async fn other_namespaces(&self) -> Result<Vec<Self>, CallError> {
        let names = self.namespaces().await?;
        let others = names.iter().filter(|name| *name != self.namespace());
        // No header can carry any other name, so nobody works in such a namespace.
        Ok(others.filter_map(|name| Some(self.in_namespace(name.parse().ok()?))).collect())
    }

    fn in_namespace(&self, namespace: MetadataValue<Ascii>) -> Self {
        Self { headers: Headers { namespace, lease: None }, ..self.clone() }
    }

    /// The daemon's version, as it says it: `1.6.20~ds1`, `v2.3.7`.
    pub async fn version(&self) -> Result<String, CallError> {
        let mut client = services::version_client::VersionClient::new(self.service());
        Ok(call("version.Version", "", client.version(())).await?.version)
    }

    /// Where the daemon listens.
    pub fn address(&self) -> &Path {
        &self.address
    }

    /// The socket itself, where people have made links to it.
    pub(super) fn socket(&self) -> PathBuf {
        self.address.canonicalize().unwrap_or_else(|_| self.address.clone())
    }

    /// Whether the daemon itself refuses to delete a record whose target has changed; since 2.0.
    pub(super) const fn checks_target(&self) -> bool {
        self.checks_target
    }

    /// The same connection, on which the lease holds what is made.
    pub(super) fn under(&self, lease: &MetadataValue<Ascii>) -> Self {
        let headers = Headers { lease: Some(lease.clone()), ..self.headers.clone() };
        Self { headers, ..self.clone() }
    }

    pub(super) fn service(&self) -> Service {
        InterceptedService::new(self.channel.clone(), self.headers.clone())
    }

    pub(super) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    pub(super) fn namespace(&self) -> &str {
        self.headers.namespace.to_str().unwrap_or_default()
    }
}

fn channel(address: &Path) -> Channel {
    let address = address.to_owned();
    Endpoint::from_static("http://containerd.invalid").connect_with_connector_lazy(service_fn(
        move |_: Uri| {
            let address = address.clone();
            async move { UnixStream::connect(address).await.map(TokioIo::new) }
        },
    ))
}

fn refused(address: &Path, source: std::io::Error) -> ConnectError {
    let path = address.to_owned();
    match source.kind() {
        ErrorKind::NotFound => ConnectError::NoSocket(path),
        ErrorKind::PermissionDenied => ConnectError::Permission(path),
        ErrorKind::ConnectionRefused => ConnectError::NotListening(path),
        _ => ConnectError::Io { path, source },
    }
}

fn major(version: &str) -> Option<u32> {
    version.trim_start_matches('v').split('.').next()?.parse().ok()
}

/// One call, within the ordinary deadline.
pub(super) async fn call<T>(
    method: &'static str,
    resource: &str,
    answer: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, CallError> {
    call_within(DEADLINE, method, resource, answer).await
}

/// One call, within a deadline of its own.
pub(super) async fn call_within<T>(
    deadline: Duration,
    method: &'static str,
    resource: &str,
    answer: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, CallError> {
    within(deadline, method, resource, async { answer.await.map(Response::into_inner) }).await
}

/// An exchange with the daemon of whatever length, within a deadline.
pub(super) async fn within<T>(
    deadline: Duration,
    method: &'static str,
    resource: &str,
    exchange: impl Future<Output = Result<T, Status>>,
) -> Result<T, CallError> {
    let begin = Instant::now();
    let answer = tokio::time::timeout(deadline, exchange).await;
    tracing::debug!(target: CALLS, method, resource, seconds = begin.elapsed().as_secs_f64(), "called");
    match answer {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(status)) => Err(CallError::status(method, resource, &status)),
        Err(_) => {
            let reason = CallFailure::Deadline(deadline);
            Err(CallError { method, resource: resource.to_owned(), reason })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_any_spelling() {
        let rows = [("1.6.20~ds1", Some(1)), ("v2.3.7", Some(2)), ("2.0.0-rc.1", Some(2)), ("unknown", None)];
        for (version, expected) in rows {
            assert_eq!(major(version), expected, "{version}");
        }
    }
}
