//! The API server as a machine sees it whose clock is off.
//!
//! No process can be given another clock (it is the system's), and only the difference between two clocks can be seen. So the
//! other one is moved: every time that the API server tells is later or earlier, in its `Date` and in its objects, and every
//! time that it is told is moved back.

use axum::body::Body as AnyBody;
use axum::body::to_bytes;
use axum::http::header::{CONTENT_LENGTH, DATE};
use axum::http::{HeaderValue, Request, Response};
use futures::{StreamExt, stream};
use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};
use kube::Client;
use kube::client::Body;
use serde_json::Value;
use tower::service_fn;

use super::Cluster;

/// What the API server takes at most.
const OBJECT_MAX: usize = 4 << 20;

impl Cluster {
    /// A client with every right, for which the API server's clock is ahead by so much.
    pub(crate) fn client_elsewhere(&self, ahead: SignedDuration) -> Client {
        let client = self.client();
        let namespace = client.default_namespace().to_owned();
        let service = service_fn(move |request: Request<Body>| {
            let client = client.clone();
            async move {
                let (head, body) = request.into_parts();
                let body = to_bytes(AnyBody::new(body), OBJECT_MAX).await.expect("a request can be read");
                let body = Body::from(moved(&body, -ahead));
                let answer = client.send(Request::from_parts(head, body)).await?;
                Ok::<_, kube::Error>(answer_elsewhere(answer, ahead))
            }
        });
        Client::new(service, namespace)
    }
}

fn answer_elsewhere(answer: Response<Body>, ahead: SignedDuration) -> Response<AnyBody> {
    let (mut head, body) = answer.into_parts();
    head.headers.remove(CONTENT_LENGTH);
    let date = head.headers.get(DATE).expect("the API server tells its time").to_str().expect("it is text");
    let date = rfc2822::parse(date).expect("a date").timestamp() + ahead;
    let date = rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&date).expect("a date");
    head.headers.insert(DATE, HeaderValue::from_str(&date).expect("a date is a header's value"));
    // Each event of a watch is a line; another answer is one without an end.
    let chunks = AnyBody::new(body).into_data_stream();
    let lines =
        stream::unfold((chunks, Vec::new(), false), move |(mut chunks, mut line, mut ended)| async move {
            loop {
                let end = line.iter().position(|byte| *byte == b'\n').map(|end| end + 1);
                if let Some(end) = end.or(ended.then_some(line.len())).filter(|end| *end > 0) {
                    let rest = line.split_off(end);
                    return Some((Ok::<_, axum::Error>(moved(&line, ahead)), (chunks, rest, ended)));
                }
                if ended {
                    return None;
                }
                match chunks.next().await {
                    Some(Ok(chunk)) => line.extend_from_slice(&chunk),
                    Some(Err(error)) => return Some((Err(error), (chunks, Vec::new(), true))),
                    None => ended = true,
                }
            }
        });
    Response::from_parts(head, AnyBody::from_stream(lines))
}

/// Some JSON with every time in it moved; anything else as it is.
fn moved(text: &[u8], by: SignedDuration) -> Vec<u8> {
    let Ok(mut value) = serde_json::from_slice(text) else { return text.to_vec() };
    move_times(&mut value, by);
    let mut moved = value.to_string().into_bytes();
    if text.ends_with(b"\n") {
        moved.push(b'\n');
    }
    moved
}

fn move_times(value: &mut Value, by: SignedDuration) {
    match value {
        Value::String(text) if text.ends_with('Z') => {
            if let Ok(time) = text.parse::<Timestamp>() {
                *text = (time + by).to_string();
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| move_times(value, by)),
        Value::Object(values) => values.values_mut().for_each(|value| move_times(value, by)),
        _ => {}
    }
}
