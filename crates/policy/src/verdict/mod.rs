//! Verdicts: what probes show of an endpoint.

mod rise_fall;

pub use rise_fall::RiseFall;

/// What is held of an endpoint. Never mixed with what the operator wants of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Verdict {
    /// Not probed yet: usable, after those that are `up`.
    Unknown = 0,
    /// Takes traffic.
    Up = 1,
    /// Takes no new sessions.
    Dead = 2,
}

impl Verdict {
    /// The verdict as logs and status name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Up => "up",
            Self::Dead => "dead",
        }
    }

    /// The verdict behind the number that `as u8` gave.
    #[must_use]
    pub fn from_u8(number: u8) -> Self {
        match number {
            1 => Self::Up,
            2 => Self::Dead,
            _ => Self::Unknown,
        }
    }
}
