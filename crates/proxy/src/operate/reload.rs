//! Reload: the file, read again, in force or refused with one clear message on every channel: the
//! reply, the log, the metric, `status`, and systemd.

use super::{Data, LastReload, Moment, Operator, Outcome, Reply, done};
use crate::admin::ReloadReport;
use crate::engine::{ReloadError, Reloaded};
use crate::files;
use eclusa_config::plan::Plan;
use eclusa_config::{Loaded, Mode};

impl Operator {
    /// Reads the file again and takes what it says, or changes nothing and tells why.
    pub(crate) fn reload(&self, force: bool) -> Reply {
        if let Some(keeper) = &self.keeper {
            keeper.reloading();
        }
        let reply = self.read_and_take(force);
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

    fn read_and_take(&self, force: bool) -> Reply {
        let Some(config) = &self.config else {
            let message = "there is no file to read again: the configuration was typed";
            self.engine.warn(message);
            return Reply::not_done(Outcome::Failed, message);
        };
        let loaded = eclusa_config::load_with(self.program, config, Mode::Reload, files::open);
        let Loaded { plan, warnings, digest } = match loaded {
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
        let warnings = warnings.lines();
        for warning in &warnings {
            self.engine.warn(warning);
        }
        match self.engine.reload(&plan, force) {
            Ok(reloaded) => {
                if let Some(keeper) = &self.keeper {
                    keeper.in_force(digest);
                }
                self.reloaded(&plan, &reloaded, warnings)
            }
            Err(error @ ReloadError::Shrink(_)) => {
                Reply::not_done(Outcome::Refused, error.to_string())
            }
            Err(error) => Reply::not_done(Outcome::Failed, error.to_string()),
        }
    }

    fn reloaded(&self, plan: &Plan, reloaded: &Reloaded, warnings: Vec<String>) -> Reply {
        let dropped_overrides = self.reconcile(plan);
        let lines = |changes: &[eclusa_config::diff::Change]| {
            changes.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        let report = ReloadReport {
            generation: reloaded.generation,
            changes: lines(&reloaded.diff.changes),
            after_restart: lines(&reloaded.diff.after_restart),
            dropped_overrides,
            warnings,
        };
        let told = match report.changes.len() {
            0 => "reloaded: nothing has changed".to_owned(),
            1 => "reloaded: 1 change".to_owned(),
            more => format!("reloaded: {more} changes"),
        };
        let ReloadReport { changes, after_restart, dropped_overrides, warnings, .. } = &report;
        let details = [changes, after_restart, dropped_overrides, warnings].map(Clone::clone);
        let mut reply = done(Data::Reload(Box::new(report))).line(told);
        for line in details.into_iter().flatten() {
            reply = reply.line(line);
        }
        reply
    }
}
