//! HAProxy's format for TCP (its configuration manual, section 8.2.2, "TCP log format"), field by
//! field:
//!
//! ```text
//! 10.0.1.2:33313 [06/Feb/2009:12:12:51.443] fnt bck/srv1 0/0/5007 212 -- 0/0/0/0/3 0/0
//! ```

use super::head::MONTHS;
use crate::observe::log::live::Moment;
use crate::observe::{Record, Step};
use eclusa_sys::local_time::LocalTime;
use std::io::Write;
use std::time::{Duration, SystemTime};

pub(super) fn write(out: &mut Vec<u8>, at: SystemTime, record: &Record, moment: &mut Moment) {
    // Writing to memory does not fail.
    let _ = try_write(out, at, record, moment);
}

fn try_write(
    out: &mut Vec<u8>,
    at: SystemTime,
    record: &Record,
    moment: &mut Moment,
) -> std::io::Result<()> {
    let listener = &*record.listener;
    // HAProxy writes IPv6 addresses without brackets.
    write!(out, "{}:{} ", record.client.ip(), record.client.port())?;
    write_accept_date(out, at.checked_sub(record.total).unwrap_or(at))?;
    write!(out, "{listener} ")?;
    match &record.pool {
        Some(pool) => write!(out, "{}/", pool.name())?,
        None => write!(out, "{listener}/")?,
    }
    match &record.endpoint {
        Some(endpoint) => write!(out, "{} ", endpoint.name())?,
        None => out.extend_from_slice(b"<NOSRV> "),
    }
    let (queued, dial) = timers(record);
    let total = record.total.as_millis();
    write!(out, "{queued}/{dial}/{total} {} ", record.bytes_down)?;
    out.extend_from_slice(&record.end.as_ref().map_or(*b"--", |end| end.letters()));
    let pool = record.pool.as_ref().map_or(0, |pool| moment.sessions_of(pool));
    let endpoint = record.endpoint.as_ref().map_or(0, |endpoint| endpoint.sessions());
    // As HAProxy counts: the session itself is still there, but has left its server.
    let at_listener = record.cells.open() + 1;
    let all = moment.sessions().max(at_listener);
    // Each try goes to another endpoint, which HAProxy calls a redispatch and marks with `+`.
    let retries = record.tries.saturating_sub(1);
    let sign = if retries > 0 { "+" } else { "" };
    write!(out, " {all}/{at_listener}/{pool}/{endpoint}/{sign}{retries} 0/0")
}

/// Tw and Tc, in milliseconds; -1 for what was not reached.
fn timers(record: &Record) -> (i64, i64) {
    let milliseconds = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    match record.end.as_ref().map_or(Step::Data, |end| end.step) {
        Step::Preamble | Step::Access | Step::Tls | Step::Head | Step::Route => (-1, -1),
        Step::Queue | Step::Dial => (milliseconds(record.queue), -1),
        Step::Answer | Step::Data => (milliseconds(record.queue), milliseconds(record.dial)),
    }
}

/// `[06/Feb/2009:12:12:51.443] `
pub(crate) fn write_accept_date(out: &mut Vec<u8>, at: SystemTime) -> std::io::Result<()> {
    let LocalTime { year, month, day, hour, minute, second, millisecond } = LocalTime::of(at);
    let month = MONTHS[usize::from(month) % MONTHS.len()];
    write!(out, "[{day:02}/{month}/{year}:{hour:02}:{minute:02}:{second:02}.{millisecond:03}] ")
}
