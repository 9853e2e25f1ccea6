//! Evidence: everything that can be seen of an endpoint.
//!
//! Probes report what they saw and when they began; they do not judge. Traffic reports only what
//! an endpoint did to a session, never what a client did.

use crate::time::Time;
use std::time::Duration;

/// One question that a probe asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Check {
    /// The fresh connection itself: TCP, and TLS where the pool speaks it.
    Connect = 0,
    /// Whether it wants new sessions: `/readyz`, or the one path of an HTTP check.
    Ready = 1,
    /// Whether it is well: `/livez`.
    Live = 2,
}

/// What was seen of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// A fresh connection stands (pools without TLS only: the kernel of a frozen program still
    /// accepts). `took`: since the SYN.
    Connected {
        /// Since the SYN.
        took: Duration,
    },
    /// The first byte of a fresh TLS connection arrived, in time or not.
    Hello {
        /// Since the SYN.
        took: Duration,
    },
    /// A fresh TLS connection was set up; comes after its [`Evidence::Hello`].
    Handshake(HandshakeFacts),
    /// A fresh connection was refused.
    Refused,
    /// A fresh connection was reset or closed before it was set up.
    Reset,
    /// The handshake of a fresh connection failed.
    TlsFailed(TlsFault),
    /// The ServerHello (without TLS: the SYN-ACK) of a fresh connection is missing after
    /// `hello_within`. The connection is left open a while: its late hello is evidence, too.
    Silent {
        /// When the SYN was sent.
        since: Time,
        /// How late the prober's own timer fired.
        timer_late: Duration,
    },
    /// An HTTP answer, in time or late.
    Answer {
        /// Which question.
        check: Check,
        /// The status code, or what stands for one: [`super::NO_ANSWER`], [`super::of_grpc`] and so on.
        status: u16,
        /// Since the request was sent.
        took: Duration,
        /// Whether the body is a Kubernetes `Status` object (asked of 401 and 403 only).
        status_object: bool,
    },
    /// No HTTP answer after `overdue_after`: no verdict, but a fresh dial beside it.
    Overdue {
        /// When the request was sent.
        since: Time,
        /// How late the prober's own timer fired.
        timer_late: Duration,
    },
    /// No HTTP answer after `late_after`.
    Late {
        /// Which question.
        check: Check,
        /// When the request was sent.
        since: Time,
        /// How late the prober's own timer fired.
        timer_late: Duration,
    },
    /// The kept connection ended (GOAWAY, FIN, RST): no failure, the next probe is a fresh one.
    KeptEnded,
    /// The probe says nothing of the endpoint.
    Void(VoidCause),
    /// Traffic: a dial failed for the endpoint's sake (never for want of something on this host).
    DialFailed(DialFault),
    /// Traffic: a whole first flight is unanswered for longer than is usual. No doubt yet, but a
    /// reason to ask.
    Slow {
        /// When the flight was sent.
        since: Time,
    },
    /// Traffic: a whole first flight was sent and no byte came back within the replay clock.
    Unanswered {
        /// When the flight was sent.
        since: Time,
    },
    /// Traffic: the endpoint ended a session early (within 1 s, or before its first byte).
    EndedEarly {
        /// Whether it had sent a byte.
        answered: bool,
    },
    /// Traffic: an exchange over HTTP failed for the endpoint's sake.
    Exchange(ExchangeFault),
    /// Traffic: an exchange was served, the first since one that failed.
    Served,
    /// Traffic or probe: a byte was received at this moment. Workers do not send it per byte:
    /// see [`super::Judge::heard`].
    Byte,
    /// The endpoint's name does not resolve any more.
    Unresolved,
    /// Its name resolves (again).
    Resolved,
}

/// What a TLS handshake of a probe told of the endpoint's certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HandshakeFacts {
    /// End of the leaf certificate's validity, seconds since 1970.
    pub not_after: Option<i64>,
    /// Whether this balancer's own address stands in the certificate's names.
    pub covers_us: Option<bool>,
}

/// Why a handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlsFault {
    /// The endpoint sent an alert, or something that is no TLS.
    Protocol,
    /// Its certificate was not accepted by the CA that is set.
    Certificate,
}

/// Why a dial for a session failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DialFault {
    /// Refused.
    Refused,
    /// Reset or closed before the first byte.
    Reset,
    /// Not connected within the budget.
    TimedOut,
}

/// How an endpoint failed an exchange that had reached it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ExchangeFault {
    /// It ended the connection before its answer began.
    Empty,
    /// What it said is no answer.
    Garbage,
    /// Its answer broke off, or stood still for too long.
    Cut,
    /// Not a byte came, and another endpoint answered meanwhile or the time was up.
    Late,
    /// TLS with it fails.
    Tls,
    /// It answered that it cannot, and another endpoint could.
    Unable(u16),
}

/// Why a result is void: our own trouble is no evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum VoidCause {
    /// No descriptors, buffers or ports left (EMFILE, ENFILE, ENOBUFS, EADDRNOTAVAIL).
    Exhausted,
    /// This host has no way there: ENETUNREACH, or the link of our own interface is down.
    NoRoute,
    /// This process did not run: a timer fired late, or the machine stood still.
    Stalled,
}

impl VoidCause {
    /// The cause in words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Exhausted => "this host is out of descriptors, buffers or ports",
            Self::NoRoute => "this host has no route or its link is down",
            Self::Stalled => "this process did not run",
        }
    }
}
