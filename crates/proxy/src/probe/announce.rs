//! What the log is told of verdicts.

use super::certificate::Concern;
use super::watch::Watch;
use crate::observe::Event;
use crate::pool::Endpoint;
use eclusa_config::plan::Program;
use eclusa_policy::quorum::Quorum;
use eclusa_policy::verdict::{Reason, Report, Verdict};
use std::time::{Duration, UNIX_EPOCH};

impl Watch {
    pub(super) fn is_apiserver(&self) -> bool {
        self.shared.program == Program::Apiserver
    }

    fn about(&self, endpoint: &Endpoint, kind: &'static str, message: String) -> Event {
        Event::new(kind, message)
            .about("pool", &*self.pool().plan().name)
            .about("endpoint", endpoint.name())
            .about("address", endpoint.address().to_string())
    }

    /// Tells what an endpoint's report (`known`, before) has become.
    pub(super) fn tell_verdict(
        &self,
        endpoint: &Endpoint,
        known: Report,
        before: Verdict,
        report: Report,
    ) {
        let told = |report: &Report| (report.verdict, report.reason, report.blind);
        // What only pickers or the brakes want to know has its own events, or none.
        if told(&known) == told(&report) {
            return;
        }
        let (name, pool, verdict) =
            (endpoint.name(), &self.pool().plan().name, report.verdict.name());
        let message = format!("{name} of pool {pool} is {verdict}: {}", report.reason);
        let mut event = self
            .about(endpoint, "verdict", message)
            .about("verdict", verdict)
            .about("before", before.name())
            .about("reason", report.reason.word());
        if report.verdict == before {
            let since = self.shared.time().since(report.since).as_secs();
            event = event.about("since_s", since);
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
        let reports: Vec<Report> =
            self.pool().endpoints().iter().map(|endpoint| endpoint.report()).collect();
        Quorum::count(reports.iter().map(|report| (report, true)))
    }

    /// Tells that the sessions of an endpoint are being reset, or no longer.
    pub(super) fn tell_resets(&self, endpoint: &Endpoint, reason: Option<Reason>) {
        let (name, pool) = (endpoint.name(), &self.pool().plan().name);
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
        let pool = &*self.pool().plan().name;
        let message = if begins {
            format!(
                "CORRELATED: suspecting this host or its network: endpoints of pool {pool} fall \
                 together; nothing is reset, and the least bad go on being used"
            )
        } else {
            format!("pool {pool} is no longer correlated")
        };
        let event = Event::new("correlated", message).about("pool", pool);
        self.shared.logger.event(event.about("correlated", begins));
    }

    pub(super) fn tell_panic(&self, begins: bool) {
        let pool = &*self.pool().plan().name;
        let message = if begins {
            format!("PANIC: no endpoint of pool {pool} is well; it sends to the least bad")
        } else {
            format!("pool {pool} is no longer in panic")
        };
        let event = Event::new("panic", message).about("pool", pool);
        self.shared.logger.event(event.about("panic", begins));
    }

    /// Tells of trouble of our own with a file; the same once until it changes.
    pub(super) fn tell_trouble(&self, message: String) {
        if self.trouble.borrow().as_deref() != Some(&message) {
            self.shared.logger.event(Event::new("warning", message.clone()));
            self.trouble.replace(Some(message));
        }
    }

    /// Tells what is wrong with an endpoint's certificate that was not before.
    pub(super) fn announce_certificate(
        &self,
        endpoint: &Endpoint,
        before: Concern,
        concern: Concern,
    ) {
        let name = endpoint.name();
        if let Some(end) = concern.ends.filter(|_| before.ends != concern.ends) {
            let date = UNIX_EPOCH + Duration::from_secs(u64::try_from(end).unwrap_or(0));
            let date = humantime::format_rfc3339_seconds(date).to_string();
            let message = format!(
                "the certificate of {name} ends at {date}: renew it (kubeadm certs renew apiserver)"
            );
            let event = self.about(endpoint, "certificate", message);
            self.shared.logger.event(event.about("not_after", date));
        }
        if concern.uncovered && !before.uncovered {
            let message = format!(
                "the address of this balancer does not stand in the certificate of {name}: \
                 clients that verify it are turned away (add it to the apiserver's certSANs)"
            );
            let event = self.about(endpoint, "certificate", message);
            self.shared.logger.event(event.about("covers_us", false));
        }
    }
}
