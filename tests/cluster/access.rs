//! Who may do what: people, whoever has the token of an agent or of a controller, and the processes themselves.
//!
//! `docs/security.md` names these tests.

mod agent;
mod controller;
mod people;
mod power;
mod profiles;
mod reports;

use crate::suite::Test;

pub(crate) fn tests() -> Vec<Test> {
    [
        agent::tests(),
        controller::tests(),
        reports::tests(),
        people::tests(),
        power::tests(),
        profiles::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
