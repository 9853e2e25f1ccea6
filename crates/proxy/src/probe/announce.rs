//! What the log is told of verdicts, and what it is spared: an endpoint that is now this, now that
//! must not fill it. What an [`Allowance`] leaves out is counted, and told with how things stand by
//! then; an endpoint that comes to be `dead` or `draining`, or is no longer, is always told.

use super::certificate::Concern;
use super::watch::{Member, Watch};
use crate::admin::AdminState;
use crate::observe::Event;
use crate::pool::Endpoint;
use eclusa_config::plan::Program;
use eclusa_policy::quorum::Quorum;
use eclusa_policy::time::Time;
use eclusa_policy::verdict::{Reason, Report, Verdict, VoidCause};
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

/// Void results with longer pauses between them are news again.
const VOID_AGAIN: Duration = Duration::from_secs(10);

impl Watch {
    pub(super) fn is_apiserver(&self) -> bool {
        self.shared.program == Program::Apiserver
    }

    fn about(&self, endpoint: &Endpoint, kind: &'static str, message: String) -> Event {
        self.about_pool(kind, message)
            .about("endpoint", &*endpoint.name())
            .about("address", endpoint.address().to_string())
    }

    fn about_pool(&self, kind: &'static str, message: String) -> Event {
        Event::new(kind, message).about("pool", self.pool().name())
    }

    /// Tells what an endpoint's report (`known`, before) has become.
    pub(super) fn tell_verdict(
        &self,
        member: &Member,
        known: Report,
        before: Verdict,
        report: Report,
    ) {
        let told = |report: &Report| (report.verdict, report.reason, report.blind);
        // What only pickers or the brakes want to know has its own events, or none.
        if told(&known) == told(&report) {
            return;
        }
        let now = self.shared.time();
        let mut allowance = member.allowance.borrow_mut();
        let left_out = if is_grave(before, report.verdict) {
            allowance.take_anyway(now)
        } else if allowance.take(now) {
            0
        } else {
            return;
        };
        self.verdict(&member.endpoint, before, report, left_out);
    }

    fn verdict(&self, endpoint: &Endpoint, before: Verdict, report: Report, left_out: u32) {
        let (name, pool, verdict) = (endpoint.name(), self.pool().name(), report.verdict.name());
        let mut message = format!("{name} of pool {pool} is {verdict}: {}", report.reason);
        if left_out > 0 {
            message.push_str(&format!(" ({left_out} lines before this one were left out)"));
        }
        let mut event = self
            .about(endpoint, "verdict", message)
            .about("verdict", verdict)
            .about("before", before.name())
            .about("reason", report.reason.word());
        if report.verdict == before {
            let since = self.shared.time().since(report.since).as_secs();
            event = event.about("since_s", since);
        }
        if left_out > 0 {
            event = event.about("left_out", left_out);
        }
        if report.blind {
            event = event.about("blind", true);
        }
        if report.correlated {
            event = event.about("correlated", true);
        }
        if self.is_apiserver() {
            event = event.about("quorum", self.quorum().to_string());
        }
        self.shared.logger.event(event);
    }

    fn quorum(&self) -> Quorum {
        let endpoints = self.pool().endpoints();
        let in_rotation = |endpoint: &Endpoint| endpoint.admin() == AdminState::Ready;
        let reports: Vec<_> =
            endpoints.iter().map(|endpoint| (endpoint.report(), in_rotation(endpoint))).collect();
        Quorum::count(reports.iter().map(|(report, ready)| (report, *ready)))
    }

    /// Tells that the sessions of an endpoint are being reset, or no longer.
    pub(super) fn tell_resets(&self, member: &Member, reason: Option<Reason>) {
        if !member.allowance.borrow_mut().take(self.shared.time()) {
            return;
        }
        let endpoint = &member.endpoint;
        let (name, pool) = (endpoint.name(), self.pool().name());
        let message = match reason {
            Some(reason) => format!("resetting the sessions on {name} of pool {pool}: {reason}"),
            None => format!("no more sessions on {name} of pool {pool} are reset"),
        };
        let event = self
            .about(endpoint, "resets", message)
            .about("resetting", reason.is_some())
            .about("sessions", endpoint.sessions());
        self.shared.logger.event(event);
    }

    pub(super) fn tell_correlated(&self, begins: bool) {
        if !self.allowance.borrow_mut().take(self.shared.time()) {
            return;
        }
        let pool = self.pool().name();
        let message = if begins {
            format!(
                "CORRELATED: suspecting this host or its network: endpoints of pool {pool} fall \
                 together; nothing is reset, and the least bad go on being used"
            )
        } else {
            format!("pool {pool} is no longer correlated")
        };
        let event = self.about_pool("correlated", message);
        self.shared.logger.event(event.about("correlated", begins));
    }

    pub(super) fn tell_panic(&self, begins: bool) {
        if !self.allowance.borrow_mut().take(self.shared.time()) {
            return;
        }
        let pool = self.pool().name();
        let message = if begins {
            let sends = if self.shared.tap().is_some() { "would send" } else { "sends" };
            format!("PANIC: no endpoint of pool {pool} is well; it {sends} to the least bad")
        } else {
            format!("pool {pool} is no longer in panic")
        };
        let event = self.about_pool("panic", message);
        self.shared.logger.event(event.about("panic", begins));
    }

    /// Tells that results are void, and why; once as long as that goes on.
    pub(super) fn tell_void(&self, cause: VoidCause, now: Time) {
        let mut voids = self.voids.borrow_mut();
        let goes_on =
            voids.iter().any(|(known, at)| *known == cause && now.since(*at) < VOID_AGAIN);
        voids.retain(|(known, _)| *known != cause);
        voids.push((cause, now));
        if goes_on || !self.allowance.borrow_mut().take(now) {
            return;
        }
        let (pool, words) = (self.pool().name(), cause.words());
        let message = format!("the probes of pool {pool} say nothing: {words}; verdicts are held");
        self.shared.logger.event(self.about_pool("void", message).about("cause", words));
    }

    /// Tells how many lines were left out, of whom, and how it stands by now.
    pub(super) fn tell_left_out(&self, members: &[Rc<Member>]) {
        let now = self.shared.time();
        for member in members {
            if let Some(lines) = member.allowance.borrow_mut().take_left_out(now) {
                self.left_out(&member.endpoint, lines);
            }
        }
        let Some(lines) = self.allowance.borrow_mut().take_left_out(now) else { return };
        let (pool, correlated, panic) =
            (self.pool().name(), self.is_correlated(), self.is_in_panic());
        let no = |holds: bool| if holds { "" } else { "not " };
        let message = format!(
            "{lines} lines about pool {pool} were left out; it is {}correlated and {}in panic",
            no(correlated),
            no(panic)
        );
        let event = self.about_pool("left_out", message).about("left_out", lines);
        self.shared.logger.event(event.about("correlated", correlated).about("panic", panic));
    }

    /// The same of an endpoint that is forgotten.
    pub(super) fn tell_left_out_at_last(&self, member: &Member) {
        let lines = member.allowance.borrow_mut().take_anyway(self.shared.time());
        if lines > 0 {
            self.left_out(&member.endpoint, lines);
        }
    }

    fn left_out(&self, endpoint: &Endpoint, lines: u32) {
        let (name, pool, report) = (endpoint.name(), self.pool().name(), endpoint.report());
        let verdict = report.verdict.name();
        let message = format!(
            "{lines} lines about {name} of pool {pool} were left out; it is {verdict}: {}",
            report.reason
        );
        let event = self
            .about(endpoint, "left_out", message)
            .about("left_out", lines)
            .about("verdict", verdict)
            .about("reason", report.reason.word());
        self.shared.logger.event(event);
    }

    /// Tells of trouble of our own with a file; the same once until it changes.
    pub(super) fn tell_trouble(&self, message: String) {
        if self.trouble.borrow().as_deref() != Some(&message) {
            self.shared.logger.event(Event::new("warning", message.clone()));
            self.trouble.replace(Some(message));
        }
    }

    /// Tells what is wrong with an endpoint's certificate that was not told before; a line that
    /// there is no room for is told at a later handshake.
    pub(super) fn announce_certificate(&self, member: &Member, concern: Concern) {
        let before = member.told.get();
        let now = self.shared.time();
        let ends = concern.ends.filter(|_| before.ends != concern.ends);
        let uncovered = concern.uncovered && !before.uncovered;
        let lines = usize::from(ends.is_some()) + usize::from(uncovered);
        if (0..lines).any(|_| !member.allowance.borrow_mut().take(now)) {
            return;
        }
        member.told.set(concern);
        let (endpoint, name) = (&member.endpoint, member.endpoint.name());
        if let Some(end) = ends {
            let date = UNIX_EPOCH + Duration::from_secs(u64::try_from(end).unwrap_or(0));
            let date = humantime::format_rfc3339_seconds(date).to_string();
            let message = format!(
                "the certificate of {name} ends at {date}: renew it (kubeadm certs renew apiserver)"
            );
            let event = self.about(endpoint, "certificate", message);
            self.shared.logger.event(event.about("not_after", date));
        }
        if uncovered {
            let message = format!(
                "the address of this balancer does not stand in the certificate of {name}: \
                 clients that verify it are turned away (add it to the apiserver's certSANs)"
            );
            let event = self.about(endpoint, "certificate", message);
            self.shared.logger.event(event.about("covers_us", false));
        }
    }
}

/// Whether a change of verdict must be told whatever was told before.
fn is_grave(before: Verdict, verdict: Verdict) -> bool {
    let out = |verdict: Verdict| matches!(verdict, Verdict::Dead | Verdict::Draining);
    before != verdict && (out(before) || out(verdict))
}
