//! The state of an engine at one moment, for those who ask: the page of metrics, health, status.

use crate::admin::AdminState;
use crate::layer7::Services;
use crate::pool::{Endpoint, Pool};
use eclusa_config::list::List;
use eclusa_config::plan::{Listener, Plan, Program};
use eclusa_policy::quorum::Quorum;
use eclusa_policy::time::Time;
use eclusa_policy::verdict::{Reason, Report, Tier, Verdict};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

/// What an engine is and does at this moment.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) program: Program,
    /// The time, on the clock of `policy`.
    pub(crate) now: Time,
    pub(crate) pools: Arc<Vec<Arc<Pool>>>,
    /// Of `pools`, those that a route uses.
    pub(crate) routed: Vec<usize>,
    /// Who serves listeners that ask for more than TCP.
    pub(crate) services: Arc<Services>,
    pub(crate) lists: Arc<Vec<Arc<List>>>,
    /// What the configuration says of listeners.
    pub(crate) faces: Arc<Faces>,
    /// Sessions by worker.
    pub(crate) sessions: Vec<u32>,
    /// Permits that are taken, and how many there are.
    pub(crate) permits: usize,
    pub(crate) sessions_max: usize,
    /// Signals of workers to the probes that wait, and may wait.
    pub(crate) signals: (usize, usize),
    /// Lines of the log that wait, and may wait; those that were lost.
    pub(crate) log_queue: (usize, usize),
    pub(crate) log_dropped: u64,
    /// Who follows the events at this moment, and how many were cut off.
    pub(crate) followers: (usize, u64),
}

/// What the configuration says of listeners, for those who tell of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Faces {
    /// The listeners, in their order.
    pub(crate) listeners: Vec<Face>,
    /// The pools that a listener with HTTP uses.
    pub(crate) http_pools: BTreeSet<Arc<str>>,
}

/// A listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Face {
    pub(crate) name: Arc<str>,
    pub(crate) http: bool,
    pub(crate) tls: bool,
}

impl Faces {
    /// Of a plan.
    pub(crate) fn of(plan: &Plan) -> Self {
        let face = |listener: &Listener| Face {
            name: listener.name.clone(),
            http: listener.http.is_some(),
            tls: listener.tls.is_some(),
        };
        let http = plan.listeners.iter().filter(|listener| listener.http.is_some());
        let indexes = http.flat_map(|it| &it.routes).flat_map(|route| route.target.pools());
        let names = indexes.filter_map(|index| Some(plan.pools.get(index)?.name.clone()));
        Self { listeners: plan.listeners.iter().map(face).collect(), http_pools: names.collect() }
    }
}

/// How a pool stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) endpoints: usize,
    /// Endpoints that are well.
    pub(crate) ready: usize,
    /// Endpoints that can take a session.
    pub(crate) usable: usize,
    /// Ready ones that may be lost.
    pub(crate) can_lose: usize,
    /// It sends to the least bad.
    pub(crate) panic: bool,
    pub(crate) correlated: bool,
}

impl Standing {
    /// Whether it can take a session.
    pub(crate) fn is_available(self) -> bool {
        self.usable > 0
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{} ready, can lose {}", self.ready, self.endpoints, self.can_lose)?;
        if !self.is_available() {
            f.write_str(", none can take a session")?;
        }
        if self.panic {
            f.write_str(", PANIC")?;
        }
        if self.correlated {
            f.write_str(", CORRELATED")?;
        }
        Ok(())
    }
}

/// Whether this host reaches endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// One answers.
    One,
    /// None does.
    None,
    /// Nobody has asked one.
    Unknown,
}

impl View {
    pub(crate) fn standing(&self, pool: &Pool) -> Standing {
        let endpoints = pool.endpoints();
        let in_rotation = |endpoint: &Endpoint| endpoint.admin() == AdminState::Ready;
        let reports: Vec<(Report, bool)> =
            endpoints.iter().map(|endpoint| (endpoint.report(), in_rotation(endpoint))).collect();
        standing(self.program, &reports)
    }

    /// The pools that a route uses.
    pub(crate) fn routed(&self) -> impl Iterator<Item = &Arc<Pool>> {
        self.routed.iter().filter_map(|index| self.pools.get(*index))
    }

    /// Whether an endpoint of a pool that a route uses is reached.
    pub(crate) fn reach(&self) -> Reach {
        let mut reach = Reach::None;
        for pool in self.routed() {
            for endpoint in pool.endpoints().iter() {
                match reach_of(&endpoint.report()) {
                    Reach::One => return Reach::One,
                    Reach::Unknown => reach = Reach::Unknown,
                    Reach::None => {}
                }
            }
        }
        reach
    }
}

/// Of endpoints, each with its report and whether the operator lets it take sessions.
fn standing(program: Program, endpoints: &[(Report, bool)]) -> Standing {
    let quorum = Quorum::count(endpoints.iter().map(|(report, ready)| (report, *ready)));
    let reports = || endpoints.iter().filter(|(_, ready)| *ready).map(|(report, _)| report);
    let usable = || reports().filter(|report| report.tier != Tier::Closed);
    let well = |report: &&Report| report.tier <= Tier::Suspect && !report.correlated;
    let can_lose = match program {
        Program::Apiserver => quorum.can_lose(),
        Program::Edge => quorum.ready.saturating_sub(1),
    };
    Standing {
        endpoints: endpoints.len(),
        ready: quorum.ready,
        usable: usable().count(),
        can_lose,
        panic: usable().next().is_some() && !usable().any(|report| well(&report)),
        correlated: reports().any(|report| report.correlated),
    }
}

/// Whether the endpoint is reached: it has answered, whatever the answer was, and nothing since says
/// that it does not.
fn reach_of(report: &Report) -> Reach {
    match report.reason {
        // By its last address it may answer all the same.
        Reason::Unresolved if report.tier == Tier::Up => Reach::One,
        Reason::NotProbed | Reason::Recheck | Reason::Unresolved => Reach::Unknown,
        // Failed as a connection, or said so by traffic alone.
        Reason::Refused
        | Reason::Reset
        | Reason::Silent
        | Reason::Tls(_)
        | Reason::DialFailed(_)
        | Reason::Unanswered
        | Reason::EndedEarly
        | Reason::Exchange(_) => Reach::None,
        _ if report.verdict == Verdict::Dead => Reach::None,
        _ => Reach::One,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eclusa_policy::verdict::Onward;

    fn report(verdict: Verdict, reason: Reason, tier: Tier) -> Report {
        Report {
            verdict,
            reason,
            since: Time::START,
            blind: false,
            correlated: false,
            tier,
            onward: Onward::GoOn,
            risen: None,
        }
    }

    #[test]
    fn standings() {
        let up = report(Verdict::Up, Reason::Answers, Tier::Up);
        let dead = report(Verdict::Dead, Reason::Refused, Tier::Closed);
        let sick = report(Verdict::Draining, Reason::Sick(500), Tier::Draining);
        let held = Report { correlated: true, tier: Tier::LastResort, ..dead };
        let of = |program, reports: &[Report]| {
            let ready: Vec<_> = reports.iter().map(|report| (*report, true)).collect();
            standing(program, &ready).to_string()
        };
        let masters = |reports: &[Report]| of(Program::Apiserver, reports);
        assert_eq!(masters(&[up, up, dead]), "2/3 ready, can lose 0");
        assert_eq!(of(Program::Edge, &[up, up, dead]), "2/3 ready, can lose 1");
        assert_eq!(masters(&[dead, dead]), "0/2 ready, can lose 0, none can take a session");
        assert_eq!(masters(&[dead, sick]), "0/2 ready, can lose 0, PANIC");
        assert_eq!(masters(&[held, held]), "0/2 ready, can lose 0, PANIC, CORRELATED");
        let drained = standing(Program::Apiserver, &[(up, true), (up, true), (up, false)]);
        assert_eq!(
            drained.to_string(),
            "2/3 ready, can lose 0",
            "what the operator drains is not ready"
        );
        assert_eq!(masters(&[]), "0/0 ready, can lose 0, none can take a session");
    }

    #[test]
    fn an_answer_is_reach_whatever_it_says() {
        let of = |verdict, reason| reach_of(&report(verdict, reason, Tier::Up));
        assert_eq!(of(Verdict::Up, Reason::Answers), Reach::One);
        assert_eq!(of(Verdict::Draining, Reason::Sick(500)), Reach::One);
        assert_eq!(of(Verdict::Up, Reason::Blind), Reach::One);
        assert_eq!(of(Verdict::Dead, Reason::Silent), Reach::None);
        assert_eq!(of(Verdict::Suspect, Reason::Silent), Reach::None);
        assert_eq!(of(Verdict::Unknown, Reason::NotProbed), Reach::Unknown);
        assert_eq!(of(Verdict::Up, Reason::NotProbed), Reach::Unknown, "nobody asks it");
    }
}
