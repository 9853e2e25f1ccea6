//! `[[expect]]`: what must become of a connection or a request, compared with what does.

use super::listener::plain;
use crate::Mode;
use crate::diagnostic::{Diagnostic, quoted};
use crate::document::Span;
use crate::explain::{self, Explained, Explainer, Outcome, Pair, Question};
use crate::plan::{Plan, Program};
use crate::reader::{Got, Reader, Report};
use crate::reference::table as keys;
use crate::reference::{Key, Kind};
use crate::values::{self, Mistake};
use crate::web;
use eclusa_policy::access::Decision;
use std::net::IpAddr;

/// Expectations of one file.
const EXPECTED_MAX: usize = 1_000;
const REMEDY: &str = "say what is missing, or correct it";

/// An expectation.
pub(super) struct Expected {
    span: Span,
    question: Question,
    wanted: Wanted,
    /// Where that is written.
    at: Span,
}

/// What must become of it.
enum Wanted {
    Pools(Vec<Got<Box<str>>>),
    Status(u16),
    /// Or not: then anything else will do.
    Denied(bool),
}

/// Reads all of them; what is wrong with one is told, and it is left out.
pub(super) fn read(top: &Reader<'_>) -> Vec<Expected> {
    let (key, section) = match top.report.program {
        Program::Apiserver => (&keys::EXPECT_MASTERS, &keys::EXPECT_CONNECTION),
        Program::Edge => (&keys::EXPECT, &keys::EXPECT_REQUEST),
    };
    let tables = top.tables(key, section).unwrap_or_default();
    if let Some(beyond) = tables.get(EXPECTED_MAX) {
        top.report.error(
            beyond.span,
            &format!("{} expectations are too many", tables.len()),
            &format!("at most {EXPECTED_MAX}: a reload looks at all of them"),
            "keep those that matter most",
        );
    }
    tables.iter().filter_map(|reader| one(reader, top.report.program)).collect()
}

fn one(reader: &Reader<'_>, program: Program) -> Option<Expected> {
    let from = reader.text(&keys::EXPECT_FROM, address);
    let port = reader.integer(&keys::EXPECT_PORT);
    let mut question = from.map(|got| Question::from(got.value));
    let port = port.and_then(|got| u16::try_from(got.value).ok());
    if let Some(question) = &mut question {
        question.port = port;
    }
    let pools = reader.texts(&keys::EXPECT_POOL, values::label);
    let denied = reader.boolean(&keys::EXPECT_DENIED);
    let mut wanted = Vec::new();
    wanted.extend(pools.map(|got| (got.span, Wanted::Pools(got.value))));
    wanted.extend(denied.map(|got| (got.span, Wanted::Denied(got.value))));
    let mut outcomes = vec![&keys::EXPECT_POOL, &keys::EXPECT_DENIED];
    if program == Program::Edge {
        let asked = request(reader);
        if let Some(question) = &mut question {
            *question = Question { from: question.from, port, ..asked };
        }
        let status = reader.integer(&keys::EXPECT_STATUS);
        let status = status.and_then(|got| Some((got.span, u16::try_from(got.value).ok()?)));
        wanted.extend(status.map(|(span, status)| (span, Wanted::Status(status))));
        outcomes.push(&keys::EXPECT_STATUS);
    }
    one_outcome(reader, &outcomes);
    let (at, wanted) = wanted.pop()?;
    Some(Expected { span: reader.span, question: question?, wanted, at })
}

fn address(text: &str) -> Result<IpAddr, Mistake> {
    text.parse()
        .or_else(|_| values::mistake("this is no address", "write for example \"203.0.113.7\""))
}

/// The keys that `eclusa-edge` alone has.
fn request(reader: &Reader<'_>) -> Question {
    let text = |key, parse: fn(&str) -> _| {
        reader.text(key, parse).map(|got: Got<Box<str>>| got.value.into_string())
    };
    Question {
        listener: text(&keys::EXPECT_LISTENER, values::label),
        server_name: text(&keys::EXPECT_SERVER_NAME, values::host_name),
        host: text(&keys::EXPECT_HOST, web::text),
        path: text(&keys::EXPECT_PATH, web::text),
        method: text(&keys::EXPECT_METHOD, web::method),
        headers: pairs(reader, &keys::EXPECT_HEADER),
        cookies: pairs(reader, &keys::EXPECT_COOKIE),
        ..Question::from(IpAddr::from([0, 0, 0, 0]))
    }
}

fn pairs(reader: &Reader<'_>, key: &Key) -> Vec<Pair> {
    let pairs = reader.entries(key, |name, value| {
        let value = reader.text_of(key, &Kind::Text, value, web::line)?;
        Some((name.name.to_string(), value.into_string()))
    });
    pairs.unwrap_or_default()
}

/// Tells of expectations that expect nothing, and of those that expect several things.
fn one_outcome(reader: &Reader<'_>, outcomes: &[&Key]) {
    let written: Vec<_> = outcomes.iter().filter_map(|key| reader.key_span(key)).collect();
    let names: Vec<_> = outcomes.iter().map(|key| key.name).collect();
    let expected = format!("exactly one of {}", names.join(", "));
    match written[..] {
        [] => reader.report.absent(
            reader.span,
            &format!("nothing is expected {}", reader.place()),
            &expected,
            "add one, such as `pool = \"web\"`",
        ),
        [_] => {}
        [first, second, ..] => reader.report.push(
            Diagnostic::error(
                second,
                "two things are expected at once",
                &expected,
                "write another `[[expect]]` for the second",
            )
            .with_related(first, "the first"),
        ),
    }
}

/// Compares what is expected with what the plan does.
pub(super) fn check(report: &Report, plan: &Plan, all: &[Expected]) {
    if report.mode == Mode::Known {
        return;
    }
    let mut explainer = Explainer::new(plan);
    for expected in all {
        if let Wanted::Pools(pools) = &expected.wanted {
            let known = || plan.pools.iter().map(|pool| &*pool.name);
            let unknown = pools.iter().find(|pool| !known().any(|name| *name == *pool.value));
            match unknown {
                Some(pool) if report.mode == Mode::Start => {
                    let message = format!("there is no pool {}", quoted(&pool.value));
                    report.warning(pool.span, &message, "the name of a pool of this file", REMEDY);
                    continue;
                }
                Some(pool) => {
                    report.unknown_name(pool, "pool", "pool", known());
                    continue;
                }
                None => {}
            }
        }
        match explainer.explain(&expected.question) {
            Ok(explained) => compare(report, plan, expected, &explained),
            Err(lacks) => tell(
                report,
                expected.span,
                &format!("this cannot be answered: {lacks}"),
                ("a connection or a request that one listener takes", REMEDY),
            ),
        }
    }
}

fn compare(report: &Report, plan: &Plan, expected: &Expected, explained: &Explained<'_>) {
    let closes = match &explained.outcome {
        Outcome::Denied | Outcome::Closed { .. } => true,
        Outcome::Nowhere => explained.request.is_none(),
        _ => false,
    };
    let (holds, wanted) = match &expected.wanted {
        Wanted::Denied(denied) => {
            let words = if *denied { "to be closed" } else { "not to be closed" };
            (closes == *denied, words.to_owned())
        }
        Wanted::Status(wanted) => {
            let status = match &explained.outcome {
                Outcome::Answered { status, .. } => Some(*status),
                Outcome::Nowhere if explained.request.is_some() => Some(404),
                _ => None,
            };
            (status == Some(*wanted), format!("status {wanted}"))
        }
        Wanted::Pools(pools) => {
            let mut names = plain(pools.clone());
            names.sort();
            names.dedup();
            let quoted: Vec<_> = names.iter().map(|name| quoted(name)).collect();
            let mut found = match &explained.outcome {
                Outcome::Routed { target, .. } => explain::pools(plan, target),
                _ => Vec::new(),
            };
            found.sort();
            found.dedup();
            let same = found.iter().map(|name| &**name).eq(names.iter().map(|name| &**name));
            (same, format!("the pool {}", quoted.join(" or ")))
        }
    };
    if holds {
        return;
    }
    if report.mode == Mode::Offline && explained.asked_lists {
        return report.warning(
            expected.span,
            "this expectation is not verified: it depends on a list in a file, and `--offline` reads none",
            "a check on the host that has the file",
            "run `check` without `--offline` there",
        );
    }
    let came = came(plan, explained);
    let message = format!("expected {wanted}, but {came}");
    let program = report.program.name();
    let remedy =
        format!("correct the file or the expectation; `{program} explain` tells why it is so");
    tell(report, expected.at, &message, (&wanted, &remedy));
}

/// An error; at a start a warning: what is only expected must not keep a host from serving.
fn tell(report: &Report, span: Span, message: &str, (expected, remedy): (&str, &str)) {
    match report.mode {
        Mode::Start => report.warning(span, message, expected, remedy),
        _ => report.error(span, message, expected, remedy),
    }
}

/// What becomes of it instead, in words.
fn came(plan: &Plan, explained: &Explained<'_>) -> String {
    let name = &explained.listener.name;
    match &explained.outcome {
        Outcome::Denied => match explained.access {
            Decision::Denied(Some(network)) => {
                format!("listener {name} denies {network}: the connection is closed")
            }
            _ => format!("no `allow` network of listener {name} holds the client: it is closed"),
        },
        Outcome::Closed { rule } => format!("rule {} of listener {name} closes it", rule + 1),
        Outcome::Answered { status, rule: Some(rule), what } => {
            format!("rule {} of listener {name} answers it with {status} ({what})", rule + 1)
        }
        Outcome::Answered { status, rule: None, what } => {
            format!("listener {name} answers it with {status} ({what})")
        }
        Outcome::Routed { route, target } => {
            let pools: Vec<_> =
                explain::pools(plan, target).iter().map(|name| quoted(name)).collect();
            let (route, pools) = (route + 1, pools.join(" or "));
            format!("route {route} of listener {name} takes it to the pool {pools}")
        }
        Outcome::Nowhere if explained.request.is_some() => {
            format!("no route of listener {name} takes it: it is answered with 404")
        }
        Outcome::Nowhere => format!("no route of listener {name} takes it: it is closed"),
    }
}
