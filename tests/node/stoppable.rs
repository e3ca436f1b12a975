//! One deletion in a process of its own, which a test can stop and kill: `secateur-stoppable SOCKET OWNER ENTRY...`.
//!
//! Forced where `SECATEUR_FORCE` is set. Prints one line of JSON, which says what was recovered and what was done, and then acknowledges it.

use std::error::Error;
use std::path::Path;

use secateur::image::{Entry, Removal, Request, Rules};
use secateur::node::{EntryResult, Node, Operation, Progress, Watch};
use serde_json::{Value, json};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let socket = arguments.next().ok_or("no socket")?;
    let owner = arguments.next().ok_or("no owner")?;
    let entries = arguments.map(|text| text.parse::<Entry>());
    let operation = Operation {
        owner,
        request: Request {
            entries: entries.collect::<Result<_, _>>()?,
            rules: Rules {
                force: std::env::var_os("SECATEUR_FORCE").is_some(),
                prune: true,
                ..Rules::default()
            },
        },
        ..Operation::default()
    };
    let cancel = CancellationToken::new();
    let mut terminated = signal(SignalKind::terminate())?;
    let watch = Watch { cancel: cancel.clone(), progress: &|_: Progress| {}, needs: &operation.pods };
    tokio::spawn(async move {
        terminated.recv().await;
        cancel.cancel();
    });

    let node = Node::connect(Path::new(&socket), "k8s.io").await?;
    let turn = node.turn(&watch.cancel).await?;
    let done = node.delete(turn, &operation, &watch).await?;
    let recovered = done.recovered.iter();
    let answer = json!({
        "recovered": recovered
            .map(|recovered| json!({"owner": recovered.owner, "results": results(&recovered.results)}))
            .collect::<Vec<_>>(),
        "results": results(&done.results),
    });
    println!("{answer}");
    node.acknowledge(done).await?;
    Ok(())
}

fn results(results: &[EntryResult]) -> Vec<Value> {
    let result = |result: &EntryResult| {
        json!({
            "entry": result.entry,
            "outcome": format!("{:?}", result.outcome),
            "removals": result.removals.iter().map(removal).collect::<Vec<_>>(),
            "conflicts": result.conflicts.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "reclaimed": result.reclaimed_bytes,
            "messages": result.messages,
        })
    };
    results.iter().map(result).collect()
}

fn removal(removal: &Removal) -> String {
    match removal {
        Removal::Untagged(name) => format!("untagged {name}"),
        Removal::Deleted(image) => format!("deleted {image}"),
    }
}
