//! What the doctor has found, for people and for programs.

use super::table::CHECKS;
use crate::admin::Moment;
use serde::Serialize;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// All is well.
    Ok,
    /// Could be better; nothing fails for it.
    Advice,
    /// Something fails now and then, or will.
    Warning,
    /// Something fails.
    Error,
}

impl Severity {
    /// As it is written.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Advice => "advice",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// Which check found it: a name of [`CHECKS`].
    pub(crate) check: &'static str,
    /// How bad it is.
    pub(crate) severity: Severity,
    /// What was found, with the figures.
    pub(crate) found: String,
    /// What it does to the service; empty where all is well.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) effect: String,
    /// What to do: a command, or a line and where it goes; empty where all is well.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) remedy: String,
}

/// A check that could not be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Skipped {
    /// Its name.
    pub(crate) check: &'static str,
    /// Why, and what would let it be made.
    pub(crate) why: String,
}

/// Everything that was found.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Report {
    /// The name of the program.
    pub(crate) program: String,
    /// The version of the doctor.
    pub(crate) version: String,
    /// The configuration file.
    pub(crate) file: String,
    /// When it was made.
    pub(crate) at: Moment,
    /// No endpoint was asked.
    pub(crate) offline: bool,
    /// How bad the worst is.
    pub(crate) worst: Severity,
    /// What was found, the worst first.
    pub(crate) findings: Vec<Finding>,
    /// What could not be looked at.
    pub(crate) skipped: Vec<Skipped>,
}

/// Findings as they come in.
#[derive(Clone, Debug, Default)]
pub(crate) struct Findings {
    pub(crate) findings: Vec<Finding>,
    pub(crate) skipped: Vec<Skipped>,
}

impl Findings {
    /// All is well.
    pub(crate) fn fine(&mut self, check: &'static str, found: impl Into<String>) {
        debug_assert!(CHECKS.iter().any(|known| known.name == check), "{check} is in no table");
        let (severity, found) = (Severity::Ok, found.into());
        let (effect, remedy) = (String::new(), String::new());
        self.findings.push(Finding { check, severity, found, effect, remedy });
    }

    /// Something is not; what it does to the service is what the table says of the check.
    pub(crate) fn tell(
        &mut self,
        check: &'static str,
        severity: Severity,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let known = CHECKS.iter().find(|known| known.name == check);
        debug_assert!(known.is_some(), "{check} is in no table");
        let effect = known.map_or("", |known| known.effect).to_owned();
        let (found, remedy) = (found.into(), remedy.into());
        self.findings.push(Finding { check, severity, found, effect, remedy });
    }

    /// The same with another effect, which depends on what was found.
    pub(crate) fn tell_that(
        &mut self,
        check: &'static str,
        severity: Severity,
        found: impl Into<String>,
        effect: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.tell(check, severity, found, remedy);
        if let Some(last) = self.findings.last_mut() {
            last.effect = effect.into();
        }
    }

    /// It could not be looked at.
    pub(crate) fn skip(&mut self, check: &'static str, why: impl Into<String>) {
        debug_assert!(CHECKS.iter().any(|known| known.name == check), "{check} is in no table");
        let skipped = Skipped { check, why: why.into() };
        if !self.skipped.contains(&skipped) {
            self.skipped.push(skipped);
        }
    }

    /// What a check has told, for tests.
    #[cfg(test)]
    pub(crate) fn of(&self, check: &str) -> Vec<&Finding> {
        self.findings.iter().filter(|finding| finding.check == check).collect()
    }

    /// The one thing that a check has told, for tests.
    #[cfg(test)]
    #[track_caller]
    pub(crate) fn only(&self, check: &str) -> &Finding {
        let found = self.of(check);
        assert_eq!(found.len(), 1, "{check}: {self:#?}");
        found[0]
    }

    /// How bad the worst is.
    pub(crate) fn worst(&self) -> Severity {
        self.findings.iter().map(|finding| finding.severity).max().unwrap_or(Severity::Ok)
    }

    /// The worst first; what is as bad stays in the order of the checks.
    pub(crate) fn sort(&mut self) {
        let place = |check: &str| CHECKS.iter().position(|known| known.name == check);
        self.findings.sort_by_key(|it| (std::cmp::Reverse(it.severity), place(it.check)));
    }
}
