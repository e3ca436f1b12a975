use std::collections::BTreeMap;

use kube::Config;
use tokio::sync::mpsc::{self, Receiver};

use super::*;
use crate::api::report::ImageDeletionReportSpec;
use crate::api::status::Phase;
use crate::controller::fixture::{self, Nobody, deletion};

/// Listings whose requests nobody answers.
fn listings() -> (Listings, Receiver<Input>) {
    let client = Client::try_from(Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap();
    let (inputs, receiver) = mpsc::channel(1);
    (Listings::new(client, inputs, Arc::new(Nobody)), receiver)
}

fn report(node: &str) -> ImageDeletionReportSpec {
    fixture::report(node).spec
}

fn list(nodes: &[&str]) -> Reports {
    let mut reports = Reports::on("uid-one");
    for node in nodes {
        reports.insert(report(node));
    }
    reports
}

/// What there is to be told, in words.
fn words(told: impl IntoIterator<Item = ReportChange>) -> Vec<String> {
    let words = |change: ReportChange| match change {
        Change::Listed(reports) => {
            let nodes: Vec<_> = reports.stages().map(|(node, _)| node.to_owned()).collect();
            format!("all: {}", nodes.join(" "))
        }
        Change::Applied(report) => format!("{} reports", report.node_name),
        Change::Gone(node) => format!("{node} is gone"),
    };
    told.into_iter().map(words).collect()
}

fn told(listings: &mut Listings, news: News) -> Vec<String> {
    words(listings.news(news).map(|(of, change)| {
        assert_eq!(of, uid());
        change
    }))
}

fn uid() -> Uid {
    "uid-one".into()
}

fn begins() -> Interest {
    Interest::Begins(Target::of(&deletion()))
}

fn number(listings: &Listings) -> Option<Number> {
    match listings.deletions.get(&uid())?.1 {
        State::Listing { number, .. } => Some(number),
        State::Unlisted | State::Listed => None,
    }
}

/// Listings of one deletion, whose reports are being listed.
fn listing() -> (Listings, Receiver<Input>, Number) {
    let (mut listings, inputs) = listings();
    listings.news(News::Begins);
    listings.interest(begins());
    let number = number(&listings).unwrap();
    (listings, inputs, number)
}

/// Who keeps what goes wrong.
struct Complaints(Sender<ErrorKind>);

impl Observer for Complaints {
    fn phases(&self, _: &BTreeMap<Phase, usize>) {}

    fn error(&self, kind: ErrorKind) {
        let _ = self.0.try_send(kind);
    }

    fn ready(&self, _: bool) {}
}

#[tokio::test]
async fn a_list_that_fails_is_told_of_as_what_it_is() {
    let (complaints, mut kinds) = mpsc::channel(1);
    let (mut listings, _inputs) = listings();
    listings.observer = Arc::new(Complaints(complaints));
    listings.news(News::Begins);
    listings.interest(begins());
    assert_eq!(kinds.recv().await, Some(ErrorKind::Recount));
}

#[tokio::test]
async fn nothing_is_listed_before_the_news_begin() {
    let (mut listings, _inputs) = listings();
    listings.interest(begins());
    assert_eq!(number(&listings), None);
    assert_eq!(told(&mut listings, News::Begins), [""; 0]);
    assert!(number(&listings).is_some());
}

#[tokio::test]
async fn what_is_told_while_a_list_is_made_comes_after_it() {
    let (mut listings, _inputs) = listings();
    listings.news(News::Begins);
    assert_eq!(told(&mut listings, News::Applied(report("a"))), [""; 0], "nobody wants to know");
    listings.interest(begins());
    let first = number(&listings).unwrap();
    assert_eq!(told(&mut listings, News::Applied(report("a"))), [""; 0]);
    assert_eq!(told(&mut listings, News::Gone(report("b"))), [""; 0]);
    let after = listings.listed(&uid(), first, list(&["b"]));
    assert_eq!(words(after), ["all: b", "a reports", "b is gone"]);
    assert_eq!(told(&mut listings, News::Applied(report("c"))), ["c reports"]);
}

#[tokio::test]
async fn of_what_a_node_tells_while_a_list_is_made_the_last_comes_after_it() {
    let (mut listings, _inputs, first) = listing();
    for _ in 0..1_000 {
        listings.news(News::Applied(report("a")));
    }
    assert_eq!(words(listings.listed(&uid(), first, list(&[]))), ["all: ", "a reports"]);
}

#[tokio::test]
async fn a_report_that_names_another_deletion_is_not_told_of() {
    let (mut listings, _inputs, first) = listing();
    listings.listed(&uid(), first, list(&[]));
    let stray = ImageDeletionReportSpec { image_deletion: "two".into(), ..report("a") };
    assert_eq!(told(&mut listings, News::Applied(stray.clone())), [""; 0]);
    assert_eq!(told(&mut listings, News::Gone(stray)), [""; 0]);
}

#[tokio::test]
async fn all_is_listed_again_when_the_news_begin_again() {
    let (mut listings, _inputs, first) = listing();
    listings.news(News::Begins);
    let second = number(&listings).unwrap();
    assert_eq!(told(&mut listings, News::Applied(report("a"))), [""; 0]);
    assert!(listings.listed(&uid(), first, list(&[])).is_empty(), "it is of before");
    let after = listings.listed(&uid(), second, list(&["b"]));
    assert_eq!(words(after), ["all: b", "a reports"]);
}

#[tokio::test]
async fn nothing_is_told_of_a_deletion_that_is_over() {
    let (mut listings, _inputs, first) = listing();
    listings.interest(Interest::Ends(uid()));
    assert!(listings.listed(&uid(), first, list(&["a"])).is_empty());
    assert_eq!(told(&mut listings, News::Applied(report("a"))), [""; 0]);
}
