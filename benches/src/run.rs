//! Rounds: every setup fresh in each, in an order that rotates; then, where operations can have times
//! of their own, the same at a rate that all of them can keep.

use crate::case::{Case, Variant};
use crate::failure::Outcome;
use crate::measure::{Sample, Times, measure};
use crate::report::{Paced, Row, Table};
use crate::scene::Bench;
use crate::setup::Setup;

/// The share of the slowest candidate's rate at which all are asked in an open loop.
const SHARE: f64 = 0.7;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// How often each setup.
    pub rounds: usize,
    /// How long each time.
    pub times: Times,
    /// Whether open loops follow.
    pub open_loops: bool,
}

/// What came of one setup so far.
struct Column {
    setup: Setup,
    samples: Vec<Option<Sample>>,
    failures: Vec<String>,
}

/// Measures one load of a case.
///
/// # Errors
/// A signal came. What fails otherwise is written down in its row, and the rest goes on.
pub fn run(
    bench: &Bench,
    case: &Case,
    variant: &Variant,
    setups: &[Setup],
    effort: Effort,
) -> Outcome<Table> {
    let columns = rounds(bench, (case, variant), setups, effort, None)?;
    let rows = columns
        .into_iter()
        .map(|column| Row::new(&column.setup, column.samples, column.failures))
        .collect();
    let mut table = Table::new(case, variant, rows);
    if effort.open_loops
        && case.work.can_be_paced()
        && case.reload_every.is_none()
        && let Some(rate) = table.slowest_rate().map(|rate| rate * SHARE)
    {
        let counting: Vec<_> =
            setups.iter().filter(|setup| table.counts(&setup.name)).cloned().collect();
        let columns = rounds(bench, (case, variant), &counting, effort, Some(rate))?;
        for Column { setup, samples, failures } in columns {
            table.pace(&setup.name, Paced::new(rate, &samples, failures));
        }
    }
    Ok(table)
}

/// Measures the setups round by round; with a `rate` in open loops.
fn rounds(
    bench: &Bench,
    (case, variant): (&Case, &Variant),
    setups: &[Setup],
    effort: Effort,
    rate: Option<f64>,
) -> Outcome<Vec<Column>> {
    let mut columns: Vec<_> = setups
        .iter()
        .map(|setup| Column { setup: setup.clone(), samples: Vec::new(), failures: Vec::new() })
        .collect();
    let at = rate.map_or_else(String::new, |rate| format!(" at {rate:.0}/s"));
    for round in 0..effort.rounds {
        for index in order(columns.len(), round) {
            let column = &mut columns[index];
            let name = &column.setup.name;
            eprintln!("{}{at} round {} {name}", case.variant_name(variant), round + 1);
            match measure(bench, &column.setup, (case, variant), effort.times, rate) {
                Ok(sample) => column.samples.push(Some(sample)),
                Err(failure) => {
                    column.samples.push(None);
                    let failure = format!("round {}: {failure}", round + 1);
                    eprintln!("FAILED: {name}: {failure}");
                    column.failures.push(failure);
                    bench.interrupt.check()?;
                }
            }
        }
    }
    Ok(columns)
}

/// The order of `length` setups in a round: each begins one further than the round before, so that
/// none always comes after the same neighbour's heat.
fn order(length: usize, round: usize) -> impl Iterator<Item = usize> {
    (0..length).map(move |index| (index + round) % length)
}

#[cfg(test)]
mod tests {
    use super::order;

    #[test]
    fn the_order_rotates_and_leaves_nobody_out() {
        assert_eq!(order(3, 0).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(order(3, 1).collect::<Vec<_>>(), [1, 2, 0]);
        assert_eq!(order(3, 5).collect::<Vec<_>>(), [2, 0, 1]);
        assert_eq!(order(0, 1).count(), 0);
    }
}
