//! HAProxy's format for HTTP (its configuration manual, section 8.2.3, "HTTP log format"), field by
//! field:
//!
//! ```text
//! 10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 "GET /index.html HTTP/1.1"
//! ```
//! Termination letters three and four are about HAProxy's persistence cookies: `--`.

use super::clean;
use super::tcplog::write_accept_date;
use crate::observe::log::live::Moment;
use crate::observe::{Exchange, Step};
use std::io::Write;
use std::time::{Duration, SystemTime};

pub(super) fn write(out: &mut Vec<u8>, at: SystemTime, exchange: &Exchange, moment: &mut Moment) {
    // Writing to memory does not fail.
    let _ = try_write(out, at, exchange, moment);
}

fn try_write(
    out: &mut Vec<u8>,
    at: SystemTime,
    exchange: &Exchange,
    moment: &mut Moment,
) -> std::io::Result<()> {
    let listener = &*exchange.listener;
    // HAProxy writes IPv6 addresses without brackets.
    write!(out, "{}:{} ", exchange.client.ip(), exchange.client.port())?;
    write_accept_date(out, at.checked_sub(exchange.times.total).unwrap_or(at))?;
    // So HAProxy marks a listener with TLS.
    let tilde = if exchange.tls.is_some() { "~" } else { "" };
    write!(out, "{listener}{tilde} ")?;
    match &exchange.pool {
        Some(pool) => write!(out, "{}/", pool.name())?,
        None => write!(out, "{listener}/")?,
    }
    match &exchange.endpoint {
        Some(endpoint) => write!(out, "{} ", endpoint.name())?,
        None => out.extend_from_slice(b"<NOSRV> "),
    }
    write_timers(out, exchange)?;
    let status = if exchange.status == 0 { -1 } else { i32::from(exchange.status) };
    write!(out, " {status} {} - - {}-- ", exchange.bytes.1, exchange.end.letters_as_text())?;
    let pool = exchange.pool.as_ref().map_or(0, |pool| moment.sessions_of(pool));
    let endpoint = exchange.endpoint.as_ref().map_or(0, |endpoint| endpoint.sessions());
    let all = moment.sessions();
    let retries = exchange.tries.saturating_sub(1);
    let sign = if retries > 0 { "+" } else { "" };
    write!(out, "{all}/{all}/{pool}/{endpoint}/{sign}{retries} 0/0 ")?;
    if !exchange.headers.is_empty() {
        // As HAProxy has what it captured: a place for each, whether there was one or not.
        let values: Vec<_> = exchange.headers.iter().map(|(_, value)| captured(value)).collect();
        out.push(b'{');
        clean::write(out, &values.join("|"));
        out.extend_from_slice(b"} ");
    }
    out.push(b'"');
    if exchange.method.is_empty() {
        // As HAProxy has it for a request that it could not read.
        out.extend_from_slice(b"<BADREQ>");
    } else {
        let request = format!("{} {} {}", exchange.method, exchange.target, exchange.version);
        // A quote would end the field for whoever reads it.
        clean::write(out, &request.replace('"', "%22"));
    }
    out.push(b'"');
    Ok(())
}

/// What would end a field, or the part of the line, for whoever reads it is written as HAProxy writes it: `#`
/// and two hexadecimal digits (its manual, section 8.6).
fn captured(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    for char in value.chars() {
        match char {
            '"' | '#' | '{' | '|' | '}' => text += &format!("#{:02X}", u32::from(char)),
            _ => text.push(char),
        }
    }
    text
}

/// TR, Tw, Tc, Tr and Ta, in milliseconds; -1 for what was not reached.
fn write_timers(out: &mut Vec<u8>, exchange: &Exchange) -> std::io::Result<()> {
    let times = exchange.times;
    let shown = |time: Duration, reached: bool| {
        if reached { i64::try_from(time.as_millis()).unwrap_or(i64::MAX) } else { -1 }
    };
    let step = exchange.end.step as usize;
    let past = |wanted: Step| step > wanted as usize;
    write!(
        out,
        "{}/{}/{}/{}/{}",
        shown(times.head, past(Step::Head)),
        shown(times.queue, past(Step::Route)),
        shown(times.dial, past(Step::Dial)),
        shown(times.answer.unwrap_or_default(), times.answer.is_some()),
        times.total.as_millis(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_client_says_ends_no_field() {
        assert_eq!(captured("curl/8"), "curl/8");
        assert_eq!(captured("x} \"GET /admin"), "x#7D #22GET /admin");
        assert_eq!(captured("a|b{#"), "a#7Cb#7B#23");
    }
}
