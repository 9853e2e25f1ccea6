//! What must hold in every seed, whatever goes wrong. Each is judged by what the simulated world
//! knows to be true, or by the evidence itself, never by asking the code under test twice.

use crate::fault::{Fault, Timeline};
use eclusa_policy::time::Time;
use eclusa_policy::verdict::{Evidence, Reason, Report, Tier, Verdict};
use std::fmt;
use std::time::Duration;

/// An invariant that does not hold.
#[derive(Clone, Debug)]
pub struct Violation {
    pub invariant: &'static str,
    pub at: Time,
    pub story: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { invariant, at, story } = self;
        write!(f, "`{invariant}` does not hold at {:?}: {story}", at.since_start())
    }
}

pub type Check = Result<(), (&'static str, String)>;

fn holds(invariant: &'static str, holds: bool, story: impl FnOnce() -> String) -> Check {
    if holds { Ok(()) } else { Err((invariant, story())) }
}

/// No new session goes to an endpoint that is dead or draining (unless the brakes hold it) while
/// another one, not tried yet, can serve.
pub fn new_sessions_go_to_who_can_serve(
    picked: usize,
    reports: &[Report],
    has_room: impl Fn(usize) -> bool,
) -> Check {
    let report = &reports[picked];
    let out = matches!(report.verdict, Verdict::Dead | Verdict::Draining) && !report.correlated;
    let can = |report: &Report| {
        matches!(report.verdict, Verdict::Up | Verdict::Unknown | Verdict::Suspect)
            && report.tier <= Tier::Suspect
    };
    let better = (0..reports.len()).find(|other| can(&reports[*other]) && has_room(*other));
    holds("new sessions go to who can serve", !out || better.is_none(), || {
        format!("endpoint {picked} ({report:?}) was picked although {better:?} can serve")
    })
}

/// Sessions are reset only where the endpoint itself was silent or sick long enough, never for a
/// fault of this host, its network, or all endpoints together.
pub fn no_reset_without_silence_of_its_own(
    timeline: &Timeline,
    endpoint: usize,
    now: Time,
) -> Check {
    let ago = |duration| Time::after_start(now.since_start().saturating_sub(duration));
    // From the SYN of the first dial to that of the second: what it does afterwards cannot be
    // known yet.
    let (first, second) = (Duration::from_millis(1390), Duration::from_millis(710));
    let silent = timeline.was_silent(endpoint, ago(first), ago(second));
    // Slow first, and frozen before the late answer was there.
    let slow = timeline.has(endpoint, ago(first), |fault| matches!(fault, Fault::Slow(_)));
    let silent = silent || slow && timeline.was_silent(endpoint, ago(second), now);
    let sick = timeline.episodes.iter().any(|episode| {
        episode.endpoint == Some(endpoint)
            && episode.fault == Fault::Sick
            && episode.from + Duration::from_secs(10) <= now
            && now <= episode.to + Duration::from_secs(4)
    });
    holds("no reset without silence of its own", silent || sick, || {
        format!("the sessions of endpoint {endpoint} are reset; {:?}", timeline.episodes)
    })
}

/// While falls are suspected to have a common cause nobody is reset.
pub fn correlated_never_resets(endpoint: usize, report: &Report) -> Check {
    holds("correlated never resets", !report.correlated, || {
        format!("endpoint {endpoint} is held by the brakes: {report:?}")
    })
}

/// A session is reset for sickness only while the endpoint is held to be sick.
pub fn no_reset_of_the_recovered(endpoint: usize, reason: Reason) -> Check {
    holds("no reset after a sign of life", matches!(reason, Reason::Sick(_)), || {
        format!("endpoint {endpoint} is reset for sickness, and {reason}")
    })
}

/// A session is reset for silence only while no byte came from its endpoint since the order.
pub fn no_reset_after_a_sign_of_life(
    endpoint: usize,
    ordered: Time,
    last_byte: Option<Time>,
) -> Check {
    holds("no reset after a sign of life", last_byte.is_none_or(|at| at < ordered), || {
        format!("endpoint {endpoint}: ordered {ordered:?}, a byte at {last_byte:?}")
    })
}

/// `dead (silent)` needs two silent dials in a row, and no byte since the first of them began.
pub fn silence_is_two_dials_and_no_byte(
    endpoint: usize,
    dials: &[Time],
    last_byte: Option<Time>,
) -> Check {
    let first = dials.len().checked_sub(2).map(|index| dials[index]);
    let proven = first.is_some_and(|first| last_byte.is_none_or(|at| at < first));
    holds("silence is two dials and no byte", proven, || {
        format!("endpoint {endpoint} is dead; silent dials {dials:?}, last byte {last_byte:?}")
    })
}

/// Evidence that is nothing but bad never makes a verdict better.
pub fn verdicts_are_monotone(evidence: &Evidence, before: &Report, after: &Report) -> Check {
    let bad = matches!(
        evidence,
        Evidence::Refused
            | Evidence::Reset
            | Evidence::TlsFailed(_)
            | Evidence::Silent { .. }
            | Evidence::Late { .. }
            | Evidence::DialFailed(_)
            | Evidence::Unanswered { .. }
    );
    let worse = after.verdict.badness() >= before.verdict.badness();
    holds("verdicts are monotone in evidence", !bad || worse, || {
        format!("{evidence:?} made {before:?} {after:?}")
    })
}

/// Our own trouble is no evidence.
pub fn void_changes_nothing(evidence: &Evidence, before: &[Report], after: &[Report]) -> Check {
    holds("void changes nothing", before == after, || {
        format!("{evidence:?} made {before:?} {after:?}")
    })
}

/// What sessions meet makes an endpoint suspect at most.
pub fn traffic_alone_never_kills(evidence: &Evidence, before: &Report, after: &Report) -> Check {
    let passive = matches!(
        evidence,
        Evidence::DialFailed(_)
            | Evidence::Unanswered { .. }
            | Evidence::EndedEarly { .. }
            | Evidence::Exchange(_)
    );
    let killed = after.verdict == Verdict::Dead && before.verdict != Verdict::Dead;
    holds("traffic alone never kills", !passive || !killed, || format!("{evidence:?}: {after:?}"))
}

/// Replays within ten seconds: a tenth of the new sessions, five at least. (The engine counts
/// whole seconds: its window is up to a second shorter.)
pub fn the_replay_budget_is_kept(replays: &[Time], sessions: &[Time], now: Time) -> Check {
    let within = |times: &[Time], seconds: u64| {
        times.iter().rev().take_while(|at| now.since(**at) < Duration::from_secs(seconds)).count()
    };
    let (replays, sessions) = (within(replays, 9), within(sessions, 10));
    holds("the replay budget is kept", replays <= (sessions / 10).max(5), || {
        format!("{replays} replays of {sessions} sessions")
    })
}

/// Only a flight of which no byte was answered may go to a second endpoint.
pub fn only_unanswered_flights_are_replayed(answered: bool) -> Check {
    holds("only unanswered flights are replayed", !answered, || "it was answered".to_owned())
}

/// The first reset within 0.2 s of the order, the last within 2 s, never more than the bound at
/// once.
pub fn resets_are_paced(ordered: Time, now: Time, first: bool, count: u32, bound: u32) -> Check {
    let passed = now.since(ordered);
    let in_time =
        passed <= Duration::from_secs(2) && (!first || passed <= Duration::from_millis(200));
    holds("resets are paced", in_time && count <= bound, || {
        format!("{count} resets {passed:?} after the order")
    })
}

/// What is counted on an endpoint are the sessions that it has.
pub fn every_lease_is_returned(counted: &[u32], standing: &[u32]) -> Check {
    holds("every lease is returned", counted == standing, || {
        format!("counted {counted:?}, standing {standing:?}")
    })
}

/// No more wait than the queue allows, and nobody longer than its timeout.
pub fn the_queue_is_bounded(waiting: usize, limit: usize) -> Check {
    holds("the queue is bounded", waiting <= limit, || format!("{waiting} of {limit} wait"))
}

/// An endpoint that falls silent while all others are well is dead within 3.1 s (1.1 s of jitter
/// and three dials: 3.2 s; a tenth for the network).
pub fn silence_is_noticed_in_time(endpoint: usize, report: &Report) -> Check {
    let noticed = report.verdict == Verdict::Dead;
    holds("silence is noticed in time", noticed, || {
        format!("endpoint {endpoint} is silent for 3.3 s: {report:?}")
    })
}

/// A session is not turned away while an endpoint is well.
pub fn nobody_is_turned_away(timeline: &Timeline, endpoints: usize, now: Time) -> Check {
    let before = Time::after_start(now.since_start().saturating_sub(Duration::from_secs(6)));
    let after = now + Duration::from_millis(1);
    let well = (0..endpoints).find(|endpoint| timeline.is_healthy(*endpoint, before, after));
    holds("nobody is turned away", well.is_none(), || {
        format!("a session failed although endpoint {well:?} is well")
    })
}

/// When all is well again, all are up.
pub fn everybody_recovers(reports: &[Report], correlated: bool) -> Check {
    let up = reports.iter().all(|report| report.verdict == Verdict::Up);
    holds("everybody recovers", up && !correlated, || format!("{reports:?}"))
}
