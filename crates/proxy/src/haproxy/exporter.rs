//! The table under the names that HAProxy's exporter has for it.

use super::info;
use super::rows::{Row, Value, rows};
use super::table::{About, COLUMNS, Col, Column, STATES};
use super::words::state;
use crate::observe::View;
use crate::observe::metrics::table::Metric;
use crate::observe::metrics::{Metrics, Page};
use std::collections::HashMap;

/// The page of those names.
pub(crate) fn page(metrics: &Metrics, view: &View) -> String {
    let mut page = Page::default();
    for figure in info::figures(metrics, view) {
        if let Some(metric) = &figure.exported {
            page.family(metric);
            page.sample(metric, &[], figure.value);
        }
    }
    let rows = rows(metrics, view);
    let states = states(&rows);
    for about in [About::Listener, About::Pool, About::Endpoint] {
        let mut family = Family { page: &mut page, states: &states, begun: "" };
        for (place, column) in COLUMNS.iter().enumerate() {
            let exported = column.exported.iter().filter(|(of, _)| *of == about);
            for (_, metric) in exported {
                family.column(&rows, (about, place), column, metric);
            }
        }
    }
    page.into_text()
}

/// How many endpoints have each of [`STATES`], by the number of their pool.
type States = HashMap<u64, [u64; STATES.len()]>;

fn states(rows: &[Row]) -> States {
    let mut states = States::new();
    for row in rows.iter().filter(|row| row.about == About::Endpoint) {
        let status = row.get(Col::Status).map(ToString::to_string).unwrap_or_default();
        let counts = states.entry(row.iid).or_default();
        if let Some(place) = STATES.iter().position(|word| *word == state(&status)) {
            counts[place] += 1;
        }
    }
    states
}

/// Writes samples, with the head of their family before the first.
struct Family<'a> {
    page: &'a mut Page,
    states: &'a States,
    begun: &'static str,
}

impl Family<'_> {
    fn column(
        &mut self,
        rows: &[Row],
        (about, place): (About, usize),
        column: &Column,
        metric: &Metric,
    ) {
        for row in rows.iter().filter(|row| row.about == about) {
            if place == Col::AggStates as usize {
                self.by_state(row, metric);
                continue;
            }
            let cells = row.cells();
            let Some((_, value)) = cells.iter().find(|(column, _)| *column as usize == place)
            else {
                continue;
            };
            match (column.states, value) {
                ([], value) => self.sample(metric, row, None, value),
                ([code], value) => self.sample(metric, row, Some(code), value),
                (states, value) => {
                    let told = value.to_string();
                    let of_proxy = about != About::Endpoint;
                    let states = if of_proxy { &states[..states.len().min(2)] } else { states };
                    for word in states {
                        let is = Value::Number((state(&told) == *word).into());
                        self.sample(metric, row, Some(word), &is);
                    }
                }
            }
        }
    }

    /// How many endpoints of the pool have each state.
    fn by_state(&mut self, pool: &Row, metric: &Metric) {
        let counts = self.states.get(&pool.iid).copied().unwrap_or_default();
        for (word, count) in STATES.iter().zip(counts) {
            self.sample(metric, pool, Some(word), &Value::Number(count));
        }
    }

    fn sample(&mut self, metric: &Metric, row: &Row, more: Option<&str>, value: &Value) {
        if self.begun != metric.name {
            self.begun = metric.name;
            self.page.family(metric);
        }
        let endpoint = (row.about == About::Endpoint).then_some(&*row.svname);
        let labels: Vec<&str> =
            [Some(&*row.pxname), endpoint, more].into_iter().flatten().collect();
        self.page.sample(metric, &labels, value);
    }
}
