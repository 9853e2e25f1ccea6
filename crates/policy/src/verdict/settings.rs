//! Every number of the verdict engine, with its unit, and the presets.
//!
//! "H2" and so on name the section of HEALTH, the specification of verdicts, that a number comes
//! from; "ours" are those that it leaves open.

use super::{Check, Pace};
use std::time::Duration;

/// How a pool is judged. The presets are what the service documents; each field can be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What must be good for an endpoint to be `up`; never empty.
    /// (H2, table.)
    pub checks: Vec<Check>,
    /// From the start of one steady probe to the start of the next.
    /// (H2.)
    pub interval: Duration,
    /// The same while a verdict is changing.
    /// (H2.)
    pub fast_interval: Duration,
    /// Both are shortened at random by up to so many percent.
    /// (H2 asks for jitter; the size is ours.)
    pub jitter_percent: u8,
    /// An answer that is not there by then starts a fresh dial beside it; no verdict yet. A third of
    /// `hello_within`: silence is judged by fresh dials alone (an answer may be late for a reason of
    /// its own), and these have to begin early for a verdict within 3.1 s.
    /// (H2 has 0.7 s, and counts the question as asked.)
    pub overdue_after: Duration,
    /// An answer that is not there by then counts as late.
    /// (H2.)
    pub late_after: Duration,
    /// From the SYN of a fresh connection to its ServerHello (without TLS: to its SYN-ACK).
    /// (H2.)
    pub hello_within: Duration,
    /// Good rounds in a row that bring back an endpoint that fell; the first verdict takes one.
    /// (H2, table.)
    pub rise: u32,
    /// Answers in a row that are neither good nor 5xx (429, 404...) before they count.
    /// (H2, table.)
    pub fall: u32,
    /// Whether the first 5xx counts; if not, it counts like any other answer that is not good.
    /// (H2, table; edge: H7, ejection.)
    pub first_5xx_counts: bool,
    /// Fresh connections in a row that are refused, fail in TLS or stay silent before the endpoint
    /// is `dead`; each failure starts the next at once.
    /// (H2, table; for TLS ours.)
    pub confirm: u32,
    /// An endpoint is `dead (silent)` only after everything that was asked of it, by requests and
    /// sessions too, has been unanswered for this long: slow is not silent.
    /// (ours, from the row of H8 with every byte 1.5 s late.)
    pub silent_for: Duration,
    /// A silent dial is believed only if another endpoint was heard later than this after its SYN:
    /// about the time that a hello takes, so that the answer would have come the same way.
    /// (ours, from the rows of H8 on our own network.)
    pub witness_after: Duration,
    /// Every so many steady probes one uses a fresh connection.
    /// (H2.)
    pub fresh_every: u32,
    /// Falls within this time are suspected to have one cause.
    /// (H4.3.)
    pub correlation_window: Duration,
    /// So long an endpoint that would be `dead` is kept usable, as the last resort, when the brake
    /// of correlation holds it. Afterwards a client is refused at once instead of left to wait.
    /// (ours, between H4.3 and the end of H6.)
    pub hold: Duration,
    /// A timer of the probes that fires this late makes the result void: we did not run.
    /// (H4.1.)
    pub timer_slack: Duration,
    /// Sessions on an endpoint that is `dead (silent)` are reset after this; `None`: never.
    /// (H7.)
    pub reset_silent_after: Option<Duration>,
    /// Sessions on an endpoint that is `draining (sick)` are reset after this; `None`: never.
    /// (H2, table.)
    pub reset_sick_after: Option<Duration>,
    /// Whether endpoints that are not ready or sick take new sessions while nobody else can.
    /// (H7.)
    pub fail_open: bool,
    /// How many endpoints traffic alone may make `suspect` at once; `None`: no bound (a suspect
    /// endpoint is still used when nobody better is left).
    /// (H7, ejection.)
    pub passive_limit: Option<PassiveLimit>,
    /// An endpoint that came (back) up reaches its full share after this.
    /// (H2, table.)
    pub slow_start: Duration,
    /// How resets are spread.
    /// (H4.4.)
    pub pace: Pace,
}

/// At most so many endpoints: this number or this share of the pool, whichever is more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PassiveLimit {
    /// So many in any case.
    pub at_least: usize,
    /// Share of the pool in percent.
    pub percent: usize,
}

impl PassiveLimit {
    /// The bound for a pool of so many endpoints.
    #[must_use]
    pub fn of(self, endpoints: usize) -> usize {
        self.at_least.max(endpoints * self.percent / 100)
    }
}

impl Settings {
    /// Kubernetes masters: `/readyz` and `/livez` over TLS.
    #[must_use]
    pub fn apiserver() -> Self {
        Self {
            checks: vec![Check::Ready, Check::Live],
            interval: Duration::from_secs(1),
            fast_interval: Duration::from_millis(300),
            jitter_percent: 10,
            overdue_after: Duration::from_millis(700) / 3,
            late_after: Duration::from_secs(3),
            hello_within: Duration::from_millis(700),
            rise: 3,
            fall: 2,
            first_5xx_counts: true,
            confirm: 2,
            silent_for: Duration::from_millis(1850),
            witness_after: Duration::from_millis(100),
            fresh_every: 5,
            correlation_window: Duration::from_secs(3),
            hold: Duration::from_secs(10),
            timer_slack: Duration::from_millis(100),
            reset_silent_after: Some(Duration::ZERO),
            reset_sick_after: Some(Duration::from_secs(10)),
            fail_open: true,
            passive_limit: None,
            slow_start: Duration::from_secs(60),
            pace: Pace::default(),
        }
    }

    /// HTTP pools of the edge: one check, no resets, an error page instead of failing open.
    #[must_use]
    pub fn edge() -> Self {
        Self {
            checks: vec![Check::Ready],
            first_5xx_counts: false,
            reset_silent_after: None,
            reset_sick_after: None,
            fail_open: false,
            passive_limit: Some(PassiveLimit { at_least: 1, percent: 34 }),
            ..Self::apiserver()
        }
    }

    /// TCP pools of the edge: the connection itself is the check; silence resets after 10 s.
    #[must_use]
    pub fn edge_tcp() -> Self {
        Self {
            checks: vec![Check::Connect],
            reset_silent_after: Some(Duration::from_secs(10)),
            ..Self::edge()
        }
    }
}
