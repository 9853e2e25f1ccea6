//! What a reader must know before believing the figures of a table.

use crate::measure::Sample;
use crate::report::{Limit, Row};
use crate::setup::DIRECT;
use crate::statistics::Spread;

/// A candidate this near to the null test's rate may be held back by the generator.
const NEAR_THE_GENERATOR: f64 = 0.8;

/// Cores' worth of work of other processes from which on figures deserve doubt.
const DISTURBED: f64 = 0.1;

/// What spoils figures. `dearer`: in the null test the endpoint has more to do than behind a candidate
/// (TLS, HTTP/2), so that its rate is no bound of the generator's.
#[must_use]
pub fn warnings(rows: &[Row], dearer: bool) -> Vec<String> {
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
    if !dearer {
        warnings.extend(near_the_generator(rows));
    }
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
            "NULL TEST: within {1:.0} % of the generator's own rate, and maybe held back by it: {0}",
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
