//! `kubectl`, typed by somebody with fewer rights.

use super::Cluster;
use super::control::API_SERVER;
use super::kubectl::{failed, succeeded};
use super::secateur::NAMESPACE;

impl Cluster {
    /// `kubectl apply` with a token.
    #[track_caller]
    pub(crate) fn apply_as(&self, token: &str, yaml: &str) -> String {
        succeeded(&mut self.with_token(token), yaml)
    }

    /// `kubectl apply` with a token; it must be refused.
    #[track_caller]
    pub(crate) fn apply_fails_as(&self, token: &str, yaml: &str) -> String {
        failed(&mut self.with_token(token), yaml)
    }

    /// `kubectl apply` by a user.
    #[track_caller]
    pub(crate) fn apply_by(&self, user: &str, yaml: &str) -> String {
        succeeded(&mut self.kubectl_command(&["apply", "-f", "-", "--as", user]), yaml)
    }

    /// `kubectl apply` by a user; it must be refused.
    #[track_caller]
    pub(crate) fn apply_fails_by(&self, user: &str, yaml: &str) -> String {
        failed(&mut self.kubectl_command(&["apply", "-f", "-", "--as", user]), yaml)
    }

    /// Whether a service account of the chart may do something to objects of a kind, or to a part of them: `kind/status`.
    pub(crate) fn may(&self, component: &str, verb: &str, what: &str) -> bool {
        let account = format!("system:serviceaccount:{NAMESPACE}:secateur-{component}");
        let (what, subresource) = what.split_once('/').unwrap_or((what, ""));
        let subresource = format!("--subresource={subresource}");
        let mut command =
            self.kubectl_command(&["auth", "can-i", verb, what, &subresource, "--as", &account]);
        command.output().expect("kubectl runs").status.success()
    }

    fn with_token(&self, token: &str) -> std::process::Command {
        let (server, token) = (format!("--server=https://{API_SERVER}"), format!("--token={token}"));
        let arguments = ["apply", "-f", "-", &server, &token, "--insecure-skip-tls-verify"];
        let mut command = self.kubectl_command(&arguments);
        command.env("KUBECONFIG", "/dev/null");
        command
    }
}
