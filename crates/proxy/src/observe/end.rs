//! How a session ended: who ended it, at which step, and why.

use std::borrow::Cow;

/// Who ended a session or an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The client.
    Client,
    /// The endpoint.
    Endpoint,
    /// This program, for a reason of its own.
    Proxy,
    /// The operator, or the service's stop.
    Operator,
}

impl Who {
    pub(crate) const ALL: [Self; 4] = [Self::Client, Self::Endpoint, Self::Proxy, Self::Operator];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Endpoint => "endpoint",
            Self::Proxy => "proxy",
            Self::Operator => "operator",
        }
    }
}

/// The step that a session or an exchange had reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// PROXY header and ClientHello.
    Preamble,
    /// Who may come in.
    Access,
    /// The client's TLS handshake.
    Tls,
    /// The head of a request.
    Head,
    /// Which pool takes it.
    Route,
    /// All endpoints are at their limit.
    Queue,
    /// Connecting to an endpoint.
    Dial,
    /// Waiting for the head of the response.
    Answer,
    /// Bytes move.
    Data,
}

impl Step {
    pub(crate) const ALL: [Self; 9] = [
        Self::Preamble,
        Self::Access,
        Self::Tls,
        Self::Head,
        Self::Route,
        Self::Queue,
        Self::Dial,
        Self::Answer,
        Self::Data,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Preamble => "preamble",
            Self::Access => "access",
            Self::Tls => "tls",
            Self::Head => "head",
            Self::Route => "route",
            Self::Queue => "queue",
            Self::Dial => "dial",
            Self::Answer => "answer",
            Self::Data => "data",
        }
    }
}

/// What kind of end it was; decides HAProxy's first letter together with [`Who`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manner {
    /// Both sides said what they had to say.
    Clean,
    /// Somebody broke it off.
    Abort,
    /// Somebody kept silent for too long.
    Timeout,
    /// This host lacked something: descriptors, ports, memory.
    Shortage,
    /// The endpoint was found dead.
    EndpointDown,
    /// We closed it so that its client connects to another endpoint; metrics count it as broken off.
    Rebalance,
}

/// The manners of an end, as metrics name them.
pub(crate) const HOWS: [&str; 5] = ["clean", "abort", "timeout", "shortage", "endpoint_down"];

/// How a session or an exchange ended.
#[derive(Clone, Debug)]
pub struct End {
    pub(crate) who: Who,
    pub(crate) step: Step,
    manner: Manner,
    pub(crate) reason: Cow<'static, str>,
}

impl End {
    /// Both directions ended in order; `who` ended first.
    #[must_use]
    pub fn clean(who: Who) -> Self {
        Self { who, step: Step::Data, manner: Manner::Clean, reason: "closed".into() }
    }

    /// `who` broke it off.
    #[must_use]
    pub fn abort(who: Who, step: Step, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { who, step, manner: Manner::Abort, reason: reason.into() }
    }

    /// `who` kept silent for too long.
    #[must_use]
    pub fn timeout(who: Who, step: Step, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { who, step, manner: Manner::Timeout, reason: reason.into() }
    }

    /// We ended it because its endpoint was found dead.
    pub(crate) fn endpoint_down(reason: impl Into<Cow<'static, str>>) -> Self {
        let reason = reason.into();
        Self { who: Who::Proxy, step: Step::Data, manner: Manner::EndpointDown, reason }
    }

    /// We closed it at rest, so that its client connects to an endpoint with fewer sessions.
    pub(crate) fn rebalance() -> Self {
        Self {
            who: Who::Proxy,
            step: Step::Data,
            manner: Manner::Rebalance,
            reason: "rebalanced".into(),
        }
    }

    /// Whether it was [`Self::rebalance`].
    pub(crate) fn is_rebalance(&self) -> bool {
        self.manner == Manner::Rebalance
    }

    /// This host lacked something.
    #[must_use]
    pub fn shortage(step: Step, reason: impl Into<Cow<'static, str>>) -> Self {
        Self { who: Who::Proxy, step, manner: Manner::Shortage, reason: reason.into() }
    }

    /// Where it stands in [`Who::ALL`], [`Step::ALL`] and [`HOWS`].
    pub(crate) fn indices(&self) -> (usize, usize, usize) {
        let how = match self.manner {
            Manner::Rebalance => Manner::Abort,
            other => other,
        };
        (self.who as usize, self.step as usize, how as usize)
    }

    /// Whether the preamble was read to its end.
    pub(crate) fn is_after_preamble(&self) -> bool {
        !matches!(self.step, Step::Preamble | Step::Access)
    }

    /// Whether a connection to an endpoint stood.
    pub(crate) fn is_after_dial(&self) -> bool {
        matches!(self.step, Step::Answer | Step::Data)
    }

    /// The same, with one more thing to know about it.
    #[must_use]
    pub fn because(mut self, more: &str) -> Self {
        self.reason = format!("{}; {more}", self.reason).into();
        self
    }

    /// Who ended it.
    #[must_use]
    pub fn who(&self) -> Who {
        self.who
    }

    /// Whether it was in good order.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.manner == Manner::Clean
    }

    /// Whether somebody kept silent for too long.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.manner == Manner::Timeout
    }

    /// At which step.
    #[must_use]
    pub fn step(&self) -> Step {
        self.step
    }

    /// Why, in words.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// HAProxy's termination letters (its configuration manual, "Session state at
    /// disconnection"): the first says who or what ended the session, the second at which step.
    pub(crate) fn letters(&self) -> [u8; 2] {
        let first = match (self.manner, self.who) {
            (Manner::Clean, _) => return *b"--",
            (Manner::Timeout, Who::Client) => b'c',
            (Manner::Timeout, _) => b's',
            (Manner::Shortage, _) => b'R',
            (Manner::EndpointDown, _) => b'D',
            (Manner::Rebalance, _) => b'P',
            (Manner::Abort, Who::Client) => b'C',
            (Manner::Abort, Who::Endpoint) => b'S',
            // So HAProxy counts a full queue: as an error of the endpoints.
            (Manner::Abort, Who::Proxy) if self.step == Step::Queue => b'S',
            (Manner::Abort, Who::Proxy) => b'P',
            (Manner::Abort, Who::Operator) => b'K',
        };
        let second = match self.step {
            Step::Preamble | Step::Access | Step::Tls | Step::Head | Step::Route => b'R',
            Step::Queue => b'Q',
            Step::Dial => b'C',
            Step::Answer => b'H',
            Step::Data => b'D',
        };
        [first, second]
    }

    /// The same as text.
    pub(crate) fn letters_as_text(&self) -> &'static str {
        // Two of a small alphabet; a table keeps them static.
        const KNOWN: [&str; 32] = [
            "--", "CR", "CQ", "CC", "CH", "CD", "SR", "SQ", "SC", "SH", "SD", "PR", "PC", "PH",
            "PD", "KR", "KQ", "KC", "KH", "KD", "cR", "cC", "cH", "cD", "sR", "sQ", "sC", "sH",
            "sD", "RC", "RH", "DD",
        ];
        let letters = self.letters();
        KNOWN.into_iter().find(|known| known.as_bytes() == letters).unwrap_or("RD")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_are_haproxys() {
        let letters = |end: End| String::from_utf8(end.letters().to_vec()).unwrap();
        assert_eq!(letters(End::clean(Who::Client)), "--");
        assert_eq!(letters(End::abort(Who::Endpoint, Step::Dial, "refused")), "SC");
        assert_eq!(letters(End::timeout(Who::Endpoint, Step::Dial, "late")), "sC");
        assert_eq!(letters(End::abort(Who::Proxy, Step::Queue, "full")), "SQ");
        assert_eq!(letters(End::timeout(Who::Proxy, Step::Queue, "late")), "sQ");
        assert_eq!(letters(End::abort(Who::Client, Step::Queue, "left")), "CQ");
        assert_eq!(letters(End::abort(Who::Client, Step::Data, "reset")), "CD");
        assert_eq!(letters(End::timeout(Who::Client, Step::Preamble, "late")), "cR");
        assert_eq!(letters(End::abort(Who::Proxy, Step::Access, "denied")), "PR");
        assert_eq!(letters(End::shortage(Step::Dial, "ports")), "RC");
        assert_eq!(letters(End::abort(Who::Operator, Step::Data, "stop")), "KD");
        assert_eq!(letters(End::endpoint_down("silent")), "DD");
    }
}
