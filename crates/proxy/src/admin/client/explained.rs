//! `explain` for people, and offline.

use super::page::{Cell, Page, Style};
use super::{Outcome, Target, text_of};
use crate::admin::request::Request;
use crate::admin::{AdminState, CandidateReport, Explanation, PoolReport, TriedReport, WhyReport};
use crate::command::file_of;
use crate::explain::answer;
use eclusa_config::Mode;
use eclusa_config::plan::Program;

/// Explains by a file alone: standard output, standard error, exit code.
pub(super) fn offline(
    program: Program,
    target: &Target,
    request: &Request,
    colour: bool,
) -> (String, String, u8) {
    let wrong = |text: String| (String::new(), text, Outcome::Wrong.code());
    let Request::Explain(asked) = request else { return wrong(String::new()) };
    let file = file_of(program, target.config.as_deref());
    // Lists in files are read, and what is expected need not hold: why is what is asked here.
    let loaded = match eclusa_config::load(program, file, Mode::Start) {
        Ok(loaded) => loaded,
        Err(diagnostics) => return wrong(diagnostics.to_string()),
    };
    let warnings = loaded.warnings.to_string();
    let explanation = match answer(&loaded.plan, asked, None) {
        Ok(explanation) => explanation,
        Err(lacks) => return wrong(format!("{lacks}\n")),
    };
    let value = serde_json::to_value(explanation).unwrap_or_default();
    let text = match target.json {
        true => serde_json::to_string_pretty(&value).unwrap_or_default() + "\n",
        false => text_of(request, value, colour).ok().flatten().unwrap_or_default(),
    };
    (text, warnings, Outcome::Done.code())
}

/// Writes where it goes, and why.
pub(super) fn explanation(page: &mut Page, it: &Explanation) {
    let request = it
        .request
        .as_ref()
        .map_or_else(|| "connection".to_owned(), |request| format!("request {request}"));
    let name =
        it.server_name.as_ref().map_or(String::new(), |name| format!(", server name {name}"));
    let head =
        format!("{request} from {} to listener {} ({}){name}", it.from, it.listener, it.address);
    page.line(&head, Style::Bold);
    if it.offline {
        page.line("offline, by the file: all endpoints are taken to be up", Style::Doubtful);
    }
    page.gap();
    let network = it.network.as_ref().map_or_else(
        || "no network holds the client".to_owned(),
        |network| format!("by {network}"),
    );
    let (word, style) = if it.allowed { ("let in", Style::Good) } else { ("DENIED", Style::Bad) };
    page.table(&[vec!["access".into(), Cell::new(word, style), network.into()]]);
    tried(page, "rule", &it.rules);
    tried(page, "route", &it.routes);
    if it.routes_left_out > 0 {
        let left_out = it.routes_left_out;
        let text = format!("{left_out} routes before it ask for other hosts, names or paths");
        page.line(&format!("  {text}"), Style::Plain);
    }
    page.gap();
    let style = match &*it.outcome {
        "pool" | "split" => Style::Good,
        "answered" | "closed" => Style::Doubtful,
        _ => Style::Bad,
    };
    page.line(&it.words, style);
    for one in &it.pools {
        page.gap();
        pool(page, one);
    }
    if !it.notes.is_empty() {
        page.gap();
        page.line("notes", Style::Bold);
        page.table(&it.notes.iter().map(|note| vec![note.as_str().into()]).collect::<Vec<_>>());
    }
}

fn tried(page: &mut Page, what: &str, all: &[TriedReport]) {
    if all.is_empty() {
        return;
    }
    page.gap();
    let mut rows = Vec::new();
    for one in all {
        let (word, style) = mark(one.why.held);
        let by_index = if one.evaluated { "" } else { " (left out by the index)" };
        rows.push(vec![
            format!("{what} {}", one.number).into(),
            Cell::new(word, style),
            format!("{}{by_index}", one.does).into(),
        ]);
        why(&mut rows, &one.why, 1);
    }
    page.table(&rows);
}

fn mark(held: bool) -> (&'static str, Style) {
    if held { ("holds", Style::Good) } else { ("no", Style::Plain) }
}

fn why(rows: &mut Vec<Vec<Cell>>, it: &WhyReport, depth: usize) {
    let (word, style) = mark(it.held);
    let fact = it.fact.as_ref().map_or(String::new(), |fact| format!(": {fact}"));
    // Spaces at the beginning of a cell would be taken for those between words.
    let indent = "· ".repeat(depth);
    rows.push(vec![
        "".into(),
        Cell::new(word, style),
        format!("{indent}{}{fact}", it.condition).into(),
    ]);
    for part in &it.parts {
        why(rows, part, depth + 1);
    }
}

fn pool(page: &mut Page, it: &PoolReport) {
    let share = if it.share < 1.0 { format!(" ({})", percent(it.share)) } else { String::new() };
    let can = it.endpoints.iter().any(|endpoint| endpoint.share > 0.0);
    let next = match (&it.next, can) {
        (Some(next), _) => format!("next is {next}"),
        (None, true) => "one of those with a share".to_owned(),
        (None, false) => "NOBODY can take it".to_owned(),
    };
    let style = if can { Style::Bold } else { Style::Bad };
    page.line(&format!("pool {}{share}: {}, {next}", it.name, it.balance), style);
    let head = ["ENDPOINT", "IS", "SHARE", "WEIGHT", "SESSIONS", "BECAUSE"];
    let mut rows = vec![head.map(Cell::from).to_vec()];
    rows.extend(it.endpoints.iter().map(endpoint));
    page.table(&rows);
}

fn endpoint(it: &CandidateReport) -> Vec<Cell> {
    let style = match &*it.position {
        _ if it.admin != AdminState::Ready => Style::Ordered,
        "candidate" => Style::Good,
        "out" => Style::Bad,
        _ => Style::Doubtful,
    };
    let name = match it.address.map(|address| address.to_string()) {
        Some(address) if address != it.name => format!("{} ({address})", it.name),
        _ => it.name.clone(),
    };
    vec![
        name.into(),
        Cell::new(it.position.as_str(), style),
        percent(it.share).into(),
        it.weight.to_string().into(),
        it.sessions.to_string().into(),
        it.because.as_str().into(),
    ]
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}
