//! `show sess` and `show errors`.

use crate::admin::{RefusedMessage, Session, SessionTable};
use crate::observe::{Kept, write_accept_date};
use std::fmt::Write;
use std::time::SystemTime;

/// Signs of a refused message in a line.
const PER_LINE: usize = 60;

/// A line for each session.
pub(crate) fn sessions(table: &SessionTable) -> String {
    let mut text = String::new();
    for session in &table.sessions {
        line(&mut text, session);
    }
    let told = table.sessions.len() as u64;
    if table.matching > told {
        let _ = writeln!(text, "# {} sessions; the {told} oldest are told", table.matching);
    }
    text
}

fn line(text: &mut String, session: &Session) {
    let family = if session.client.ip().to_canonical().is_ipv4() { '4' } else { '6' };
    let pool = session.pool.as_deref().unwrap_or("<NONE>");
    let endpoint = session.endpoint.as_deref().unwrap_or("<none>");
    let _ = writeln!(
        text,
        "{}: proto=tcpv{family} src={}:{} fe={} be={pool} srv={endpoint} age={} idle={} in={} out={}",
        session.id,
        session.client.ip(),
        session.client.port(),
        session.listener,
        in_words(session.age_seconds),
        in_words(session.idle_seconds),
        session.bytes_up,
        session.bytes_down,
    );
}

/// `5s`, `1m5s`, `2h1m`, `3d4h`
fn in_words(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// How many messages were refused, and the last of them.
pub(crate) fn errors(total: u64, kept: Vec<Kept>) -> String {
    let mut text = format!("Total events captured on {} : {total}\n", date(SystemTime::now()));
    for kept in kept {
        let when = kept.when;
        error(&mut text, when, &RefusedMessage::from(kept));
    }
    text
}

fn error(text: &mut String, when: SystemTime, message: &RefusedMessage) {
    let what = if message.pool.is_some() { "response" } else { "request" };
    let _ = writeln!(
        text,
        "\n{} frontend {}: invalid {what}\n  backend {}, server {}, event #{}, src {}:{}\n  {}: {}\n  \
         len {}, error at position {}\n",
        date(when),
        message.listener,
        message.pool.as_deref().unwrap_or("<NONE>"),
        message.endpoint.map_or_else(|| "<NONE>".to_owned(), |address| address.to_string()),
        message.number,
        message.client.ip(),
        message.client.port(),
        message.reason,
        message.why,
        message.length,
        message.offset,
    );
    let signs = message.signs();
    let mut at = message.from;
    for line in signs.split_inclusive(|sign| *sign == "\\n").flat_map(|line| line.chunks(PER_LINE))
    {
        let _ = writeln!(text, "  {at:05}  {}", line.concat());
        at += line.len();
    }
}

/// `[30/Nov/2026:03:26:14.496]`
fn date(at: SystemTime) -> String {
    let mut out = Vec::new();
    // Writing to memory does not fail.
    let _ = write_accept_date(&mut out, at);
    String::from_utf8_lossy(&out).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::Moment;

    #[test]
    fn a_session_is_a_line() {
        let session = Session {
            id: "7-1".to_owned(),
            listener: "web".to_owned(),
            worker: 0,
            client: "[2001:db8::1]:4711".parse().unwrap(),
            pool: Some("pool".to_owned()),
            endpoint: None,
            address: None,
            server_name: None,
            step: "data".to_owned(),
            began: Moment::from_unix(0),
            age_seconds: 65,
            idle_seconds: 3,
            bytes_up: 10,
            bytes_down: 20,
        };
        let table = SessionTable { matching: 2, sessions: vec![session] };
        let text = sessions(&table);
        let expected = "7-1: proto=tcpv6 src=2001:db8::1:4711 fe=web be=pool srv=<none> age=1m5s idle=3s \
                        in=10 out=20\n# 2 sessions; the 1 oldest are told\n";
        assert_eq!(text, expected);
        assert_eq!((in_words(7_260), in_words(97_200)), ("2h1m".to_owned(), "1d3h".to_owned()));
    }
}
