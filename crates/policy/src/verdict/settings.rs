//! Every number of the verdict engine, with its unit, and the presets.

use super::{Check, Pace};
use std::time::Duration;

/// How a pool is judged. The presets are what the service documents; each field can be set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// What must be good for an endpoint to be `up`; never empty.
    pub checks: Vec<Check>,
    /// From the start of one steady probe to the start of the next.
    pub interval: Duration,
    /// The same while a verdict is changing.
    pub fast_interval: Duration,
    /// Spread of both, in percent either way.
    pub jitter_percent: u8,
    /// An answer that is not there by then starts a fresh dial beside it; no verdict yet.
    pub overdue_after: Duration,
    /// An answer that is not there by then counts as late.
    pub late_after: Duration,
    /// From the SYN of a fresh connection to its ServerHello (without TLS: to its SYN-ACK).
    pub hello_within: Duration,
    /// Good rounds in a row that bring back an endpoint that fell; the first verdict takes one.
    pub rise: u32,
    /// Answers in a row that are neither good nor 5xx (429, 404...) before they count.
    pub fall: u32,
    /// Whether the first 5xx counts; if not, it counts like any other answer that is not good.
    pub first_5xx_counts: bool,
    /// Fresh connections in a row that are refused, fail in TLS or stay silent before the endpoint
    /// is `dead`; each failure starts the next at once.
    pub confirm: u32,
    /// Every so many steady probes one uses a fresh connection.
    pub fresh_every: u32,
    /// Falls within this time are suspected to have one cause.
    pub correlation_window: Duration,
    /// So long an endpoint that would be `dead` is kept usable, as the last resort, when the brake
    /// of correlation holds it. Afterwards a client is refused at once instead of left to wait.
    pub hold: Duration,
    /// A timer of the probes that fires this late makes the result void: we did not run.
    pub timer_slack: Duration,
    /// Sessions on an endpoint that is `dead (silent)` are reset after this; `None`: never.
    pub reset_silent_after: Option<Duration>,
    /// Sessions on an endpoint that is `draining (sick)` are reset after this; `None`: never.
    pub reset_sick_after: Option<Duration>,
    /// Whether endpoints that are not ready or sick take new sessions while nobody else can.
    pub fail_open: bool,
    /// How many endpoints traffic alone may make `suspect` at once; `None`: no bound (a suspect
    /// endpoint is still used when nobody better is left).
    pub passive_limit: Option<PassiveLimit>,
    /// An endpoint that came (back) up reaches its full share after this.
    pub slow_start: Duration,
    /// How resets are spread.
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
            overdue_after: Duration::from_millis(700),
            late_after: Duration::from_secs(3),
            hello_within: Duration::from_millis(700),
            rise: 3,
            fall: 2,
            first_5xx_counts: true,
            confirm: 2,
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
