//! First-flight replay: when an endpoint leaves a whole ClientHello unanswered, a second one gets
//! the same.
//!
//! Sound because nothing has happened yet: the endpoint has not sent a byte, and the client has
//! said exactly one ClientHello, which is not an order to do anything. [`check`] tells whether
//! that holds; [`Replay`] holds the clock and the budget of a pool.

mod budget;
mod percentile;

pub use budget::{Counters, Refusal, Replay, Settings};
pub use percentile::Percentile;

use std::fmt;

/// What is known of a session's first flight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flight {
    /// The client has sent a whole ClientHello.
    pub complete_hello: bool,
    /// Its length with record headers, in bytes.
    pub length: usize,
    /// It offers early data.
    pub early_data: bool,
    /// The client has sent something after it.
    pub more_bytes: bool,
    /// The client has closed its direction.
    pub fin: bool,
    /// The endpoint has sent a byte (an alert is one).
    pub answered: bool,
    /// It was replayed already.
    pub replayed: bool,
}

/// The longest first flight that is kept for a replay, in bytes.
pub const LONGEST: usize = 16 * 1024;

/// Why a first flight may not be replayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotReplayable {
    /// No whole ClientHello.
    NoHello,
    /// Longer than [`LONGEST`].
    TooLong,
    /// Early data could be an order that is carried out twice.
    EarlyData,
    /// The client went on.
    MoreBytes,
    /// The client has closed its direction.
    Fin,
    /// The endpoint has answered.
    Answered,
    /// Once is enough.
    Again,
}

impl fmt::Display for NotReplayable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoHello => "the client has not sent a whole ClientHello",
            Self::TooLong => "the ClientHello is longer than 16 KiB",
            Self::EarlyData => "the ClientHello offers early data",
            Self::MoreBytes => "the client has sent more than its ClientHello",
            Self::Fin => "the client has closed its direction",
            Self::Answered => "the endpoint has sent a byte",
            Self::Again => "the session was replayed already",
        })
    }
}

/// Whether a first flight may be replayed.
///
/// # Errors
/// The first condition that does not hold.
pub fn check(flight: Flight) -> Result<(), NotReplayable> {
    let conditions = [
        (flight.complete_hello, NotReplayable::NoHello),
        (flight.length <= LONGEST, NotReplayable::TooLong),
        (!flight.early_data, NotReplayable::EarlyData),
        (!flight.more_bytes, NotReplayable::MoreBytes),
        (!flight.fin, NotReplayable::Fin),
        (!flight.answered, NotReplayable::Answered),
        (!flight.replayed, NotReplayable::Again),
    ];
    match conditions.into_iter().find(|(holds, _)| !holds) {
        Some((_, why)) => Err(why),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Flight = Flight {
        complete_hello: true,
        length: 517,
        early_data: false,
        more_bytes: false,
        fin: false,
        answered: false,
        replayed: false,
    };

    #[test]
    fn every_condition_counts() {
        assert_eq!(check(GOOD), Ok(()));
        assert_eq!(check(Flight { length: LONGEST, ..GOOD }), Ok(()));
        let bad = [
            (Flight { complete_hello: false, ..GOOD }, NotReplayable::NoHello),
            (Flight { length: LONGEST + 1, ..GOOD }, NotReplayable::TooLong),
            (Flight { early_data: true, ..GOOD }, NotReplayable::EarlyData),
            (Flight { more_bytes: true, ..GOOD }, NotReplayable::MoreBytes),
            (Flight { fin: true, ..GOOD }, NotReplayable::Fin),
            (Flight { answered: true, ..GOOD }, NotReplayable::Answered),
            (Flight { replayed: true, ..GOOD }, NotReplayable::Again),
        ];
        for (flight, why) in bad {
            assert_eq!(check(flight), Err(why));
        }
    }
}
