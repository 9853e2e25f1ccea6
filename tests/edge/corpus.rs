//! The tables of the codec's tests, as data: the same messages go through the real program here.

use crate::table::{Row, rows};
use e2e::proof::full;

const REQUESTS: &str = include_str!("../../crates/wire/tests/http1/hostile_requests.txt");
const ANSWERS: &str = include_str!("../../crates/wire/tests/http1/hostile_responses.txt");
const ALLOWED: &str = include_str!("../../crates/wire/tests/http1/lenient.txt");
const ODD: &str = include_str!("../../crates/wire/tests/http1/odd.txt");

/// Requests that must be refused.
pub(crate) fn hostile_requests() -> Vec<Row> {
    rows(REQUESTS)
}

/// Answers that must be refused.
pub(crate) fn hostile_answers() -> Vec<Row> {
    rows(ANSWERS)
}

/// What passes where it is allowed: the name that allows it, and the reason without.
pub(crate) fn allowed() -> Vec<Row> {
    rows(ALLOWED)
}

/// Requests that must pass: METHOD, authority, target, body.
pub(crate) fn odd_requests() -> Vec<Row> {
    rows(ODD).into_iter().filter(|row| !is_answer(row)).collect()
}

/// Answers that must pass: status, body.
pub(crate) fn odd_answers() -> Vec<Row> {
    rows(ODD).into_iter().filter(is_answer).collect()
}

fn is_answer(row: &Row) -> bool {
    row.bytes.starts_with(b"HTTP/")
}

/// All of them in a proof, else every so many-th: each day's tests have a share of every kind.
pub(crate) fn share(rows: Vec<Row>, every: usize) -> Vec<Row> {
    let step = if full() { 1 } else { every };
    rows.into_iter().step_by(step).collect()
}
