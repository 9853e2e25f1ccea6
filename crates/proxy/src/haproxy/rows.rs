//! The rows of HAProxy's table: listeners, endpoints, pools, as they are at one moment.

use super::table::{About, Col};
use super::words::{algorithm, check, is_up, status};
use crate::observe::metrics::{HttpTotals, Metrics, PoolTotals};
use crate::observe::{Face, View};
use crate::pool::{Endpoint, Pool};
use eclusa_config::plan;
use eclusa_policy::time::Time;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// What stands in a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// A figure.
    Number(u64),
    /// A word of ours.
    Word(&'static str),
    /// Something else.
    Text(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Word(word) => f.write_str(word),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// A row.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) about: About,
    pub(crate) iid: u64,
    pub(crate) sid: u64,
    pub(crate) pxname: Arc<str>,
    pub(crate) svname: String,
    /// The endpoint, where the row is about one.
    pub(crate) endpoint: Option<Arc<Endpoint>>,
    /// What is told beside names and numbers, in the order of the columns once it is complete.
    cells: Vec<(Col, Value)>,
}

impl Row {
    fn new(about: About, (iid, sid): (u64, u64), pxname: Arc<str>, svname: String) -> Self {
        let cells = Vec::with_capacity(32);
        let mut row = Self { about, iid, sid, pxname, svname, endpoint: None, cells };
        row.text(Col::Pxname, row.pxname.to_string());
        row.text(Col::Svname, row.svname.clone());
        row.number(Col::Pid, 1);
        row.number(Col::Iid, iid);
        row.number(Col::Sid, sid);
        row.number(Col::Type, about as u64);
        row.word(Col::Dash, "-");
        row
    }

    fn number(&mut self, column: Col, number: u64) {
        self.cells.push((column, Value::Number(number)));
    }

    fn word(&mut self, column: Col, word: &'static str) {
        self.cells.push((column, Value::Word(word)));
    }

    fn text(&mut self, column: Col, text: String) {
        self.cells.push((column, Value::Text(text)));
    }

    fn complete(mut self) -> Self {
        self.cells.sort_by_key(|(column, _)| *column);
        self
    }

    /// What is told, in the order of the columns.
    pub(crate) fn cells(&self) -> &[(Col, Value)] {
        &self.cells
    }

    /// What is told in a column.
    pub(crate) fn get(&self, column: Col) -> Option<&Value> {
        let place = self.cells.binary_search_by_key(&column, |(column, _)| *column).ok()?;
        self.cells.get(place).map(|(_, value)| value)
    }
}

/// All rows: the listeners, then for each pool its endpoints and itself.
pub(crate) fn rows(metrics: &Metrics, view: &View) -> Vec<Row> {
    let faces = &view.faces;
    let mut rows = Vec::new();
    let mut iid = 0;
    for face in &faces.listeners {
        iid += 1;
        rows.push(listener(metrics, view, face, iid));
    }
    for pool in view.pools.iter() {
        iid += 1;
        let http = faces.http_pools.contains(pool.name());
        let first = rows.len();
        rows.extend(endpoints(pool, view.now, (iid, http)));
        let own = of_pool(view, pool, &rows[first..], (iid, http));
        rows.push(own);
    }
    rows
}

fn mode(http: bool) -> &'static str {
    if http { "http" } else { "tcp" }
}

fn listener(metrics: &Metrics, view: &View, face: &Face, iid: u64) -> Row {
    let totals = metrics.listener(&face.name).totals();
    let ids = (iid, 0);
    let mut row = Row::new(About::Listener, ids, face.name.clone(), "FRONTEND".to_owned());
    row.number(Col::Scur, totals.open);
    row.number(Col::Slim, view.sessions_max as u64);
    row.number(Col::Stot, totals.accepted);
    row.number(Col::ConnTot, totals.accepted);
    row.number(Col::Bin, totals.bytes[0]);
    row.number(Col::Bout, totals.bytes[1]);
    row.number(Col::Dcon, totals.denied);
    row.word(Col::Status, "OPEN");
    row.word(Col::Mode, mode(face.http));
    let http = totals.http.unwrap_or_default();
    row.number(Col::Ereq, if face.http { http.refused } else { totals.in_preamble });
    if face.http {
        statuses(&mut row, &http);
    }
    if face.tls {
        let [full, resumed, failed] = http.handshakes;
        row.number(Col::SslSess, full + resumed);
        row.number(Col::SslReusedSess, resumed);
        row.number(Col::SslFailedHandshake, failed);
    }
    row.complete()
}

fn statuses(row: &mut Row, http: &HttpTotals) {
    let columns =
        [Col::HrspOther, Col::Hrsp1xx, Col::Hrsp2xx, Col::Hrsp3xx, Col::Hrsp4xx, Col::Hrsp5xx];
    for (column, count) in columns.into_iter().zip(http.statuses) {
        row.number(column, count);
    }
    row.number(Col::ReqTot, http.statuses.iter().sum());
}

/// The endpoints of a pool. A name with several addresses is told with each of them.
fn endpoints(pool: &Pool, now: Time, (iid, http): (u64, bool)) -> Vec<Row> {
    let (all, plan) = (pool.endpoints(), pool.plan());
    let mut named: HashMap<Arc<str>, u32> = HashMap::new();
    for endpoint in all.iter() {
        *named.entry(endpoint.name()).or_default() += 1;
    }
    let limits: HashMap<&str, u32> =
        plan.endpoints.iter().filter_map(|it| Some((&*it.name, it.sessions_max?))).collect();
    let pxname: Arc<str> = pool.name().into();
    let mut rows = Vec::with_capacity(all.len());
    for (endpoint, sid) in all.iter().zip(1..) {
        let name = endpoint.name();
        let svname = match named.get(&name) {
            Some(2..) => format!("{name}@{}", endpoint.address()),
            _ => name.to_string(),
        };
        let mut row = Row::new(About::Endpoint, (iid, sid), pxname.clone(), svname);
        if let Some(limit) = limits.get(&*name) {
            row.number(Col::Slim, (*limit).into());
        }
        row.word(Col::Mode, mode(http));
        describe(&mut row, endpoint, &plan.probe, now);
        row.endpoint = Some(endpoint.clone());
        rows.push(row.complete());
    }
    rows
}

fn describe(row: &mut Row, endpoint: &Endpoint, probe: &plan::Probe, now: Time) {
    let report = endpoint.report();
    let backup = endpoint.written().backup;
    row.number(Col::Scur, endpoint.sessions().into());
    row.number(Col::Stot, endpoint.picks());
    row.number(Col::Lbtot, endpoint.picks());
    row.number(Col::Econ, endpoint.failures());
    row.word(Col::Status, status(endpoint.admin(), &report, probe));
    for column in [Col::Weight, Col::Uweight] {
        row.number(column, endpoint.weight().into());
    }
    row.number(Col::Act, (!backup).into());
    row.number(Col::Bck, backup.into());
    row.number(Col::Lastchg, now.since(report.since).as_secs());
    row.text(Col::Addr, endpoint.address().to_string());
    row.text(Col::CheckDesc, plain(&report.reason.to_string()));
    if let Some(checked) = check(&endpoint.results(), probe) {
        row.word(Col::CheckStatus, checked.word);
        row.text(Col::LastChk, plain(&checked.told));
        if let Some(code) = checked.code {
            row.number(Col::CheckCode, code.into());
        }
    }
}

/// Words without commas: not every reader of the table knows of quotes.
fn plain(words: &str) -> String {
    words.replace(',', ";")
}

fn of_pool(view: &View, pool: &Pool, endpoints: &[Row], (iid, http): (u64, bool)) -> Row {
    let mut row = Row::new(About::Pool, (iid, 0), pool.name().into(), "BACKEND".to_owned());
    let sum = |column| {
        let of = |row: &Row| match row.get(column) {
            Some(Value::Number(number)) => *number,
            _ => 0,
        };
        endpoints.iter().map(of).sum::<u64>()
    };
    row.number(Col::Qcur, pool.waiting() as u64);
    for column in [Col::Scur, Col::Econ, Col::Lbtot] {
        row.number(column, sum(column));
    }
    counted(&mut row, &pool.cells().totals(), http);
    row.word(Col::Status, if view.standing(pool).is_available() { "UP" } else { "DOWN" });
    let up = |backup: bool| {
        let of = endpoints.iter().filter_map(|row| Some((row, row.endpoint.as_ref()?)));
        let of = of.filter(move |(row, endpoint)| {
            endpoint.written().backup == backup && row.get(Col::Status).is_some_and(is_up)
        });
        of.fold((0, 0), |(count, weight), (_, endpoint)| {
            (count + 1, weight + u64::from(endpoint.weight()))
        })
    };
    let ((active, weight), (backups, spare)) = (up(false), up(true));
    row.number(Col::Act, active);
    row.number(Col::Bck, backups);
    for column in [Col::Weight, Col::Uweight] {
        row.number(column, if active > 0 { weight } else { spare });
    }
    row.word(Col::Mode, mode(http));
    row.word(Col::Algo, algorithm(pool.plan().balance));
    row.complete()
}

fn counted(row: &mut Row, totals: &PoolTotals, http: bool) {
    row.number(Col::Stot, totals.ended);
    row.number(Col::Bin, totals.bytes[0]);
    row.number(Col::Bout, totals.bytes[1]);
    row.number(Col::Wretr, totals.retries);
    row.number(Col::Wredis, totals.redials);
    row.number(Col::CliAbrt, totals.aborts[0]);
    row.number(Col::SrvAbrt, totals.aborts[1]);
    if http {
        let [exchanges, reused, refused] = totals.http.unwrap_or_default();
        row.number(Col::ReqTot, exchanges);
        row.number(Col::Reuse, reused);
        row.number(Col::Eresp, refused);
    }
}
