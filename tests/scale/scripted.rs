//! The scripted node: what stands in for containerd where there are too many nodes for a real one on each.
//!
//! It speaks containerd's and the CRI's gRPC on a unix socket, for a [`store`] in memory. It must know every call that an agent
//! makes and answer it as containerd 2.x would for this store; any other call it refuses, so that no agent can depend on
//! something that was forgotten here. It must not be quicker to please than containerd: what a record, a lease or a label
//! keeps stays, and content goes only when the collector is asked to run. It takes no time of its own, so that all nodes
//! report at once, which is the worst for the cluster. It knows nothing of Kubernetes or of Secateur.

mod calls;
mod content;
mod cri;
mod images;
mod store;
mod wire;

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use hyper::server::conn::http2;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::UnixListener;

pub(crate) use self::images::Image;
use self::store::Node;

/// The socket of a scripted node in a directory of all of them.
pub(crate) fn socket(directory: &Path, node: usize) -> PathBuf {
    directory.join(node.to_string()).join("containerd.sock")
}

/// Serves `count` nodes below a directory, each with these images and a container of its own, until the process ends.
/// `ready` is called when every socket is there.
pub(crate) async fn serve(directory: &Path, count: usize, images: &[Image], ready: impl FnOnce()) {
    let content = content::Content::of(images);
    for node in 0..count {
        let socket = socket(directory, node);
        std::fs::create_dir_all(socket.parent().expect("it is in a directory"))
            .expect("directories can be made");
        let listener = UnixListener::bind(socket).expect("the socket is new");
        tokio::spawn(listen(listener, Arc::new(Node::new(&content))));
    }
    ready();
    std::future::pending().await
}

/// Answers whoever connects to a node.
async fn listen(listener: UnixListener, node: Arc<Node>) {
    while let Ok((connection, _)) = listener.accept().await {
        let node = Arc::clone(&node);
        let service = service_fn(move |request| {
            let answer = calls::answer(Arc::clone(&node), request);
            async { Ok::<_, Infallible>(answer.await) }
        });
        let server = http2::Builder::new(TokioExecutor::new());
        tokio::spawn(server.serve_connection(TokioIo::new(connection), service));
    }
}
