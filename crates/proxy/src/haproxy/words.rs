//! Verdicts, admin states and results of probes in HAProxy's words.

use super::rows::Value;
use crate::admin::AdminState;
use eclusa_config::plan::Probe;
use eclusa_policy::balance::Algorithm;
use eclusa_policy::verdict::{History, Outcome, Reason, Report, Tier, Verdict};

/// The status of an endpoint (HAProxy 2.6, management.txt, section 9.1).
pub(super) fn status(admin: AdminState, report: &Report, probe: &Probe) -> &'static str {
    match (admin, report.verdict) {
        (AdminState::Maint, _) => "MAINT",
        (AdminState::Drain, _) => "DRAIN",
        (AdminState::Ready, Verdict::Dead) => "DOWN",
        (AdminState::Ready, Verdict::Draining) => "NOLB",
        // Usable, while nobody is known to be better.
        (AdminState::Ready, Verdict::Unknown | Verdict::Suspect) => "UP 1/3",
        (AdminState::Ready, Verdict::Up | Verdict::Unresolved) => match report.tier {
            Tier::Closed => "DOWN",
            _ if *probe == Probe::None => "no check",
            _ => "UP",
        },
    }
}

/// Whether an endpoint with this status takes new sessions.
pub(super) fn is_up(status: &Value) -> bool {
    matches!(status, Value::Word(word) if word.starts_with("UP") || *word == "no check")
}

/// The exporter's state for a status.
pub(super) fn state(status: &str) -> &str {
    match status {
        "UP 1/3" | "no check" | "OPEN" => "UP",
        other => other,
    }
}

/// The last result of a probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Checked {
    pub(super) word: &'static str,
    pub(super) code: Option<u16>,
    pub(super) told: String,
}

/// The last result; `None` where nobody asks.
pub(super) fn check(results: &History, probe: &Probe) -> Option<Checked> {
    if *probe == Probe::None {
        return None;
    }
    let Some(last) = results.iter().next_back() else {
        let told = Reason::NotProbed.to_string();
        return Some(Checked { word: "INI", code: None, told });
    };
    let (word, code) = result(last.outcome, probe);
    Some(Checked { word, code, told: last.outcome.to_string() })
}

fn result(outcome: Outcome, probe: &Probe) -> (&'static str, Option<u16>) {
    let layer = match probe {
        Probe::None | Probe::Tcp => 4,
        Probe::Tls(_) => 6,
        Probe::Http(_) | Probe::Grpc(_) => 7,
    };
    let reason = match outcome {
        // Bytes that came since refute what the probe found.
        Outcome::Good | Outcome::Vetoed if layer == 4 => return ("L4OK", None),
        Outcome::Good | Outcome::Vetoed if layer == 6 => return ("L6OK", None),
        Outcome::Good | Outcome::Vetoed => return ("L7OK", None),
        Outcome::Void(_) => return ("SOCKERR", None),
        Outcome::Bad(reason) => reason,
    };
    match reason {
        Reason::Refused | Reason::Reset => ("L4CON", None),
        Reason::Silent if probe.tls().is_some() => ("L6TOUT", None),
        Reason::Silent if layer == 4 => ("L4TOUT", None),
        Reason::Silent | Reason::Slow => ("L7TOUT", None),
        Reason::Tls(_) => ("L6RSP", None),
        Reason::NotReady(status @ 100..) | Reason::Sick(status @ 100..) => ("L7STS", Some(status)),
        Reason::NotReady(_) | Reason::Sick(_) => ("L7RSP", None),
        Reason::Answers | Reason::Blind => ("L7OKC", None),
        Reason::NotProbed | Reason::Recheck | Reason::Unresolved => ("INI", None),
        // What traffic alone saw.
        Reason::DialFailed(_) | Reason::Unanswered | Reason::EndedEarly | Reason::Exchange(_) => {
            ("HANA", None)
        }
    }
}

/// The balance.
pub(super) fn algorithm(balance: Algorithm) -> &'static str {
    match balance {
        Algorithm::RoundRobin => "roundrobin",
        Algorithm::TwoChoices => "random",
        Algorithm::LeastConnections => "leastconn",
        Algorithm::SourceHash => "source",
        Algorithm::First => "first",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use eclusa_config::plan::TlsProbe;
    use eclusa_policy::time::Time;
    use eclusa_policy::verdict::{Onward, VoidCause};

    fn report(verdict: Verdict, tier: Tier) -> Report {
        Report {
            verdict,
            reason: Reason::Answers,
            since: Time::START,
            blind: false,
            correlated: false,
            tier,
            onward: Onward::GoOn,
            risen: None,
        }
    }

    #[test]
    fn what_the_operator_wants_comes_before_what_probes_show() {
        let dead = report(Verdict::Dead, Tier::Closed);
        let of = |admin, report: &Report| status(admin, report, &Probe::Tcp);
        assert_eq!(of(AdminState::Maint, &dead), "MAINT");
        assert_eq!(of(AdminState::Drain, &dead), "DRAIN");
        assert_eq!(of(AdminState::Ready, &dead), "DOWN");
        let up = report(Verdict::Up, Tier::Up);
        assert_eq!(of(AdminState::Ready, &up), "UP");
        assert_eq!(status(AdminState::Ready, &up, &Probe::None), "no check");
        let sick = report(Verdict::Draining, Tier::Draining);
        assert_eq!(of(AdminState::Ready, &sick), "NOLB");
        assert_eq!(of(AdminState::Ready, &report(Verdict::Suspect, Tier::Suspect)), "UP 1/3");
        assert_eq!(of(AdminState::Ready, &report(Verdict::Unknown, Tier::Unprobed)), "UP 1/3");
        assert_eq!(state("no check"), "UP");
        assert_eq!(state("NOLB"), "NOLB");
    }

    #[test]
    fn results_have_the_layer_of_the_probe() {
        let tls = Probe::Tls(TlsProbe::default());
        assert_eq!(result(Outcome::Good, &Probe::Tcp), ("L4OK", None));
        assert_eq!(result(Outcome::Vetoed, &tls), ("L6OK", None));
        assert_eq!(result(Outcome::Bad(Reason::Silent), &tls), ("L6TOUT", None));
        assert_eq!(result(Outcome::Bad(Reason::Silent), &Probe::Tcp), ("L4TOUT", None));
        assert_eq!(result(Outcome::Bad(Reason::Sick(503)), &tls), ("L7STS", Some(503)));
        assert_eq!(result(Outcome::Bad(Reason::Sick(0)), &tls), ("L7RSP", None));
        assert_eq!(result(Outcome::Void(VoidCause::Stalled), &tls), ("SOCKERR", None));
        assert_eq!(check(&History::default(), &Probe::None), None);
        assert_eq!(check(&History::default(), &tls).unwrap().word, "INI");
    }
}
