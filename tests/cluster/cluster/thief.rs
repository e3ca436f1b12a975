//! Somebody with a stolen token, and what the API server lets them do.

use std::collections::BTreeSet;
use std::fs;

use k8s_openapi::api::authorization::v1::{SelfSubjectRulesReview, SelfSubjectRulesReviewSpec};
use kube::client::Body;
use kube::config::AuthInfo;
use kube::{Api, Client, Config};
use serde_json::{Value, json};

use super::control::API_SERVER;
use super::secateur::NAMESPACE;
use super::{Cluster, Node};

/// Where a container finds the token of its pod.
pub(crate) const TOKEN: &str = "var/run/secrets/kubernetes.io/serviceaccount/token";

/// Somebody who has a token and nothing else.
pub(crate) struct Thief {
    client: Client,
}

/// What the API server said.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: u16,
    pub text: String,
}

impl Answer {
    /// Whether there is no right to what was asked for.
    pub(crate) fn is_forbidden(&self) -> bool {
        self.status == 403
    }

    /// Whether it was done.
    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }
}

impl Node {
    /// The token of a container of Secateur that runs here, as root of the node finds it.
    pub(crate) async fn steal_token(&self, container: &str) -> String {
        let pid = self.container_pids(NAMESPACE, container).await[0];
        fs::read_to_string(format!("/proc/{pid}/root/{TOKEN}")).expect("the container has a token")
    }
}

impl Cluster {
    /// Somebody with this token.
    pub(crate) fn thief(&self, token: &str) -> Thief {
        let mut config = Config::new(format!("https://{API_SERVER}").parse().expect("an address"));
        config.root_cert_file = Some(self.directory().join("certificates/ca.crt"));
        config.auth_info = AuthInfo { token: Some(token.to_owned().into()), ..AuthInfo::default() };
        Thief { client: Client::try_from(config).expect("the client can be made") }
    }
}

impl Thief {
    /// Sends a request, whatever comes of it.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: Value) -> Answer {
        self.ask_with(method, path, body, &[]).await
    }

    /// Sends a request with some more headers.
    pub(crate) async fn ask_with(
        &self,
        method: &str,
        path: &str,
        body: Value,
        headers: &[(&str, &str)],
    ) -> Answer {
        let content = match method {
            "PATCH" => "application/merge-patch+json",
            _ => "application/json",
        };
        let mut request =
            axum::http::Request::builder().method(method).uri(path).header("content-type", content);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let request = request.body(Body::from(body)).expect("a request");
        let response = self.client.send(request).await.expect("the API server answers");
        let status = response.status().as_u16();
        let text = response.into_body().collect_bytes().await.expect("the answer can be read");
        Answer { status, text: String::from_utf8_lossy(&text).into_owned() }
    }

    /// Tries what must be forbidden, each with a body that says nothing: rights are looked at first.
    pub(crate) async fn fails_at(&self, attempts: &[(&str, &str)]) {
        for (method, path) in attempts {
            let answer = self.ask(method, path, json!({})).await;
            assert!(answer.is_forbidden(), "{method} {path}: {answer:?}");
        }
    }

    /// All that the token may do in a namespace: `group/resource [of these names]: verbs`, one line for each resource.
    pub(crate) async fn rights(&self, namespace: &str) -> BTreeSet<String> {
        let review = SelfSubjectRulesReview {
            spec: SelfSubjectRulesReviewSpec { namespace: Some(namespace.to_owned()) },
            ..SelfSubjectRulesReview::default()
        };
        let reviews: Api<SelfSubjectRulesReview> = Api::all(self.client.clone());
        let status = reviews.create(&Default::default(), &review).await.expect("one may ask").status;
        let mut lines = BTreeSet::new();
        for rule in status.expect("the API server answers").resource_rules {
            let names = rule.resource_names.unwrap_or_default().join(" ");
            let of = if names.is_empty() { names } else { format!(" {names}") };
            for group in rule.api_groups.iter().flatten() {
                for resource in rule.resources.iter().flatten() {
                    lines.insert(format!("{group}/{resource}{of}: {}", rule.verbs.join(" ")));
                }
            }
        }
        lines
    }
}
