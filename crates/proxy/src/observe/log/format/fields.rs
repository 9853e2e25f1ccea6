//! The fields of an entry of the journal, beside its message (systemd.journal-fields(7); the form:
//! systemd.io/JOURNAL_NATIVE_PROTOCOL). No value holds a line feed, so `NAME=value` will do.

use super::clean;
use crate::observe::log::Line;
use crate::observe::{Event, Exchange, Record};
use std::fmt::Display;
use std::io::Write;

/// Ends the message that stands there and adds ours.
pub(super) fn write(out: &mut Vec<u8>, line: Line<'_>) {
    out.push(b'\n');
    match line {
        Line::Session(record) => session(out, record),
        Line::Exchange(one) => exchange(out, one),
        Line::Event(event) => self::event(out, event),
    }
}

fn session(out: &mut Vec<u8>, record: &Record) {
    let mut add = |name, value: &dyn Display| field(out, name, &value.to_string());
    add("EVENT", &"session");
    add("SESSION", &record.id);
    add("LISTENER", &record.listener);
    add("CLIENT", &record.client);
    if let Some(name) = &record.server_name {
        add("SNI", name);
    }
    if let Some(pool) = &record.pool {
        add("POOL", &pool.name());
    }
    if let Some(endpoint) = &record.endpoint {
        add("ENDPOINT", &endpoint.name());
    }
    if let Some(end) = &record.end {
        add("ENDED_BY", &end.who.name());
        add("STEP", &end.step.name());
        add("LETTERS", &String::from_utf8_lossy(&end.letters()));
        add("REASON", &end.reason);
    }
}

fn exchange(out: &mut Vec<u8>, exchange: &Exchange) {
    let mut add = |name, value: &dyn Display| field(out, name, &value.to_string());
    add("EVENT", &"exchange");
    add("EXCHANGE", &exchange.id);
    add("LISTENER", &exchange.listener);
    add("CLIENT", &exchange.client);
    add("METHOD", &exchange.method);
    add("HOST", &exchange.host);
    add("STATUS", &exchange.status);
    if let Some(pool) = &exchange.pool {
        add("POOL", &pool.name());
    }
    if let Some(endpoint) = &exchange.endpoint {
        add("ENDPOINT", &endpoint.name());
    }
    add("ENDED_BY", &exchange.end.who.name());
    add("STEP", &exchange.end.step.name());
    add("LETTERS", &exchange.end.letters_as_text());
    add("REASON", &exchange.end.reason);
}

fn event(out: &mut Vec<u8>, event: &Event) {
    field(out, "EVENT", event.kind);
    for (name, value) in &event.about {
        let text = match value {
            serde_json::Value::String(text) => text.clone(),
            value => value.to_string(),
        };
        field(out, &name.to_ascii_uppercase(), &text);
    }
}

fn field(out: &mut Vec<u8>, name: &str, value: &str) {
    // Writing to memory does not fail.
    let _ = write!(out, "ECLUSA_{name}=");
    clean::write(out, value);
    out.push(b'\n');
}
