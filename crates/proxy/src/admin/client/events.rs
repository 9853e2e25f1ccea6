//! `events` for people, and for those who follow.

use super::Target;
use super::call::{self, Answered};
use super::page::{Cell, Page, Style, safe};
use super::{EventTable, Outcome, has_colour};
use crate::admin::request::Request;
use eclusa_config::plan::Program;
use serde_json::{Map, Value};
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

/// Writes them, a line each.
pub(super) fn table(page: &mut Page, table: &EventTable) {
    let rows: Vec<_> = table.events.iter().map(|told| row(&told.0)).collect();
    page.list(&rows);
    if table.events.is_empty() {
        page.line("no such event is kept", Style::Plain);
    }
}

/// An event as a row.
pub(crate) fn row(fields: &Map<String, Value>) -> Vec<Cell> {
    let text = |key: &str| fields.get(key).and_then(Value::as_str).unwrap_or("?");
    let severity = text("severity");
    let style = match severity {
        "critical" | "error" => Style::Bad,
        "warning" => Style::Doubtful,
        _ => Style::Plain,
    };
    let at = text("at").to_owned();
    vec![at.into(), Cell::new(severity, style), text("event").into(), text("message").into()]
}

/// Writes what happened and what happens, until interrupted.
pub(super) fn follow(program: Program, target: &Target, request: &Request) -> ExitCode {
    let colour = has_colour(std::io::stdout().is_terminal());
    let mut code = Outcome::Done.code();
    let followed = call::follow(program, target, request, |answered| {
        let (out, err, outcome) = lines(answered, target.json, colour);
        code = outcome.code();
        let _ = std::io::stderr().write_all(err.as_bytes());
        let mut stdout = std::io::stdout();
        // A reader that has gone away is no failure.
        let written = stdout.write_all(out.as_bytes()).and_then(|()| stdout.flush());
        written.is_ok() && outcome == Outcome::Done
    });
    if let Err(trouble) = followed {
        let _ = std::io::stderr().write_all(trouble.message(program).as_bytes());
        code = trouble.code();
    }
    ExitCode::from(code)
}

/// An answer in lines: what goes to standard output and to standard error.
fn lines(answered: Answered, json: bool, colour: bool) -> (String, String, Outcome) {
    let Answered { outcome, messages, data } = answered;
    let mut err: String = messages.iter().map(|line| safe(line) + "\n").collect();
    if outcome != Outcome::Done {
        return (String::new(), err, outcome);
    }
    let table: EventTable = match serde_json::from_value(data) {
        Ok(table) => table,
        Err(error) => {
            err.push_str(&format!("the answer is not understood ({error})\n"));
            return (String::new(), err, Outcome::Failed);
        }
    };
    if table.missed > 0 {
        err.push_str(&format!("{} events were missed\n", table.missed));
    }
    if json {
        let line = |told| serde_json::to_string(told).unwrap_or_default() + "\n";
        return (table.events.iter().map(line).collect(), err, outcome);
    }
    let mut page = Page::new(colour);
    for told in &table.events {
        page.list(&[row(&told.0)]);
    }
    (page.into_text(), err, outcome)
}
