//! A configuration without what is nobody else's business: passwords, tokens, keys, and every other text
//! that could be one.
//!
//! What may stay is decided by the one table of keys: numbers, times, words to choose from, addresses,
//! networks, names of hosts and of pools, paths of files. Free texts (values of header fields and cookies,
//! patterns, bodies, targets of redirects, paths of requests, users with their hashes), what no key asks for,
//! and comments do not. A text that is left out has a number in its place, the same for the same text.

use crate::document::{Data, Document, Source, Span, Table, Value};
use crate::plan::Program;
use crate::reference::{Kind, Section, root};
use std::sync::Arc;

/// What is left of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redacted {
    /// The text with marks in place of what was left out.
    pub text: String,
    /// What was left out; the mark of the one at index 0 is `redacted-1`.
    pub left_out: Vec<String>,
}

/// What stands in the place of the text at this index of [`Redacted::left_out`].
#[must_use]
pub fn mark(index: usize) -> String {
    format!("<redacted-{}>", index + 1)
}

/// Redacts a configuration; `None`: it is no TOML, and nobody can tell what is what in it.
#[must_use]
pub fn redact(program: Program, text: &str) -> Option<Redacted> {
    let (document, diagnostics) = Document::parse(Arc::new(Source::new("", text)));
    if diagnostics.has_errors() {
        return None;
    }
    let mut places = Places::default();
    places.table(root(program), &document.root);
    places.0.sort_by_key(|place| place.span);
    Some(written(text, &places.0))
}

/// What stands somewhere.
struct Place {
    span: Span,
    /// What is to be left out there; `None`: it stays.
    hidden: Option<String>,
}

#[derive(Default)]
struct Places(Vec<Place>);

/// Paths of requests that everybody asks for.
const KNOWN_PATHS: [&str; 8] =
    ["/", "/health", "/healthz", "/livez", "/ready", "/readyz", "/status", "none"];
/// Protocols of ALPN that are no secret.
const KNOWN_TEXTS: [&str; 3] = ["h2", "http/1.1", "haproxy"];

impl Places {
    fn keep(&mut self, span: Span) {
        self.0.push(Place { span, hidden: None });
    }

    fn table(&mut self, section: &'static Section, table: &Table) {
        for (key, value) in &table.entries {
            self.keep(key.span);
            match section.keys.iter().find(|known| known.name == key.name) {
                Some(known) => self.value(&known.kind, value),
                None => self.hide(value),
            }
        }
    }

    fn value(&mut self, kind: &'static Kind, value: &Value) {
        match (kind, &value.data) {
            (Kind::List(item), Data::Array(items)) => {
                items.iter().for_each(|value| self.value(item, value));
            }
            (Kind::List(item), _) => self.value(item, value),
            (
                Kind::Endpoint(section)
                | Kind::Master(section)
                | Kind::SendProxy(section)
                | Kind::TableOrFalse(section)
                | Kind::Switch(section)
                | Kind::Table(section),
                Data::Table(table),
            ) => self.table(section, table),
            (Kind::Named(section), Data::Table(tables)) => {
                for (name, value) in &tables.entries {
                    self.keep(name.span);
                    match &value.data {
                        Data::Table(table) => self.table(section, table),
                        _ => self.hide(value),
                    }
                }
            }
            (Kind::Tables(section), Data::Array(items)) => {
                for value in items {
                    match &value.data {
                        Data::Table(table) => self.table(section, table),
                        _ => self.hide(value),
                    }
                }
            }
            (Kind::Shares | Kind::Numbers { .. }, Data::Table(shares)) => {
                for (pool, share) in &shares.entries {
                    self.keep(pool.span);
                    self.value(&Kind::Boolean, share);
                }
            }
            (_, Data::String(text)) if may_stay(kind, text) => self.keep(value.span),
            _ => self.hide(value),
        }
    }

    /// Leaves out all texts in a value, however deep they are; keys stay.
    fn hide(&mut self, value: &Value) {
        match &value.data {
            Data::Integer(_) | Data::Float(_) | Data::Boolean(_) | Data::Datetime => {
                self.keep(value.span);
            }
            Data::String(text) => {
                self.0.push(Place { span: value.span, hidden: Some(text.clone()) });
            }
            Data::Array(items) => items.iter().for_each(|item| self.hide(item)),
            Data::Table(table) => {
                for (key, value) in &table.entries {
                    self.keep(key.span);
                    self.hide(value);
                }
            }
        }
    }
}

/// Whether a text of this kind is nobody's secret.
fn may_stay(kind: &Kind, text: &str) -> bool {
    // A name and a password could stand before the host.
    if text.contains("://") && text.contains('@') {
        return false;
    }
    match kind {
        Kind::RequestPath | Kind::RequestPathOrNone | Kind::ComparedPath => {
            KNOWN_PATHS.contains(&text)
        }
        Kind::Text | Kind::Label => KNOWN_TEXTS.contains(&text),
        Kind::Choice(words) => words.contains(&text),
        Kind::Duration { .. }
        | Kind::Network
        | Kind::Address
        | Kind::Listen
        | Kind::ListenHost
        | Kind::Endpoint(_)
        | Kind::Master(_)
        | Kind::EndpointAddress
        | Kind::ServerName
        | Kind::HostName
        | Kind::HostPattern
        | Kind::RequestHost
        | Kind::Path(_)
        | Kind::Status
        | Kind::LogTarget
        | Kind::Name(_)
        | Kind::SendProxy(_)
        | Kind::Method
        | Kind::HeaderName
        | Kind::Token
        | Kind::HashBy
        | Kind::HttpAddress
        | Kind::Size { .. }
        | Kind::FileMode
        | Kind::Group => is_plain(text),
        _ => false,
    }
}

/// Whether it looks like a name, an address or a path: one word, without the signs of a hash.
fn is_plain(text: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._:/@*-[],%".contains(c);
    text.len() <= 255 && text.chars().all(is_plain)
}

/// The text with what is hidden replaced and comments dropped. Between what has a place nothing stands but
/// punctuation, blanks and comments.
fn written(text: &str, places: &[Place]) -> Redacted {
    let mut redacted = Redacted { text: String::with_capacity(text.len()), left_out: Vec::new() };
    let mut at = 0;
    for place in places {
        // Keys of headers stand once, however many tables they lead to.
        if place.span.start < at {
            continue;
        }
        between(text.get(at..place.span.start).unwrap_or_default(), &mut redacted.text);
        match &place.hidden {
            None => redacted
                .text
                .push_str(text.get(place.span.start..place.span.end).unwrap_or_default()),
            Some(hidden) => {
                let known = redacted.left_out.iter().position(|other| other == hidden);
                let index = known.unwrap_or(redacted.left_out.len());
                if known.is_none() {
                    redacted.left_out.push(hidden.clone());
                }
                redacted.text.push_str(&format!("\"{}\"", mark(index)));
            }
        }
        at = place.span.end;
    }
    between(text.get(at..).unwrap_or_default(), &mut redacted.text);
    redacted
}

/// Drops comments.
fn between(text: &str, out: &mut String) {
    for line in text.split_inclusive('\n') {
        match line.split_once('#') {
            Some((before, _)) => {
                out.push_str(before.trim_end_matches(' '));
                out.push_str(if line.ends_with('\n') { "\n" } else { "" });
            }
            None => out.push_str(line),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reference::Key;

    fn redacted(text: &str) -> Redacted {
        redact(Program::Edge, text).unwrap()
    }

    #[test]
    fn names_and_figures_stay_and_free_texts_go() {
        let text = "# password: 3 sesame\nworkers = 2   # or 4\n[listener.web]\nlisten = [\"0.0.0.0:443\"]\n\
                    [[listener.web.rule]]\npath = [\"/\", \"/hook/s3same\"]\n\
                    set_header = { Authorization = \"Bearer s3same\", X-Env = 'blue' }\n\
                    [[listener.web.rule]]\nset_header = { X-Key = \"Bearer s3same\" }\n\
                    [pool.web]\nendpoints = [\"10.0.1.100:443\"]\n";
        let found = redacted(text);
        assert_eq!(
            found.text,
            "\nworkers = 2\n[listener.web]\nlisten = [\"0.0.0.0:443\"]\n\
             [[listener.web.rule]]\npath = [\"/\", \"<redacted-1>\"]\n\
             set_header = { Authorization = \"<redacted-2>\", X-Env = \"<redacted-3>\" }\n\
             [[listener.web.rule]]\nset_header = { X-Key = \"<redacted-2>\" }\n\
             [pool.web]\nendpoints = [\"10.0.1.100:443\"]\n"
        );
        assert_eq!(found.left_out, ["/hook/s3same", "Bearer s3same", "blue"]);
        assert_eq!(redact(Program::Edge, "listener = [\n"), None);
    }

    #[test]
    fn what_is_in_no_table_or_of_a_wrong_type_goes() {
        let text = "pasword = \"s3same\"\nworkers = \"s3 same\"\n[admin]\nmode = [\"s3-same!\"]\n\
                    [nowhere.\"a#b\"]\nkey = '''\ns3same # no comment\n'''\n";
        let found = redacted(text);
        assert!(!found.text.contains("s3"), "{}", found.text);
        assert!(found.text.contains("[nowhere.\"a#b\"]\nkey = "), "{}", found.text);
    }

    #[test]
    fn files_that_ship_are_read_back_as_toml_with_their_numbers() {
        for (program, name) in [
            (Program::Edge, "edge-http"),
            (Program::Edge, "edge-full"),
            (Program::Apiserver, "apiserver-full"),
        ] {
            let path = format!("{}/../../config/{name}.toml", env!("CARGO_MANIFEST_DIR"));
            let text = std::fs::read_to_string(path).unwrap();
            let found = redact(program, &text).unwrap();
            let (_, diagnostics) = Document::parse(Arc::new(Source::new("", &found.text)));
            assert!(!diagnostics.has_errors(), "{name}: {diagnostics}");
            assert!(!found.text.contains('#'), "{name}: {}", found.text);
            let addresses = |text: &str| text.matches("10.0.").count();
            assert!(addresses(&found.text) > 0, "{name}");
        }
    }

    /// Every key whose value is text that anybody may choose, wherever it is.
    #[test]
    fn no_key_for_free_text_lets_it_through() {
        fn walk(
            section: &'static Section,
            seen: &mut Vec<&'static str>,
            each: &mut dyn FnMut(&'static Key),
        ) {
            if seen.contains(&section.help) {
                return;
            }
            seen.push(section.help);
            for key in section.keys {
                each(key);
                below(&key.kind, seen, each);
            }
        }
        fn below(
            kind: &'static Kind,
            seen: &mut Vec<&'static str>,
            each: &mut dyn FnMut(&'static Key),
        ) {
            match kind {
                Kind::List(item) => below(item, seen, each),
                Kind::Endpoint(section)
                | Kind::Master(section)
                | Kind::SendProxy(section)
                | Kind::TableOrFalse(section)
                | Kind::Switch(section)
                | Kind::Table(section)
                | Kind::Named(section)
                | Kind::Tables(section)
                | Kind::Matching(section) => walk(section, seen, each),
                _ => {}
            }
        }
        let (mut count, mut seen) = (0, Vec::new());
        for program in [Program::Apiserver, Program::Edge] {
            walk(root(program), &mut seen, &mut |key| {
                for secret in [
                    "$2y$10$abcdefghijklmnopqrstuv",
                    "Bearer abc.def",
                    "a=b;c=d",
                    "pass word",
                    "https://a:b@c/",
                ] {
                    count += 1;
                    let mut places = Places::default();
                    let data = Data::String(secret.to_owned());
                    places.value(&key.kind, &Value { span: Span::default(), data });
                    assert!(
                        places.0.iter().all(|place| place.hidden.is_some()),
                        "{}: {secret}",
                        key.name
                    );
                }
            });
        }
        assert!(count > 500, "only {count}");
    }
}
