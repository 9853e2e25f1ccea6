//! What came out of the rounds: rows and comparisons.

use crate::case::{Case, Form, Of, Unit, Variant};
use crate::idle::IdleTable;
use crate::machine::Fact;
use crate::measure::Sample;
use crate::setup::{DIRECT, OURS, Setup};
use crate::statistics::{Spread, ratio_by_round};
use crate::traffic::tally::Latency;
use crate::warnings::warnings;
use serde::{Deserialize, Serialize};

/// A core this busy is the limit of what goes through it.
const SATURATED: f64 = 0.93;

/// What holds the rate back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
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
#[derive(Debug, Deserialize, Serialize)]
pub struct Row {
    /// The setup.
    pub setup: String,
    /// The candidate that it is a setup of.
    pub candidate: String,
    /// The count of its step, in a case of several.
    pub step: Option<usize>,
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
    /// The candidate's processor time as a multiple of that of the same setup in the first step.
    pub to_first_step: Option<Spread>,
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
    /// In an open loop, at a rate that all keep; of setups that count.
    pub paced: Option<Paced>,
}

/// A setup that is asked at a rate, whatever becomes of what was asked before. Latencies run from when
/// an operation was due.
#[derive(Debug, Deserialize, Serialize)]
pub struct Paced {
    /// Operations that were due each second.
    pub rate: f64,
    /// Those that were done.
    pub done: Option<Spread>,
    /// Microseconds.
    pub p50: Option<Spread>,
    /// Microseconds.
    pub p99: Option<Spread>,
    /// Microseconds.
    pub p999: Option<Spread>,
    /// In all rounds.
    pub errors: u64,
    /// Why rounds failed.
    pub failures: Vec<String>,
}

impl Paced {
    /// What the rounds at this rate found.
    #[must_use]
    pub fn new(rate: f64, samples: &[Option<Sample>], failures: Vec<String>) -> Self {
        let samples = || samples.iter().flatten();
        let latency = |value: fn(&Latency) -> f64| {
            Spread::of(samples().filter_map(|sample| sample.latency.as_ref().map(value)))
        };
        Self {
            rate,
            done: Spread::of(samples().map(|sample| sample.units / sample.seconds)),
            p50: latency(|l| l.p50),
            p99: latency(|l| l.p99),
            p999: latency(|l| l.p999),
            errors: samples().map(|sample| sample.errors).sum(),
            failures,
        }
    }
}

/// Ours beside one peer: ratios of processor time per unit, round by round.
#[derive(Debug, Deserialize, Serialize)]
pub struct Comparison {
    /// The peer's setup that counts.
    pub peer: String,
    /// The count of the step, in a case of several.
    pub step: Option<usize>,
    /// Candidate's processor time.
    pub cpu: Spread,
    /// The whole machine's.
    pub machine: Option<Spread>,
}

/// One load of one case.
#[derive(Debug, Deserialize, Serialize)]
pub struct Table {
    /// `case/connections`.
    pub name: String,
    /// What is measured and why.
    pub description: String,
    /// What is counted.
    pub unit: Unit,
    /// What candidates have beside it.
    pub form: Form,
    /// What the steps are of.
    pub steps_of: Option<Of>,
    /// Whether connections may break: candidates are reloaded, and what that breaks is what is measured.
    pub breaks: bool,
    /// One row per setup, in the order of the setups.
    pub rows: Vec<Row>,
    /// Ours beside each peer; empty when ours was not there.
    pub comparisons: Vec<Comparison>,
    /// What a reader must know before believing the figures.
    pub warnings: Vec<String>,
}

/// A whole run.
#[derive(Debug, Deserialize, Serialize)]
pub struct Report {
    /// About the machine and the run.
    pub facts: Vec<Fact>,
    /// One per load of each case.
    pub tables: Vec<Table>,
    /// One per load of each case of idle sessions.
    pub idle: Vec<IdleTable>,
}

impl Report {
    /// Whether nothing failed and no connection ended as it should not; what a reload breaks of a
    /// peer's is a result.
    #[must_use]
    pub fn good(&self) -> bool {
        self.tables.iter().all(Table::good) && self.idle.iter().all(IdleTable::good)
    }
}

impl Row {
    /// The row of a setup's rounds.
    #[must_use]
    pub fn new(setup: &Setup, samples: Vec<Option<Sample>>, failures: Vec<String>) -> Self {
        let spread = |value: &dyn Fn(&Sample) -> Option<f64>| {
            Spread::of(samples.iter().flatten().filter_map(value))
        };
        let latency =
            |value: fn(&Latency) -> f64| spread(&|sample| sample.latency.as_ref().map(value));
        let has_candidate = setup.template.is_some();
        #[allow(clippy::cast_precision_loss)]
        Self {
            setup: setup.name.clone(),
            candidate: setup.candidate.clone(),
            step: setup.step,
            counts: false,
            cpu: spread(&|s| has_candidate.then(|| s.candidate / s.units)),
            to_best_peer: None,
            to_first_step: None,
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
            paced: None,
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
        let steps: Vec<_> = case.steps.iter().flat_map(|steps| &steps.counts).copied().collect();
        let steps =
            if steps.is_empty() { vec![None] } else { steps.into_iter().map(Some).collect() };
        for step in &steps {
            relate_to_best_peer(&mut rows, *step);
        }
        relate_to_first_step(&mut rows, steps.first().copied().flatten());
        let comparisons = steps.iter().flat_map(|step| compare(&rows, *step)).collect();
        Self {
            name: case.variant_name(variant),
            description: case.description.clone(),
            unit: case.unit,
            form: variant.form,
            steps_of: case.steps.as_ref().map(|steps| steps.of),
            breaks: case.reload_every.is_some(),
            warnings: warnings(&rows, case.is_null_test_dearer()),
            rows,
            comparisons,
        }
    }

    fn good(&self) -> bool {
        let paced = |row: &Row| {
            row.paced.as_ref().is_none_or(|paced| paced.errors == 0 && paced.failures.is_empty())
        };
        self.rows.iter().all(|row| {
            let may_break = self.breaks && row.candidate != OURS && row.candidate != DIRECT;
            row.failures.is_empty() && (row.errors == 0 || may_break) && paced(row)
        })
    }

    /// Whether the setup of this name is its candidate's best here, or the null test.
    #[must_use]
    pub fn counts(&self, setup: &str) -> bool {
        self.rows.iter().any(|row| row.setup == setup && row.counts)
    }

    /// The rate of the slowest candidate that counts, and of the null test: what all can do.
    #[must_use]
    pub fn slowest_rate(&self) -> Option<f64> {
        let rates = self.rows.iter().filter(|row| row.counts).filter_map(|row| row.rate);
        rates.map(|rate| rate.median).filter(|rate| *rate > 0.0).min_by(f64::total_cmp)
    }

    /// Notes what a setup did in an open loop.
    pub fn pace(&mut self, setup: &str, paced: Paced) {
        for failure in &paced.failures {
            self.warnings.push(format!("FAILED: {setup} in the open loop: {failure}"));
        }
        if paced.errors > 0 {
            self.warnings.push(format!("ERRORS: {setup} in the open loop: {}", paced.errors));
        }
        if let Some(row) = self.rows.iter_mut().find(|row| row.setup == setup) {
            row.paced = Some(paced);
        }
    }
}

/// Of each candidate's setups the one with the least processor time per unit counts, in each step.
fn choose_setups(rows: &mut [Row]) {
    let cost = |row: &Row| row.cpu.map_or(f64::INFINITY, |cpu| cpu.median);
    let candidates: Vec<_> = rows.iter().map(|row| (row.candidate.clone(), row.step)).collect();
    for (candidate, step) in candidates {
        let is_of = |row: &Row| row.candidate == candidate && row.step == step;
        let best = (0..rows.len())
            .filter(|&row| is_of(&rows[row]))
            .min_by(|&a, &b| cost(&rows[a]).total_cmp(&cost(&rows[b])));
        for (index, row) in rows.iter_mut().enumerate().filter(|(_, row)| is_of(row)) {
            row.counts = Some(index) == best;
        }
    }
}

/// The peer whose counting setup takes the least processor time is everybody's measure.
fn relate_to_best_peer(rows: &mut [Row], step: Option<usize>) {
    let cost = |row: &Row| row.cpu.map_or(f64::INFINITY, |cpu| cpu.median);
    let peers = rows.iter().filter(|row| row.step == step && row.is_counting_peer());
    let Some(best) = peers.min_by(|a, b| cost(a).total_cmp(&cost(b))) else { return };
    let best = best.cpu_by_round();
    for row in rows.iter_mut().filter(|row| row.step == step && row.candidate != DIRECT) {
        row.to_best_peer = ratio_by_round(&row.cpu_by_round(), &best);
    }
}

/// What more of something costs the same setup.
fn relate_to_first_step(rows: &mut [Row], first: Option<usize>) {
    let plain = |row: &Row| row.setup.split('@').next().unwrap_or_default().to_owned();
    let firsts: Vec<_> = rows
        .iter()
        .filter(|row| first.is_some() && row.step == first)
        .map(|row| (plain(row), row.cpu_by_round()))
        .collect();
    for row in rows.iter_mut() {
        let name = plain(row);
        let of_first = firsts.iter().find(|(first, _)| *first == name);
        row.to_first_step =
            of_first.and_then(|(_, first)| ratio_by_round(&row.cpu_by_round(), first));
    }
}

fn compare(rows: &[Row], step: Option<usize>) -> Vec<Comparison> {
    let here = || rows.iter().filter(|row| row.step == step);
    let Some(ours) = here().find(|row| row.counts && row.candidate == OURS) else {
        return Vec::new();
    };
    let mut comparisons: Vec<_> = here()
        .filter(|row| row.is_counting_peer())
        .filter_map(|row| {
            Some(Comparison {
                peer: row.setup.clone(),
                step,
                cpu: ratio_by_round(&ours.cpu_by_round(), &row.cpu_by_round())?,
                machine: ratio_by_round(&ours.machine_by_round(), &row.machine_by_round()),
            })
        })
        .collect();
    // The hardest first.
    comparisons.sort_by(|a, b| b.cpu.median.total_cmp(&a.cpu.median));
    comparisons
}

#[cfg(test)]
#[path = "report_tests.rs"]
pub(crate) mod tests;
