//! What came out of the rounds: rows, comparisons, warnings.

use crate::case::{Case, Unit, Variant};
use crate::machine::Fact;
use crate::measure::Sample;
use crate::setup::{DIRECT, OURS, Setup};
use crate::statistics::{Spread, ratio_by_round};
use serde::Serialize;

/// A core this busy is the limit of what goes through it.
const SATURATED: f64 = 0.93;

/// A candidate this near to the null test's rate may be held back by the generator.
const NEAR_THE_GENERATOR: f64 = 0.8;

/// Cores' worth of work of other processes from which on figures deserve doubt.
const DISTURBED: f64 = 0.1;

/// What holds the rate back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Limit {
    /// The candidate's core.
    Candidate,
    /// The core of generator and endpoint: rate and latency say little about the candidate.
    Generator,
    /// Neither: time passes on the way.
    Latency,
}

/// One setup over all rounds.
#[derive(Debug, Serialize)]
pub struct Row {
    /// The setup.
    pub setup: String,
    /// The candidate that it is a setup of.
    pub candidate: String,
    /// Whether it is the candidate's best setup here, the one that counts.
    pub counts: bool,
    /// The rounds; `None` where one failed.
    pub samples: Vec<Option<Sample>>,
    /// Why rounds failed.
    pub failures: Vec<String>,
    /// Candidate's processor seconds per unit; `None` for the null test.
    pub cpu: Option<Spread>,
    /// The candidate's processor time as a multiple of the best peer's, round by round.
    pub to_best_peer: Option<Spread>,
    /// The whole machine's processor seconds per unit.
    pub machine: Option<Spread>,
    /// Generator's and endpoint's.
    pub load: Option<Spread>,
    /// Units per second.
    pub rate: Option<Spread>,
    /// Microseconds.
    pub p50: Option<Spread>,
    /// Microseconds.
    pub p99: Option<Spread>,
    /// Microseconds.
    pub p999: Option<Spread>,
    /// KiB resident after traffic.
    pub resident: Option<Spread>,
    /// KiB that the kernel charges to its sockets after traffic.
    pub charged: Option<Spread>,
    /// KiB that it charged to them while traffic was flowing.
    pub charged_busy: Option<Spread>,
    /// In all rounds.
    pub errors: u64,
    /// What holds the rate back.
    pub limit: Option<Limit>,
}

/// Ours beside one peer: ratios of processor time per unit, round by round.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// The peer's setup that counts.
    pub peer: String,
    /// Candidate's processor time.
    pub cpu: Spread,
    /// The whole machine's.
    pub machine: Option<Spread>,
}

/// One load of one case.
#[derive(Debug, Serialize)]
pub struct Table {
    /// `case/connections`.
    pub name: String,
    /// What is measured and why.
    pub description: String,
    /// What is counted.
    pub unit: Unit,
    /// One row per setup, in the order of the setups.
    pub rows: Vec<Row>,
    /// Ours beside each peer; empty when ours was not there.
    pub comparisons: Vec<Comparison>,
    /// What a reader must know before believing the figures.
    pub warnings: Vec<String>,
}

/// A whole run.
#[derive(Debug, Serialize)]
pub struct Report {
    /// About the machine and the run.
    pub facts: Vec<Fact>,
    /// One per load of each case.
    pub tables: Vec<Table>,
}

impl Report {
    /// Whether anything failed or any connection ended as it should not.
    #[must_use]
    pub fn good(&self) -> bool {
        let rows = || self.tables.iter().flat_map(|table| &table.rows);
        rows().all(|row| row.errors == 0 && row.failures.is_empty())
    }
}

impl Row {
    /// The row of a setup's rounds.
    #[must_use]
    pub fn new(setup: &Setup, samples: Vec<Option<Sample>>, failures: Vec<String>) -> Self {
        let spread = |value: &dyn Fn(&Sample) -> Option<f64>| {
            Spread::of(samples.iter().flatten().filter_map(value))
        };
        let latency = |value: fn(&crate::traffic::tally::Latency) -> f64| {
            spread(&|sample| sample.latency.as_ref().map(value))
        };
        let has_candidate = setup.template.is_some();
        #[allow(clippy::cast_precision_loss)]
        Self {
            setup: setup.name.clone(),
            candidate: setup.candidate.clone(),
            counts: false,
            cpu: spread(&|s| has_candidate.then(|| s.candidate / s.units)),
            to_best_peer: None,
            machine: spread(&|s| Some(s.machine / s.units)),
            load: spread(&|s| Some(s.load / s.units)),
            rate: spread(&|s| Some(s.units / s.seconds)),
            p50: latency(|l| l.p50),
            p99: latency(|l| l.p99),
            p999: latency(|l| l.p999),
            resident: spread(&|s| has_candidate.then_some(s.memory.resident as f64)),
            charged: spread(&|s| Some(s.charged? as f64)),
            charged_busy: spread(&|s| Some(s.charged_busy? as f64)),
            errors: samples.iter().flatten().map(|sample| sample.errors).sum(),
            limit: limit(&samples),
            samples,
            failures,
        }
    }

    fn is_counting_peer(&self) -> bool {
        self.counts && self.candidate != DIRECT && self.candidate != OURS
    }

    fn cpu_by_round(&self) -> Vec<Option<f64>> {
        self.samples.iter().map(|s| s.as_ref().map(|s| s.candidate / s.units)).collect()
    }

    fn machine_by_round(&self) -> Vec<Option<f64>> {
        self.samples.iter().map(|s| s.as_ref().map(|s| s.machine / s.units)).collect()
    }
}

fn limit(samples: &[Option<Sample>]) -> Option<Limit> {
    let busy = |work: fn(&Sample) -> f64| {
        Spread::of(samples.iter().flatten().map(|s| work(s) / s.seconds)).map(|s| s.median)
    };
    let (candidate, load) = (busy(|s| s.candidate)?, busy(|s| s.load)?);
    Some(match (candidate >= SATURATED, load >= SATURATED) {
        (true, _) => Limit::Candidate,
        (false, true) => Limit::Generator,
        (false, false) => Limit::Latency,
    })
}

impl Table {
    /// Chooses the setups that count, compares, and finds what must be said.
    #[must_use]
    pub fn new(case: &Case, variant: &Variant, mut rows: Vec<Row>) -> Self {
        choose_setups(&mut rows);
        relate_to_best_peer(&mut rows);
        let comparisons = compare(&rows);
        let warnings = warnings(&rows);
        Self {
            name: case.variant_name(variant),
            description: case.description.clone(),
            unit: case.unit,
            rows,
            comparisons,
            warnings,
        }
    }
}

/// Of each candidate's setups the one with the least processor time per unit counts.
fn choose_setups(rows: &mut [Row]) {
    let cost = |row: &Row| row.cpu.map_or(f64::INFINITY, |cpu| cpu.median);
    let candidates: Vec<_> = rows.iter().map(|row| row.candidate.clone()).collect();
    for candidate in candidates {
        let best = (0..rows.len())
            .filter(|&row| rows[row].candidate == candidate)
            .min_by(|&a, &b| cost(&rows[a]).total_cmp(&cost(&rows[b])));
        for (index, row) in rows.iter_mut().enumerate() {
            if row.candidate == candidate {
                row.counts = Some(index) == best;
            }
        }
    }
}

/// The peer whose counting setup takes the least processor time is everybody's measure.
fn relate_to_best_peer(rows: &mut [Row]) {
    let cost = |row: &Row| row.cpu.map_or(f64::INFINITY, |cpu| cpu.median);
    let peers = rows.iter().filter(|row| row.is_counting_peer());
    let Some(best) = peers.min_by(|a, b| cost(a).total_cmp(&cost(b))) else { return };
    let best = best.cpu_by_round();
    for row in rows.iter_mut().filter(|row| row.candidate != DIRECT) {
        row.to_best_peer = ratio_by_round(&row.cpu_by_round(), &best);
    }
}

fn compare(rows: &[Row]) -> Vec<Comparison> {
    let Some(ours) = rows.iter().find(|row| row.counts && row.candidate == OURS) else {
        return Vec::new();
    };
    let mut comparisons: Vec<_> = rows
        .iter()
        .filter(|row| row.is_counting_peer())
        .filter_map(|row| {
            Some(Comparison {
                peer: row.setup.clone(),
                cpu: ratio_by_round(&ours.cpu_by_round(), &row.cpu_by_round())?,
                machine: ratio_by_round(&ours.machine_by_round(), &row.machine_by_round()),
            })
        })
        .collect();
    // The hardest first.
    comparisons.sort_by(|a, b| b.cpu.median.total_cmp(&a.cpu.median));
    comparisons
}

fn warnings(rows: &[Row]) -> Vec<String> {
    let mut warnings = Vec::new();
    for row in rows {
        let name = &row.setup;
        for failure in &row.failures {
            warnings.push(format!("FAILED: {name}: {failure}"));
        }
        if row.errors > 0 {
            let first = row.samples.iter().flatten().find_map(|s| s.first_error.clone());
            let first = first.unwrap_or_default();
            warnings.push(format!("ERRORS: {name}: {}, the first: {first}", row.errors));
        }
        if row.samples.iter().flatten().any(|sample| sample.units <= 0.0) {
            warnings.push(format!("STALLED: {name} got nothing through in a round"));
        }
        if row.limit == Some(Limit::Generator) && row.candidate != DIRECT {
            warnings.push(format!(
                "GENERATOR LIMIT: {name} was held back by the generator's core; its rate is \
                 \"at least\", its latency the generator's"
            ));
        }
    }
    warnings.extend(near_the_generator(rows));
    warnings.extend(disturbed(rows));
    warnings
}

/// Candidates that come near to what the generator can do without any.
fn near_the_generator(rows: &[Row]) -> Option<String> {
    let direct = rows.iter().find(|row| row.candidate == DIRECT)?.rate?.median;
    let near: Vec<_> = rows
        .iter()
        .filter(|row| row.candidate != DIRECT && row.limit != Some(Limit::Generator))
        .filter(|row| row.rate.is_some_and(|r| r.median > NEAR_THE_GENERATOR * direct))
        .map(|row| row.setup.as_str())
        .collect();
    (!near.is_empty()).then(|| {
        format!(
            "NULL TEST: {} come within {:.0} % of the generator's own rate; theirs may be too low",
            near.join(", "),
            100.0 * (1.0 - NEAR_THE_GENERATOR)
        )
    })
}

/// Work of processes that have no part in the measurement.
fn disturbed(rows: &[Row]) -> Option<String> {
    let others = |s: &Sample| (s.machine - s.candidate - s.load) / s.seconds;
    let stolen = |s: &Sample| s.stolen / s.seconds;
    let samples = || rows.iter().flat_map(|row| row.samples.iter().flatten());
    let others = Spread::of(samples().map(others))?;
    let stolen = Spread::of(samples().map(stolen))?;
    (others.median > DISTURBED || others.max > 3.0 * DISTURBED || stolen.max > DISTURBED).then(
        || {
            format!(
                "DISTURBED: other processes took {:.2} cores (median; at most {:.2}), the host at \
                 most {:.2}; repeat on a quiet machine",
                others.median.max(0.0),
                others.max.max(0.0),
                stolen.max
            )
        },
    )
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
