//! The last 20 results of an endpoint.

use super::{Reason, VoidCause};
use crate::time::Time;
use std::collections::VecDeque;
use std::fmt;

/// One result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// When it was taken in.
    pub at: Time,
    /// What it was.
    pub outcome: Outcome,
}

/// What a result said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Good.
    Good,
    /// Speaks against the endpoint.
    Bad(Reason),
    /// Silence that a byte received since refutes.
    Vetoed,
    /// Nothing: our own trouble.
    Void(VoidCause),
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Good => f.write_str("good"),
            Self::Bad(reason) => f.write_str(reason.word()),
            Self::Vetoed => f.write_str("late, but bytes came"),
            Self::Void(cause) => write!(f, "void: {}", cause.words()),
        }
    }
}

/// The last results, oldest first.
#[derive(Clone, Debug, Default)]
pub struct History(VecDeque<Entry>);

impl History {
    /// Results kept.
    pub const LENGTH: usize = 20;

    pub(super) fn push(&mut self, at: Time, outcome: Outcome) {
        if self.0.len() == Self::LENGTH {
            self.0.pop_front();
        }
        self.0.push_back(Entry { at, outcome });
    }

    /// The results, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.0.iter()
    }
}
