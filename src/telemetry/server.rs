//! `/metrics`, `/healthz` and `/readyz` over HTTP.

use std::io;

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::{Router, routing::get};
use prometheus::{Registry, TEXT_FORMAT, TextEncoder};

use super::health::Health;
use super::listen::Listen;

/// What is served.
#[derive(Debug, Clone)]
pub struct Served {
    /// The metrics.
    pub registry: Registry,
    /// Whether the process is ready.
    pub health: Health,
}

/// Listens at this place; what is returned serves until it is dropped.
///
/// # Errors
///
/// Where it can't be listened at.
pub async fn serve(place: Listen, served: Served) -> io::Result<impl Future<Output = io::Result<()>> + Send> {
    let listener = place.bind().await?;
    tracing::info!(address = %listener.local_addr()?, "serving metrics and health");
    let routes = Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .with_state(served);
    Ok(axum::serve(listener, routes).into_future())
}

async fn metrics(State(served): State<Served>) -> Response {
    match TextEncoder::new().encode_to_string(&served.registry.gather()) {
        Ok(text) => ([(header::CONTENT_TYPE, TEXT_FORMAT)], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

async fn readyz(State(served): State<Served>) -> Response {
    match served.health.complaint() {
        None => "ok\n".into_response(),
        Some(complaint) => (StatusCode::SERVICE_UNAVAILABLE, complaint).into_response(),
    }
}
