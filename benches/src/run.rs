//! Rounds: every setup fresh in each, in an order that rotates.

use crate::case::{Case, Variant};
use crate::failure::{Failure, Outcome};
use crate::measure::{Bench, Sample, Times, measure};
use crate::report::{Row, Table};
use crate::setup::Setup;

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
    rounds: usize,
    times: Times,
) -> Outcome<Table> {
    let mut columns: Vec<_> = setups
        .iter()
        .map(|setup| Column { setup: setup.clone(), samples: Vec::new(), failures: Vec::new() })
        .collect();
    for round in 0..rounds {
        for index in order(columns.len(), round) {
            let column = &mut columns[index];
            eprintln!("{} round {} {}", case.variant_name(variant), round + 1, column.setup.name);
            match measure(bench, &column.setup, case, variant, times) {
                Ok(sample) => column.samples.push(Some(sample)),
                Err(failure) => {
                    column.samples.push(None);
                    column.fail(round, &failure);
                    bench.interrupt.check()?;
                }
            }
        }
    }
    let rows = columns
        .into_iter()
        .map(|column| Row::new(&column.setup, column.samples, column.failures))
        .collect();
    Ok(Table::new(case, variant, rows))
}

impl Column {
    fn fail(&mut self, round: usize, failure: &Failure) {
        let failure = format!("round {}: {failure}", round + 1);
        eprintln!("FAILED: {}: {failure}", self.setup.name);
        self.failures.push(failure);
    }
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
