//! What workers counted of listeners.

use super::Page;
use crate::observe::metrics::Metrics;
use crate::observe::metrics::cells::{Ends, PerWorker};
use crate::observe::metrics::histogram::{ANSWERS, Counter, Histogram, SESSIONS, Scale, Summed};
use crate::observe::metrics::table::{self, Metric};
use crate::observe::{HOWS, Step, Who};

/// The directions of bytes, as the label names them.
pub(super) const DIRECTIONS: [&str; 2] = ["up", "down"];

pub(super) fn write(page: &mut Page, metrics: &Metrics) {
    let listeners = metrics.listeners.all();
    page.family(&table::ACCEPTED);
    for (name, cells) in &listeners {
        page.sample(&table::ACCEPTED, &[name], cells.sum(|cell| &cell.accepted));
    }
    page.family(&table::LISTENER_ENDED);
    for (name, cells) in &listeners {
        ends(page, &table::LISTENER_ENDED, name, cells, |cell| &cell.ends);
    }
    page.family(&table::LISTENER_BYTES);
    for (name, cells) in &listeners {
        by_word(page, &table::LISTENER_BYTES, name, cells, DIRECTIONS, |cell| &cell.bytes);
    }
    page.family(&table::PREAMBLE);
    for (name, cells) in &listeners {
        histogram(page, &table::PREAMBLE, &[name], &ANSWERS, cells, |cell| &cell.preamble);
    }
    page.family(&table::SESSION_TIME);
    for (name, cells) in &listeners {
        histogram(page, &table::SESSION_TIME, &[name], &SESSIONS, cells, |cell| &cell.total);
    }
}

/// The ends of sessions that there were.
pub(super) fn ends<T: Default>(
    page: &mut Page,
    metric: &Metric,
    name: &str,
    cells: &PerWorker<T>,
    of: impl Fn(&T) -> &Ends,
) {
    for (who, by) in Who::ALL.into_iter().enumerate() {
        for (at, step) in Step::ALL.into_iter().enumerate() {
            for (how, word) in HOWS.into_iter().enumerate() {
                let count = cells.sum(|cell| of(cell).get((who, at, how)));
                if count > 0 {
                    page.sample(metric, &[name, by.name(), step.name(), word], count);
                }
            }
        }
    }
}

/// Counters that one more label tells apart.
pub(super) fn by_word<T: Default, const N: usize>(
    page: &mut Page,
    metric: &Metric,
    name: &str,
    cells: &PerWorker<T>,
    words: [&str; N],
    of: impl Fn(&T) -> &[Counter; N],
) {
    for (index, word) in words.into_iter().enumerate() {
        page.sample(metric, &[name, word], cells.sum(|cell| &of(cell)[index]));
    }
}

/// The sum of a histogram over all workers.
pub(super) fn histogram<T: Default>(
    page: &mut Page,
    metric: &Metric,
    labels: &[&str],
    scale: &Scale,
    cells: &PerWorker<T>,
    of: impl Fn(&T) -> &Histogram,
) {
    let mut summed = Summed::default();
    cells.iter().for_each(|cell| summed.add(of(cell)));
    page.histogram(metric, labels, scale, &summed);
}
