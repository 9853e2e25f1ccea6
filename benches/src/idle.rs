//! What idle sessions keep in memory.

use crate::case::{Case, Variant};
use crate::failure::{Failure, Outcome};
use crate::machine::Fact;
use crate::measure::mark;
use crate::meter::{Memory, Sockets, family, slab};
use crate::scene::{Bench, Scene};
use crate::setup::Setup;
use crate::stage::Stage;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Sessions that exchange at the same time.
pub const AT_ONCE: usize = 64;

/// How long silence lasts before memory is read: long enough for a candidate to give back what it
/// keeps only while a session is busy.
const SILENCE: Duration = Duration::from_secs(2);

/// The longest that all sessions may take without one of them getting on.
const PATIENCE: Duration = Duration::from_secs(60);

/// Descriptors that a candidate has beside those of its sessions.
const SPARE: u64 = 1500;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Idle {
    /// Sessions.
    pub sessions: usize,
    /// MiB each way of each, where it does not speak HTTP.
    pub mebibytes: usize,
}

/// What one setup kept.
#[derive(Debug, Deserialize, Serialize)]
pub struct Found {
    /// Before the first session.
    pub before: Memory,
    /// With all sessions open and silent.
    pub idle: Memory,
    /// KiB resident that a session added.
    pub per_session: f64,
    /// KiB resident that a session added at the worst moment.
    pub peak_per_session: f64,
    /// The sockets of the candidate's namespace.
    pub sockets: Sockets,
    /// KiB that the kernel charges to them.
    pub charged: Option<u64>,
    /// KiB by which the kernel's small objects grew per session, on the whole machine.
    pub slab_per_session: f64,
    /// Connections that ended as they should not.
    pub errors: u64,
}

/// One setup.
#[derive(Debug, Deserialize, Serialize)]
pub struct IdleRow {
    /// The setup.
    pub setup: String,
    /// What it kept.
    pub found: Option<Found>,
    /// Why that is not known.
    pub failure: Option<String>,
}

/// One case.
#[derive(Debug, Deserialize, Serialize)]
pub struct IdleTable {
    /// The load's name.
    pub name: String,
    /// What is measured and why.
    pub description: String,
    /// Sessions of each setup.
    pub sessions: usize,
    /// Sessions active at a time.
    pub at_once: usize,
    /// One per setup.
    pub rows: Vec<IdleRow>,
}

/// A run of `bench idle`.
#[derive(Debug, Serialize)]
pub struct IdleReport {
    /// About the machine and the run.
    pub facts: Vec<Fact>,
    /// Sessions of each setup.
    pub sessions: usize,
    /// MiB each way of each session.
    pub mebibytes: usize,
    /// One per setup.
    pub rows: Vec<IdleRow>,
}

impl IdleTable {
    /// Whether nothing failed.
    #[must_use]
    pub fn good(&self) -> bool {
        self.rows.iter().all(|row| row.found.as_ref().is_some_and(|found| found.errors == 0))
    }
}

/// How many sessions the descriptors suffice for: the candidate needs two for each.
#[must_use]
pub fn most(descriptors: u64) -> usize {
    usize::try_from(descriptors.saturating_sub(SPARE) / 2).unwrap_or(usize::MAX)
}

/// Checks that the descriptors suffice.
///
/// # Errors
/// They do not; the message says how many sessions would do.
pub fn check(idle: Idle, descriptors: u64) -> Outcome<()> {
    let most = most(descriptors);
    if idle.sessions <= most {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{} sessions need {} descriptors in the candidate and the limit is {descriptors}; \
         {most} would do",
        idle.sessions,
        idle.sessions as u64 * 2 + SPARE
    )))
}

/// Runs all setups that have a candidate, one after the other.
///
/// # Errors
/// A signal came. What fails otherwise is written down in its row.
pub fn run(
    bench: &Bench,
    (case, variant): (&Case, &Variant),
    setups: &[Setup],
    idle: Idle,
) -> Outcome<IdleTable> {
    let name = case.variant_name(variant);
    let mut rows = Vec::new();
    for setup in setups.iter().filter(|setup| setup.template.is_some()) {
        eprintln!("{name} {}", setup.name);
        let mut stage = Stage::of(case, variant, setup, idle.sessions + 500);
        stage.bytes = idle.mebibytes << 20;
        let (found, failure) = match one(bench, setup, stage, idle.sessions) {
            Ok(found) => (Some(found), None),
            Err(failure) => {
                bench.interrupt.check()?;
                (None, Some(failure.to_string()))
            }
        };
        rows.push(IdleRow { setup: setup.name.clone(), found, failure });
    }
    let (description, sessions) = (case.description.clone(), idle.sessions);
    Ok(IdleTable { name, description, sessions, at_once: AT_ONCE, rows })
}

fn one(bench: &Bench, setup: &Setup, stage: Stage, sessions: usize) -> Outcome<Found> {
    let mut scene = Scene::set(bench, setup, stage, &[])?;
    let interrupt = &bench.interrupt;
    let Some(candidate) = &scene.candidate else {
        return Err(Failure::new("there is no candidate whose memory could be read"));
    };
    let id = candidate.id();
    let before = Memory::of(&family(id))?;
    let slab_before = slab()?;
    let mut load = scene
        .load(&[("--connections", sessions.to_string()), ("--at-once", AT_ONCE.to_string())])?;
    let (mut done, mut errors) = (0, 0);
    while done < sessions as u64 && errors == 0 {
        let progress = interrupt.wait_for("progress of the sessions", PATIENCE, || {
            interrupt.wait(Duration::from_millis(100))?;
            let report = mark(&mut load, interrupt)?;
            Ok((report.count > 0 || report.errors > 0).then_some(report))
        })?;
        done += progress.count;
        errors += progress.errors;
        if let Some(error) = progress.first_error {
            return Err(Failure::new(format!("after {done} sessions: {error}")));
        }
    }
    interrupt.wait(SILENCE)?;
    let report = mark(&mut load, interrupt)?;
    if report.open < sessions as u64 {
        let left = report.open;
        return Err(Failure::new(format!("only {left} of {done} sessions stayed open")));
    }
    errors += report.errors + mark(&mut scene.endpoint, interrupt)?.errors;
    let after = Memory::of(&family(id))?;
    #[allow(clippy::cast_precision_loss)]
    let each = |after: u64, before: u64| (after as f64 - before as f64) / sessions as f64;
    Ok(Found {
        before,
        idle: after,
        per_session: each(after.resident, before.resident),
        peak_per_session: each(after.peak, before.resident),
        sockets: Sockets::of(id)?,
        charged: scene.charged(),
        slab_per_session: each(slab()?, slab_before),
        errors,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_sessions_are_refused_with_a_number_that_would_do() {
        let idle = |sessions| Idle { sessions, mebibytes: 1 };
        assert!(check(idle(9250), 20_000).is_ok());
        let message = check(idle(10_000), 20_000).map_err(|e| e.to_string());
        assert!(message.is_err_and(|m| m.ends_with("9250 would do")));
    }
}
