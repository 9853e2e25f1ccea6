//! HTTP answers: what the statuses of the checks say together.

use super::{Check, Reason};

/// The memory of one check.
#[derive(Clone, Copy, Debug, Default)]
struct Memory {
    /// The status that counts against the endpoint at this moment.
    bad: Option<u16>,
    /// Answers in a row that are neither good nor 5xx.
    odd: u32,
    ever_2xx: bool,
    /// Answers 401 or 403 and never answered 2xx.
    blind: bool,
}

/// The answers of one endpoint, per check.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers([Memory; 3]);

/// How an answer is to be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) fall: u32,
    pub(super) first_5xx_counts: bool,
    /// Whether the endpoint has no verdict yet: then one answer decides.
    pub(super) first: bool,
}

impl Answers {
    /// Takes in an answer; says whether it is good.
    pub(super) fn take(
        &mut self,
        check: Check,
        status: u16,
        status_object: bool,
        rules: Rules,
    ) -> bool {
        let memory = &mut self.0[check as usize];
        let counts_at_once = match status {
            200..=299 => {
                *memory = Memory { ever_2xx: true, ..Memory::default() };
                return true;
            }
            // Per question: a `/livez` that is open must not make a closed `/readyz` a failure.
            401 | 403 if !memory.ever_2xx && status_object => {
                *memory = Memory { blind: true, ..Memory::default() };
                return true;
            }
            500..=599 => rules.first_5xx_counts,
            _ => false,
        };
        memory.odd += 1;
        if counts_at_once || rules.first || memory.odd >= rules.fall {
            memory.bad = Some(status);
            memory.blind = false;
        }
        false
    }

    /// What counts against the endpoint, the worst first.
    pub(super) fn against(&self) -> Option<Reason> {
        let bad = |check: Check| self.0[check as usize].bad;
        bad(Check::Live).map(Reason::Sick).or_else(|| bad(Check::Ready).map(Reason::NotReady))
    }

    /// Whether an answer is not good but does not count yet.
    pub(super) fn is_wavering(&self) -> bool {
        self.0.iter().any(|memory| memory.odd > 0 && memory.bad.is_none())
    }

    /// Whether nothing but 401 and 403 was ever heard of a check.
    pub(super) fn is_blind(&self) -> bool {
        self.0.iter().any(|memory| memory.blind)
    }
}
