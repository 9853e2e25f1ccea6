//! Reasons: why a verdict is what it is, in words for people and in one word for machines.

use super::{DialFault, ExchangeFault, TlsFault, status};
use std::fmt;

/// Why an endpoint has its verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No probe has ended yet.
    NotProbed,
    /// All checks are good.
    Answers,
    /// It answers 401 or 403 and never answered 2xx: nothing is known of its health.
    Blind,
    /// Fresh connections are refused.
    Refused,
    /// Fresh connections are reset.
    Reset,
    /// No ServerHello, and no byte from it since.
    Silent,
    /// Its readiness check answers this status, or what stands for one ([`super::NO_ANSWER`] and so on).
    NotReady(u16),
    /// The same of its liveness check.
    Sick(u16),
    /// It answers late, but it answers.
    Slow,
    /// TLS fails.
    Tls(TlsFault),
    /// Dials of sessions fail.
    DialFailed(DialFault),
    /// A session's first flight was not answered.
    Unanswered,
    /// It ended a session before its first byte.
    EndedEarly,
    /// Exchanges with it fail.
    Exchange(ExchangeFault),
    /// Its name does not resolve.
    Unresolved,
    /// It fell together with others that have come back since; a fresh probe decides.
    Recheck,
}

impl Reason {
    /// One word for logs and metrics.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::NotProbed => "not probed",
            Self::Answers => "answers",
            Self::Blind => "blind",
            Self::Refused => "refused",
            Self::Reset => "reset",
            Self::Silent => "silent",
            Self::NotReady(_) => "not ready",
            Self::Sick(_) => "sick",
            Self::Slow => "slow",
            Self::Tls(_) => "tls",
            Self::DialFailed(_) => "dial failed",
            Self::Unanswered => "unanswered",
            Self::EndedEarly => "ended early",
            Self::Exchange(ExchangeFault::Empty) => "no answer",
            Self::Exchange(ExchangeFault::Garbage) => "garbage",
            Self::Exchange(ExchangeFault::Cut) => "answer cut",
            Self::Exchange(ExchangeFault::Late) => "answer late",
            Self::Exchange(ExchangeFault::Tls) => "tls failed",
            Self::Exchange(ExchangeFault::Unable(_)) => "unable",
            Self::Unresolved => "unresolved",
            Self::Recheck => "recheck",
        }
    }

    /// Whether an endpoint that falls for this is `dead` (not `draining`).
    pub(super) fn is_deadly(self) -> bool {
        matches!(self, Self::Refused | Self::Reset | Self::Silent | Self::Tls(_))
    }

    /// Whether it came from traffic alone.
    pub(super) fn is_passive(self) -> bool {
        matches!(
            self,
            Self::DialFailed(_) | Self::Unanswered | Self::EndedEarly | Self::Exchange(_)
        )
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotProbed => f.write_str("no probe has ended yet"),
            Self::Answers => f.write_str("all checks are good"),
            Self::Blind => f.write_str(
                "the check answers 401 or 403: its health is not known; allow anonymous \
                 requests to /livez and /readyz, or give the check a client certificate or token",
            ),
            Self::Refused => f.write_str("fresh connections are refused"),
            Self::Reset => f.write_str("fresh connections are reset"),
            Self::Silent => f.write_str("no ServerHello in time, and no byte since"),
            Self::NotReady(answer) => status::tell(f, "readiness", *answer),
            Self::Sick(answer) => status::tell(f, "liveness", *answer),
            Self::Slow => f.write_str("it answers late"),
            Self::Tls(TlsFault::Protocol) => f.write_str("the TLS handshake fails"),
            Self::Tls(TlsFault::Certificate) => {
                f.write_str("its certificate is not accepted by the CA that is set")
            }
            Self::DialFailed(DialFault::Refused) => f.write_str("a session's dial was refused"),
            Self::DialFailed(DialFault::Reset) => f.write_str("a session's dial was reset"),
            Self::DialFailed(DialFault::TimedOut) => f.write_str("a session's dial timed out"),
            Self::Unanswered => f.write_str("a session's first flight was not answered"),
            Self::EndedEarly => f.write_str("it ended a session before its first byte"),
            Self::Exchange(ExchangeFault::Empty) => {
                f.write_str("it ended a connection where a response was due")
            }
            Self::Exchange(ExchangeFault::Garbage) => f.write_str("its responses are none"),
            Self::Exchange(ExchangeFault::Cut) => f.write_str("its responses break off"),
            Self::Exchange(ExchangeFault::Late) => {
                f.write_str("its responses are late while others answer")
            }
            Self::Exchange(ExchangeFault::Tls) => f.write_str("the TLS of requests to it fails"),
            Self::Exchange(ExchangeFault::Unable(status)) => {
                write!(f, "it answers {status} where others can answer")
            }
            Self::Unresolved => f.write_str("its name does not resolve"),
            Self::Recheck => f.write_str("others that fell with it are back; it is probed again"),
        }
    }
}
