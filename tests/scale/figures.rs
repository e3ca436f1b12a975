//! What was measured, and what of it is good enough.

use serde::{Deserialize, Serialize};

use crate::memory::Memory;
use crate::run::UPDATES;

const KIB: f64 = 1024.0;
const MB: f64 = 1e6;
/// How much longer it may take for each node where there are more: the machine is not equally fast all the time.
const LINEAR: f64 = 1.5;

/// What one run measured.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Figures {
    /// The number of nodes.
    pub(crate) nodes: usize,
    /// Requests of all agents in a time without deletions, without watches that are opened again.
    pub(crate) idle_requests: u64,
    /// Seconds from before `kubectl apply` until a watch hears of `Complete`.
    pub(crate) seconds: f64,
    /// The most requests that one agent sent, those that were refused for the time among them.
    pub(crate) requests: u64,
    /// Requests that were refused for the time (429), of all agents.
    pub(crate) refused: u64,
    /// The most bytes that one agent received.
    pub(crate) received: u64,
    /// The most requests that one agent sent for a deletion that selects nodes by their labels.
    pub(crate) selecting: u64,
    /// The most bytes that one agent received for the first status update of a deletion that is not its own.
    pub(crate) first_update: u64,
    /// The same for all the updates after it.
    pub(crate) next_updates: u64,
    /// The largest status that the watch heard of, in bytes of JSON.
    pub(crate) status: usize,
    /// Bytes in etcd per node.
    pub(crate) stored: f64,
    /// The most memory that the controller had resident, in bytes.
    pub(crate) controller: f64,
    /// Status writes of the controller.
    pub(crate) writes: f64,
    /// Many deletions at once, where that was tried.
    pub(crate) many: Option<Many>,
}

/// What came of many deletions at once.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Many {
    pub(crate) deletions: usize,
    /// Those that are complete and were done on every node.
    pub(crate) complete: usize,
    pub(crate) seconds: f64,
    /// Requests that were refused for the time (429), of all agents.
    pub(crate) refused: u64,
    /// What went wrong for an agent although it was tried again.
    pub(crate) errors: f64,
    /// The most memory that the controller had resident, in bytes.
    pub(crate) controller: f64,
}

/// Whether a figure depends on the speed of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Count,
    Speed,
}

/// One line of the table.
pub(crate) struct Row {
    pub(crate) what: &'static str,
    pub(crate) goal: &'static str,
    pub(crate) kind: Kind,
    told: fn(&Figures) -> Option<String>,
    is_met: fn(&Figures) -> bool,
}

/// Every line.
pub(crate) const ROWS: [Row; 11] = [
    Row {
        what: "apply to Complete",
        goal: "under 30 s at 5,000",
        kind: Kind::Speed,
        told: |it| Some(format!("{:.2} s", it.seconds)),
        is_met: |it| it.seconds < 30.0,
    },
    Row {
        what: "the same per 1,000 nodes",
        goal: "linear",
        kind: Kind::Speed,
        told: |it| Some(format!("{:.2} s", it.seconds_per_thousand())),
        is_met: |_| true,
    },
    Row {
        what: "API requests of an agent, at most (refused for the time, of all)",
        goal: "4",
        kind: Kind::Count,
        told: |it| Some(format!("{} ({})", it.requests, it.refused)),
        is_met: |it| it.requests <= 4,
    },
    Row {
        what: "the same where nodes are selected by their labels",
        goal: "4",
        kind: Kind::Count,
        told: |it| Some(it.selecting.to_string()),
        is_met: |it| it.selecting <= 4,
    },
    Row {
        what: "API requests of all agents while idle",
        goal: "0",
        kind: Kind::Count,
        told: |it| Some(it.idle_requests.to_string()),
        is_met: |it| it.idle_requests == 0,
    },
    Row {
        what: "bytes that an agent receives, at most",
        goal: "8 KiB",
        kind: Kind::Count,
        told: |it| Some(it.received.to_string()),
        is_met: |it| it.received as f64 <= 8.0 * KIB,
    },
    Row {
        what: "the same for a status update of another deletion, of ten on the average (for the first)",
        goal: "1 KiB",
        kind: Kind::Count,
        told: |it| Some(format!("{:.0} ({})", it.update(), it.first_update)),
        is_met: |it| it.update() <= KIB,
    },
    Row {
        what: "bytes of the status",
        goal: "under 64 KiB",
        kind: Kind::Count,
        told: |it| Some(it.status.to_string()),
        is_met: |it| (it.status as f64) < 64.0 * KIB,
    },
    Row {
        what: "bytes in etcd per node",
        goal: "under 4 KiB",
        kind: Kind::Count,
        told: |it| Some(format!("{:.0}", it.stored)),
        is_met: |it| it.stored < 4.0 * KIB,
    },
    Row {
        what: "controller: peak memory; status writes",
        goal: "under 96 MB; one a second",
        kind: Kind::Count,
        told: |it| Some(format!("{:.1} MB; {:.0}", it.controller / MB, it.writes)),
        is_met: |it| it.controller < 96.0 * MB && it.writes <= it.seconds.ceil() + 1.0,
    },
    Row {
        what: "many deletions at once: complete; time (refused for the time, errors); controller",
        goal: "all, without errors; under 96 MB",
        kind: Kind::Count,
        told: |it| it.many.as_ref().map(Many::told),
        is_met: |it| {
            it.many.as_ref().is_none_or(|many| {
                many.complete == many.deletions && many.errors == 0.0 && many.controller < 96.0 * MB
            })
        },
    },
];

impl Row {
    /// The figure, with a mark where it misses the goal.
    pub(crate) fn cell(&self, figures: &Figures) -> String {
        let told = (self.told)(figures).unwrap_or_default();
        if self.is_met(figures) { told } else { format!("{told} MISSED") }
    }

    /// Whether the figure is good enough.
    pub(crate) fn is_met(&self, figures: &Figures) -> bool {
        (self.is_met)(figures)
    }
}

impl Figures {
    /// Bytes for a status update of a deletion that is not the agent's own.
    fn update(&self) -> f64 {
        (self.first_update + self.next_updates) as f64 / f64::from(UPDATES)
    }

    fn seconds_per_thousand(&self) -> f64 {
        self.seconds / self.nodes as f64 * 1e3
    }
}

/// Whether a deletion takes no longer for each node where there are more.
pub(crate) fn is_linear(runs: &[Figures]) -> bool {
    let per_node = || runs.iter().map(Figures::seconds_per_thousand);
    let few = runs.iter().min_by_key(|run| run.nodes).map_or(f64::MAX, Figures::seconds_per_thousand);
    per_node().all(|time| time <= few * LINEAR)
}

impl Many {
    fn told(&self) -> String {
        let Self { deletions, complete, seconds, refused, errors, controller } = self;
        format!("{complete}/{deletions}; {seconds:.1} s ({refused}, {errors:.0}); {:.1} MB", controller / MB)
    }
}

/// The whole table.
pub(crate) fn print(runs: &[Figures]) {
    let sizes = runs.iter().map(|run| format!(" {} nodes |", run.nodes)).collect::<String>();
    println!("\n| what | goal |{sizes}\n|---|---|{}", "---|".repeat(runs.len()));
    for row in &ROWS {
        let cells = runs.iter().map(|run| format!(" {} |", row.cell(run))).collect::<String>();
        println!("| {} | {} |{cells}", row.what, row.goal);
    }
}

/// The lines of the agent's memory. Says whether they are good enough.
pub(crate) fn print_memory(memory: Memory) -> bool {
    let rows = [
        ("idle", memory.idle, 20.0),
        ("while it deletes 500 of 1,000 images, at most", memory.deleting, 40.0),
    ];
    println!("\n| the memory of an agent | goal | measured |\n|---|---|---|");
    for (when, bytes, goal) in rows {
        println!("| {when} | under {goal} MB | {:.1} MB |", bytes / MB);
    }
    rows.iter().all(|(_, bytes, goal)| *bytes < goal * MB)
}
