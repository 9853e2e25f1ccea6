//! `session list` and `session show` for people.

use super::page::{Cell, Page, Style};
use super::show::counted;
use crate::admin::moment::in_words;
use crate::admin::{Session, SessionTable};
use std::time::Duration;

/// Writes a list.
pub(super) fn list(page: &mut Page, table: &SessionTable) {
    let head = ["ID", "AGE", "IDLE", "UP", "DOWN", "CLIENT", "ENDPOINT"];
    let mut rows = vec![head.map(Cell::from).to_vec()];
    rows.extend(table.sessions.iter().map(|session| {
        vec![
            session.id.clone().into(),
            age(session.age_seconds).into(),
            age(session.idle_seconds).into(),
            bytes(session.bytes_up).into(),
            bytes(session.bytes_down).into(),
            session.client.to_string().into(),
            place(session).into(),
        ]
    }));
    if !table.sessions.is_empty() {
        page.list(&rows);
    }
    let listed = table.sessions.len() as u64;
    let all = match table.matching > listed {
        true => format!("{listed} of {} (--limit shows more)", counted(table.matching, "session")),
        false => counted(listed, "session"),
    };
    page.line(&all, Style::Plain);
}

/// Writes everything about one.
pub(super) fn one(page: &mut Page, session: &Session) {
    page.line(&format!("session {}", session.id), Style::Bold);
    let mut rows: Vec<[String; 2]> = vec![
        ["client".to_owned(), session.client.to_string()],
        ["listener".to_owned(), format!("{}, worker {}", session.listener, session.worker)],
        ["step".to_owned(), session.step.clone()],
        ["endpoint".to_owned(), place(session)],
    ];
    if let Some(address) = session.address {
        rows.push(["address".to_owned(), address.to_string()]);
    }
    if let Some(name) = &session.server_name {
        rows.push(["server name".to_owned(), name.clone()]);
    }
    let began = format!("{}, {} ago", session.began, age(session.age_seconds));
    rows.push(["began".to_owned(), began]);
    rows.push(["last byte".to_owned(), format!("{} ago", age(session.idle_seconds))]);
    let up = format!("{} ({} bytes)", bytes(session.bytes_up), session.bytes_up);
    let down = format!("{} ({} bytes)", bytes(session.bytes_down), session.bytes_down);
    rows.push(["up".to_owned(), up]);
    rows.push(["down".to_owned(), down]);
    let rows: Vec<_> = rows.into_iter().map(|row| row.map(Cell::from).to_vec()).collect();
    page.table(&rows);
}

fn place(session: &Session) -> String {
    match (&session.pool, &session.endpoint) {
        (Some(pool), Some(endpoint)) => format!("{pool}/{endpoint}"),
        (Some(pool), None) => format!("{pool}/-"),
        _ => format!("- ({})", session.step),
    }
}

fn age(seconds: u64) -> String {
    in_words(Duration::from_secs(seconds))
}

/// `512 B`, `1.5 KiB`.
fn bytes(count: u64) -> String {
    let units = [(30, "GiB"), (20, "MiB"), (10, "KiB")];
    let unit = units.into_iter().find(|(shift, _)| count >> shift > 0);
    match unit {
        None => format!("{count} B"),
        Some((shift, unit)) => {
            let tenths = (u128::from(count) * 10) >> shift;
            format!("{}.{} {unit}", tenths / 10, tenths % 10)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_told_in_their_unit() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1023), "1023 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(5 << 30), "5.0 GiB");
        assert_eq!(bytes(u64::MAX), "17179869183.9 GiB");
    }
}
