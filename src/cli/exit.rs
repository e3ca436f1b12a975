//! How the process ends.

use std::process::ExitCode;

use crate::api::result::Outcome;

/// What the exit code says, from good to bad: of several, the worst counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// All was done.
    Done,
    /// Wrong usage or an invalid reference.
    Usage,
    /// There is no such image.
    Absent,
    /// Something holds an image.
    Conflict,
    /// Anything else went wrong.
    Failed,
}

impl Exit {
    /// The code.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::Absent => 3,
            Self::Conflict => 4,
        }
    }

    /// The worst of several; of none, that all was done.
    pub fn worst(exits: impl IntoIterator<Item = Self>) -> Self {
        exits.into_iter().max().unwrap_or(Self::Done)
    }
}

impl From<Outcome> for Exit {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Deleted | Outcome::Untagged => Self::Done,
            Outcome::Absent => Self::Absent,
            Outcome::Conflict => Self::Conflict,
            Outcome::Failed => Self::Failed,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        exit.code().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_several_the_first_of_1_4_3_2_counts() {
        use Exit::*;
        let rows: &[(&[Exit], u8)] = &[
            (&[], 0),
            (&[Done, Done], 0),
            (&[Done, Usage], 2),
            (&[Usage, Absent], 3),
            (&[Conflict, Absent, Usage], 4),
            (&[Usage, Absent, Conflict, Failed, Done], 1),
        ];
        for (exits, code) in rows {
            assert_eq!(Exit::worst(exits.iter().copied()).code(), *code, "{exits:?}");
        }
    }

    #[test]
    fn an_outcome_has_its_code() {
        let rows = [
            (Outcome::Deleted, 0),
            (Outcome::Untagged, 0),
            (Outcome::Absent, 3),
            (Outcome::Conflict, 4),
            (Outcome::Failed, 1),
        ];
        for (outcome, code) in rows {
            assert_eq!(Exit::from(outcome).code(), code, "{outcome:?}");
        }
    }
}
