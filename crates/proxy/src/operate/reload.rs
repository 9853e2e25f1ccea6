//! Reload: the file, read again, in force or refused with one clear message on every channel: the
//! reply, the log, the metric, `status`, and systemd.

use super::{Data, LastReload, Moment, Operator, Outcome, Reply, done};
use crate::admin::{Amended, By, Reload, ReloadReport, UnconfirmedStatus, audited};
use crate::engine::{ReloadError, Reloaded};
use crate::files;
use eclusa_config::Mode;
use eclusa_config::plan::Plan;
use std::sync::Arc;

impl Operator {
    /// Reads the file again and takes what it says, or changes nothing and tells why. `by`: who wants it.
    pub(crate) fn reload(&self, wanted: &Reload, by: &str) -> Reply {
        if let Some(keeper) = &self.keeper {
            keeper.reloading();
        }
        // What a drill makes believe must not decide what may go.
        self.end_drill("a reload");
        let reply = self.read_and_take(wanted, by);
        if let Some(keeper) = &self.keeper {
            keeper.ready();
            keeper.status(&self.engine.in_one_line());
        }
        let succeeded = reply.outcome == Outcome::Done;
        let message = reply.messages.first().cloned().unwrap_or_default();
        let message = message.lines().next().unwrap_or_default().to_owned();
        let last = LastReload { at: Moment::now(), succeeded, message };
        self.last_reload.replace(Some(last));
        self.tell_warning();
        reply
    }

    /// Does what SIGHUP asks for. What came of it is in the log.
    pub(crate) fn hang_up(&self) {
        let by = By { peer: None, from: "SIGHUP" };
        let reply = self.reload(&Reload::default(), by.from);
        self.engine.event(audited("reload", None, by, &reply));
    }

    fn read_and_take(&self, wanted: &Reload, by: &str) -> Reply {
        let Some(config) = &self.config else {
            let message = "there is no file to read again: the configuration was typed";
            self.engine.warn(message);
            return Reply::not_done(Outcome::Failed, message);
        };
        if let Some(why) = self.awaits() {
            self.engine.refuse_reload(&why);
            return Reply::not_done(Outcome::Failed, format!("reload refused: {why}"));
        }
        let loaded = eclusa_config::load_with(self.program, config, Mode::Reload, files::open);
        let loaded = match loaded {
            Ok(loaded) => loaded,
            Err(diagnostics) => {
                let text = diagnostics.to_string();
                self.engine.refuse_reload(&text);
                // A line for people each: a diagnostic shows the file's own.
                let mut lines = text.trim_end().lines();
                let first = Reply::not_done(Outcome::Failed, lines.next().unwrap_or_default());
                return lines.fold(first, Reply::line);
            }
        };
        let text: Arc<str> = loaded.warnings.source().text().into();
        let Amended { loaded, overtaken } = self.amended(loaded, Mode::Reload);
        let (plan, warnings) = (loaded.plan, loaded.warnings.lines());
        for warning in &warnings {
            self.engine.warn(warning);
        }
        let before = self.engine.status().generation;
        // First: an engine that crashes while it takes the plan must not leave it to the next.
        let tried = wanted.confirm_seconds.is_some() && self.try_on(&text);
        let reloaded = self.engine.reload(&plan, wanted.force);
        if tried && reloaded.is_err() {
            self.try_off();
        }
        match reloaded {
            Ok(reloaded) => {
                let on_trial = self.took(text, wanted.confirm_seconds, by);
                let ended = self.overtake(&overtaken, on_trial);
                let mut report = self.report(&plan, &reloaded, warnings);
                report.dropped_overrides.splice(0..0, ended);
                let said = match report.changes.len() {
                    0 => "reloaded: nothing has changed".to_owned(),
                    1 => "reloaded: 1 change".to_owned(),
                    more => format!("reloaded: {more} changes"),
                };
                if wanted.confirm_seconds.is_some() && !on_trial {
                    let line =
                        "it is the text that was in force before: nothing is to be confirmed";
                    report.warnings.push(line.to_owned());
                }
                let after = format!("configuration {}", reloaded.generation);
                told(report, self.with_trial(said))
                    .changed(format!("configuration {before}"), self.with_until(after))
            }
            Err(error @ ReloadError::Shrink(_)) => {
                Reply::not_done(Outcome::Refused, error.to_string())
            }
            Err(error) => Reply::not_done(Outcome::Failed, error.to_string()),
        }
    }

    fn with_trial(&self, said: String) -> String {
        let name = self.program.name();
        match self.unconfirmed() {
            None => said,
            Some(UnconfirmedStatus { until, .. }) => {
                format!("{said}; it goes back by itself at {until} unless you say: {name} confirm")
            }
        }
    }

    fn with_until(&self, after: String) -> String {
        match self.unconfirmed() {
            None => after,
            Some(UnconfirmedStatus { until, .. }) => format!("{after}, unconfirmed, until {until}"),
        }
    }

    /// What came of an order about what is there.
    pub(super) fn amendment(&self, amended: &Amended, reloaded: &Reloaded) -> ReloadReport {
        self.report(&amended.loaded.plan, reloaded, amended.loaded.warnings.lines())
    }

    /// Ends the orders that a plan overtakes, and reports what it changed.
    pub(super) fn report(
        &self,
        plan: &Plan,
        reloaded: &Reloaded,
        warnings: Vec<String>,
    ) -> ReloadReport {
        let dropped_overrides = self.reconcile(plan);
        let lines = |changes: &[eclusa_config::diff::Change]| {
            changes.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        ReloadReport {
            generation: reloaded.generation,
            changes: lines(&reloaded.diff.changes),
            after_restart: lines(&reloaded.diff.after_restart),
            dropped_overrides,
            warnings,
            unconfirmed: self.unconfirmed(),
            gone_back: self.engine.gone_back().map(|why| (*why).clone()),
        }
    }
}

/// The answer that a report makes, with its first line.
pub(super) fn told(report: ReloadReport, said: String) -> Reply {
    let ReloadReport { changes, after_restart, dropped_overrides, warnings, .. } = &report;
    let details = [changes, after_restart, dropped_overrides, warnings].map(Clone::clone);
    let mut reply = done(Data::Reload(Box::new(report))).line(said);
    for line in details.into_iter().flatten() {
        reply = reply.line(line);
    }
    reply
}
