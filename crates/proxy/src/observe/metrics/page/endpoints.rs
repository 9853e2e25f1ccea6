//! How endpoints stand.

use super::Page;
use crate::observe::View;
use crate::observe::metrics::table::{self, Metric};
use crate::observe::metrics::{Metrics, seconds};
use crate::pool::{Endpoint, Pool};
use eclusa_policy::time::Time;
use eclusa_policy::verdict::{Report, Verdict};
use std::fmt::Display;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// What the operator can want of an endpoint.
const ADMIN_STATES: [&str; 3] = ["ready", "drain", "maint"];

/// An endpoint, as it stood when the page was begun.
struct Row {
    pool: Arc<Pool>,
    address: String,
    endpoint: Arc<Endpoint>,
    name: Arc<str>,
    report: Report,
    sessions: u32,
}

impl Row {
    fn labels(&self) -> [&str; 3] {
        [self.pool.name(), &self.name, &self.address]
    }
}

pub(super) fn write(page: &mut Page, metrics: &Metrics, view: &View) {
    let rows: Vec<Row> = view.pools.iter().flat_map(rows_of).collect();
    column(page, &table::ENDPOINT_SESSIONS, &rows, |row| row.sessions);
    column(page, &table::PICKS, &rows, |row| row.endpoint.picks());
    column(page, &table::DIAL_FAILURES, &rows, |row| row.endpoint.failures());
    states(page, &table::VERDICT, &rows, &Verdict::ALL.map(Verdict::name), |row| {
        row.report.verdict.name()
    });
    let now = SystemTime::now();
    column(page, &table::VERDICT_SINCE, &rows, |row| moment(row.report.since, (view.now, now)));
    column(page, &table::BLIND, &rows, |row| u8::from(row.report.blind));
    column(page, &table::WEIGHT, &rows, |row| row.endpoint.weight());
    states(page, &table::ADMIN_STATE, &rows, &ADMIN_STATES, |row| admin_state(&row.endpoint));
    page.family(&table::CERTIFICATE_END);
    for row in &rows {
        if let Some(end) = row.endpoint.certificate_end() {
            page.sample(&table::CERTIFICATE_END, &row.labels(), end);
        }
    }
    let ports = metrics.process.ports();
    column(page, &table::SOURCE_PORTS, &rows, |row| {
        let sources = &row.pool.plan().source;
        let v4 = row.endpoint.address().is_ipv4();
        let sources = sources.iter().filter(|source| source.is_ipv4() == v4).count().max(1);
        let ports = f64::from(ports) * f64::from(u32::try_from(sources).unwrap_or(u32::MAX));
        f64::from(row.sessions) / ports
    });
}

/// What the operator wants of an endpoint.
fn admin_state(endpoint: &Endpoint) -> &'static str {
    endpoint.admin().name()
}

fn rows_of(pool: &Arc<Pool>) -> Vec<Row> {
    let endpoints = pool.endpoints();
    let row = |endpoint: &Arc<Endpoint>| Row {
        pool: pool.clone(),
        address: endpoint.address().to_string(),
        report: endpoint.report(),
        sessions: endpoint.sessions(),
        name: endpoint.name(),
        endpoint: endpoint.clone(),
    };
    endpoints.iter().map(row).collect()
}

fn column<T: Display>(page: &mut Page, metric: &Metric, rows: &[Row], value: impl Fn(&Row) -> T) {
    page.family(metric);
    for row in rows {
        page.sample(metric, &row.labels(), value(row));
    }
}

fn states(
    page: &mut Page,
    metric: &Metric,
    rows: &[Row],
    words: &[&'static str],
    state: impl Fn(&Row) -> &'static str,
) {
    page.family(metric);
    for row in rows {
        let ([pool, endpoint, address], is) = (row.labels(), state(row));
        for word in words {
            page.sample(metric, &[pool, endpoint, address, word], u8::from(*word == is));
        }
    }
}

/// A moment of the engine's clock as seconds since 1970; both clocks are read at `now`. To the
/// second: what does not change should not seem to.
fn moment(at: Time, (clock, wall): (Time, SystemTime)) -> u64 {
    let ago: Duration = clock.since(at);
    let at = wall.checked_sub(ago).map_or(0.0, seconds);
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "after 1970")]
    let at = at.round() as u64;
    at
}
