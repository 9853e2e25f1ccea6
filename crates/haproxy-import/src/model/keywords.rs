//! One line of a proxy's section.

use super::acl::{self, Acl, Condition};
use super::endpoint::{self, Bind};
use super::global::LogLine;
use super::{CheckKind, Flag, Mode, Proxy, Role, Route, Rule, Set, Stage};
use crate::report::{Kind, Ledger};
use crate::sections::Line;
use crate::table::{OPTIONS, PROXY, find};
use crate::values;

/// Words of which the last line counts.
const LAST: [&str; 13] = [
    "balance",
    "hash-type",
    "default_backend",
    "cookie",
    "http-reuse",
    "dispatch",
    "monitor-uri",
    "source",
    "stick-table",
    "stick",
    "log-tag",
    "backlog",
    "unique-id-header",
];

/// What a `defaults` may not have (section 4.1 of HAProxy's configuration manual).
const NOT_INHERITED: [&str; 8] = [
    "bind",
    "server",
    "server-template",
    "use_backend",
    "dispatch",
    "stick",
    "stick-table",
    "redirect",
];

/// Numbers.
const NUMBERS: [&str; 2] = ["retries", "maxconn"];

/// Reads a line; what its words mean beyond that is found out when they are used.
pub(super) fn read(proxy: &mut Proxy, line: &Line, id: usize, ledger: &mut Ledger) {
    if ledger.is_judged(id) && line.words.is_empty() {
        return;
    }
    let (negated, words) = match line.words.split_first() {
        Some((first, rest)) if first == "no" && !rest.is_empty() => (true, rest),
        Some((first, rest)) if first == "default" && !rest.is_empty() => (true, rest),
        _ => (false, &line.words[..]),
    };
    let Some((word, rest)) = words.split_first() else { return };
    let Some(row) = find(PROXY, word) else {
        let note = "HAProxy does not know this word, or the importer does not";
        return ledger.tell(id, Kind::Unsupported, note);
    };
    if negated && !["option", "log"].contains(&word.as_str()) {
        return ledger.tell(id, Kind::Unsupported, "`no` stands before `option` and `log` alone");
    }
    if let Some(kind) = row.fate.kind() {
        return ledger.tell(id, kind, row.says);
    }
    ledger.known(id);
    if proxy.role == Role::Defaults && NOT_INHERITED.contains(&word.as_str()) {
        let note = format!("`{word}` has no place in `defaults`: HAProxy refuses it");
        return ledger.tell(id, Kind::Unsupported, note);
    }
    if out_of_place(proxy, word) {
        let note = format!("HAProxy makes nothing of it in a `{}`", proxy.kind());
        return ledger.tell(id, Kind::Ignored, note);
    }
    carried(proxy, (word, rest), (negated, id), ledger);
}

/// What only sections with endpoints have, and what only those with addresses.
fn out_of_place(proxy: &Proxy, word: &str) -> bool {
    let back = ["balance", "server", "cookie", "hash-type", "stick", "dispatch", "http-reuse"];
    let front = ["use_backend", "default_backend", "monitor-uri", "bind"];
    match proxy.role {
        Role::Front => back.contains(&word),
        Role::Back => front.contains(&word),
        Role::Both | Role::Defaults => false,
    }
}

fn carried(
    proxy: &mut Proxy,
    (word, rest): (&str, &[String]),
    (negated, id): (bool, usize),
    ledger: &mut Ledger,
) {
    let first = rest.first().map(String::as_str);
    match word {
        "mode" => mode(proxy, first, id, ledger),
        "timeout" => timeout(proxy, rest, id, ledger),
        "option" => option(proxy, rest, (negated, id), ledger),
        "bind" => bind(proxy, rest, id, ledger),
        "server" | "server-template" => endpoint::read(proxy, word, rest, id, ledger),
        "default-server" => {
            let usual = proxy.usual.clone();
            proxy.usual = endpoint::settings(usual, rest, id, ledger);
        }
        "acl" => match Acl::read(rest, id) {
            Ok(acl) => proxy.acls.push(acl),
            Err(why) => ledger.tell(id, Kind::Unsupported, why),
        },
        "use_backend" => match (first, condition(rest.get(1..).unwrap_or_default())) {
            (Some(pool), Ok((_, when))) => {
                proxy.routes.push(Route { pool: pool.to_owned(), when, line: id });
            }
            (None, _) => ledger.tell(id, Kind::Unsupported, "it names nothing: HAProxy refuses it"),
            (_, Err(why)) => ledger.tell(id, Kind::Unsupported, why),
        },
        "http-request" => rule(proxy, Stage::Request, rest, id, ledger),
        "block" => {
            let words: Vec<_> = std::iter::once("deny".to_owned()).chain(rest.to_vec()).collect();
            rule(proxy, Stage::Request, &words, id, ledger);
        }
        "reqadd" | "rspadd" => added(proxy, word, rest, id, ledger),
        "redirect" => {
            let words: Vec<_> =
                std::iter::once("redirect".to_owned()).chain(rest.to_vec()).collect();
            rule(proxy, Stage::Redirect, &words, id, ledger);
        }
        "http-response" | "http-after-response" => rule(proxy, Stage::Response, rest, id, ledger),
        "tcp-request" => rule(proxy, Stage::Connection, rest, id, ledger),
        "http-check" | "tcp-check" => {
            let words = std::iter::once(word.to_owned()).chain(rest.to_vec()).collect();
            proxy.checks.push(Set { value: words, line: id });
        }
        "tcp-response" => bytes_of_answers(rest, id, ledger),
        "compression" => proxy.compression.push(Set { value: rest.to_vec(), line: id }),
        "capture" => proxy.captures.push(Set { value: rest.to_vec(), line: id }),
        "stats" => stats(proxy, rest, id, ledger),
        "log" => log(proxy, rest, (negated, id), ledger),
        "errorfile" => match (first.and_then(|status| status.parse().ok()), rest.get(1)) {
            (Some(status), Some(path)) => proxy.pages.push((status, path.clone(), id)),
            _ => ledger.tell(id, Kind::Unsupported, "a status and a file are wanted"),
        },
        "disabled" => proxy.disabled = Some(id),
        _ => simple(proxy, word, rest, id, ledger),
    }
}

/// `tcp-response`
fn bytes_of_answers(rest: &[String], id: usize, ledger: &mut Ledger) {
    let words: Vec<&str> = rest.iter().map(String::as_str).collect();
    match words[..] {
        ["content", "accept", ..] | ["inspect-delay", ..] => {
            ledger.tell(id, Kind::Ignored, "answers are passed on as they come");
        }
        _ => {
            let note = "it judged answers by their bytes; now they are passed on as they come; do that at \
                        the endpoint";
            ledger.tell(id, Kind::Unsupported, note);
        }
    }
}

fn simple(proxy: &mut Proxy, word: &str, rest: &[String], id: usize, ledger: &mut Ledger) {
    if let Some(name) = NUMBERS.iter().find(|name| **name == word) {
        let Some(text) = rest.first() else {
            return ledger.tell(id, Kind::Unsupported, "a number is wanted: HAProxy refuses it");
        };
        let digits = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
        let value = text[..digits].parse().unwrap_or(0);
        if digits < text.len() || digits == 0 {
            let note =
                format!("`{text}` is no number: HAProxy takes it for {value}, and so does this");
            ledger.tell(id, Kind::Improved, note);
        }
        proxy.numbers.insert(name, Set { value, line: id });
    } else if LAST.contains(&word) {
        if rest.is_empty() {
            return ledger.tell(id, Kind::Unsupported, "it says nothing: HAProxy refuses it");
        }
        let set = Set { value: rest.to_vec(), line: id };
        if let Some(before) = proxy.words.insert(word.to_owned(), set) {
            overridden(before.line, id, ledger);
        }
    } else {
        ledger.tell(id, Kind::Unsupported, "the importer does not know this form");
    }
}

/// A line whose like comes again in the same section: the last one counts.
fn overridden(before: usize, now: usize, ledger: &mut Ledger) {
    if before != now {
        let note = "HAProxy does not use it where another such line comes after it";
        ledger.otherwise(before, Kind::Ignored, note);
    }
}

fn mode(proxy: &mut Proxy, word: Option<&str>, id: usize, ledger: &mut Ledger) {
    let value = match word {
        Some("tcp") => Mode::Tcp,
        Some("http") => Mode::Http,
        Some("health") => {
            let note = "it answered every connection with OK; now nothing does; ask `/livez` of \
                        `observe.listen`";
            return ledger.tell(id, Kind::Unsupported, note);
        }
        _ => return ledger.tell(id, Kind::Unsupported, "HAProxy does not know this mode"),
    };
    ledger.otherwise(id, Kind::Same, "");
    proxy.mode = Some(Set { value, line: id });
}

fn timeout(proxy: &mut Proxy, rest: &[String], id: usize, ledger: &mut Ledger) {
    let [name, text, ..] = rest else {
        return ledger.tell(id, Kind::Unsupported, "a name and a time are wanted");
    };
    let Some(value) = values::time(text) else {
        let note = format!("`{text}` is no time: HAProxy refuses it");
        return ledger.tell(id, Kind::Unsupported, note);
    };
    let known = [
        "check",
        "client",
        "client-fin",
        "connect",
        "http-keep-alive",
        "http-request",
        "queue",
        "server",
        "server-fin",
        "tarpit",
        "tunnel",
    ];
    if !known.contains(&name.as_str()) {
        return ledger.tell(id, Kind::Unsupported, "HAProxy does not know this time");
    }
    // 0 is for ever: what is written is the longest that there is.
    let value = if value == 0 { u64::MAX } else { value };
    if let Some(before) = proxy.times.insert(name.clone(), Set { value, line: id }) {
        overridden(before.line, id, ledger);
    }
}

fn option(proxy: &mut Proxy, rest: &[String], (negated, id): (bool, usize), ledger: &mut Ledger) {
    let Some((name, words)) = rest.split_first() else {
        return ledger.tell(id, Kind::Unsupported, "an option is wanted: HAProxy refuses it");
    };
    let Some(row) = find(OPTIONS, name) else {
        let note = "HAProxy does not know this option, or the importer does not";
        return ledger.tell(id, Kind::Unsupported, note);
    };
    if let Some(kind) = row.fate.kind() {
        if negated {
            return ledger.tell(id, Kind::Ignored, format!("it was off: {}", row.says));
        }
        checked_by_others(proxy, name, id);
        return ledger.tell(id, kind, row.says);
    }
    let kind = match name.as_str() {
        "httpchk" => Some(CheckKind::Http),
        "tcp-check" => Some(CheckKind::Tcp),
        "ssl-hello-chk" => Some(CheckKind::Hello),
        _ => None,
    };
    let flag = Flag { on: !negated, words: words.to_vec(), line: id };
    if let Some(before) = proxy.options.insert(name.clone(), flag) {
        overridden(before.line, id, ledger);
    }
    if let Some(value) = kind.filter(|_| !negated)
        && let Some(before) = proxy.check.replace(Set { value, line: id })
        && before.line != id
    {
        let note = "HAProxy does not run this check: another `option` for checks comes after it, \
                    and the last one counts";
        ledger.otherwise(before.line, Kind::Ignored, note);
    }
    if negated {
        ledger.tell(id, Kind::Same, "");
    }
}

fn checked_by_others(proxy: &mut Proxy, name: &str, id: usize) {
    if name.ends_with("-check") || name == "smtpchk" {
        proxy.check = Some(Set { value: CheckKind::Other, line: id });
    }
}

pub(super) fn bind(proxy: &mut Proxy, rest: &[String], id: usize, ledger: &mut Ledger) {
    if rest.first().is_some_and(|it| it.starts_with("quic4@") || it.starts_with("quic6@")) {
        return proxy.quic.push(Set { value: rest.to_vec(), line: id });
    }
    match Bind::read(rest, id, ledger) {
        Ok(bind) => proxy.binds.push(bind),
        Err(why) => ledger.tell(id, Kind::Unsupported, why),
    }
}

/// The words of a rule before `if` or `unless`, and its condition.
pub(super) fn condition(words: &[String]) -> Result<(Vec<String>, Option<Condition>), String> {
    let at = words.iter().position(|word| word == "if" || word == "unless");
    let Some(at) = at else { return Ok((words.to_vec(), None)) };
    let condition = acl::condition(&words[at + 1..], words[at] == "unless")?;
    Ok((words[..at].to_vec(), Some(condition)))
}

fn rule(proxy: &mut Proxy, stage: Stage, rest: &[String], id: usize, ledger: &mut Ledger) {
    match condition(rest) {
        Ok((words, _)) if words.is_empty() => {
            ledger.tell(id, Kind::Unsupported, "it does nothing: HAProxy refuses it");
        }
        Ok((words, when)) => proxy.rules.push((stage, Rule { words, when, line: id })),
        Err(why) => ledger.tell(id, Kind::Unsupported, why),
    }
}

/// `rspadd Name:\ value`, as it was until HAProxy 2.1.
fn added(proxy: &mut Proxy, word: &str, rest: &[String], id: usize, ledger: &mut Ledger) {
    let field = rest.first().and_then(|text| text.split_once(':'));
    let Some((name, value)) = field else {
        return ledger.tell(id, Kind::Unsupported, "a header field is wanted");
    };
    let stage = if word == "reqadd" { Stage::Request } else { Stage::Response };
    // What the value has of `%` is no variable here.
    let value = value.trim_start().replace('%', "%%");
    let mut words = vec!["add-header".to_owned(), name.to_owned(), value];
    words.extend_from_slice(&rest[1..]);
    rule(proxy, stage, &words, id, ledger);
}

fn stats(proxy: &mut Proxy, rest: &[String], id: usize, ledger: &mut Ledger) {
    let Some(first) = rest.first() else {
        return ledger.tell(id, Kind::Unsupported, "it says nothing: HAProxy refuses it");
    };
    match first.as_str() {
        "http-request" | "admin" => rule(proxy, Stage::Stats, rest, id, ledger),
        _ => proxy.stats.push(Set { value: rest.to_vec(), line: id }),
    }
}

fn log(proxy: &mut Proxy, rest: &[String], (negated, id): (bool, usize), ledger: &mut Ledger) {
    if negated {
        proxy.logs.clear();
        return ledger.tell(id, Kind::Same, "");
    }
    match LogLine::read(rest, id) {
        Ok(line) => {
            if proxy.logs.iter().any(|known| known.is_global() && line.is_global()) {
                ledger.tell(id, Kind::Same, "");
                return;
            }
            proxy.logs.push(line);
        }
        Err(why) => ledger.tell(id, Kind::Unsupported, why),
    }
}
