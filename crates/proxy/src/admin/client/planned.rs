//! `plan` for people.

use super::Target;
use super::page::{Cell, Page, Style};
use super::show::counted;
use crate::admin::request::PlanOf;
use crate::admin::{Action, Item, PlanReport};
use std::fs;
use std::io::Read;

/// The longest text that is sent, in bytes: a request has at most 64 KiB, and JSON writes some
/// characters as two.
const TEXT_MAX: usize = 48 << 10;

/// Takes in the file that -c names: the program opens none that a client names.
///
/// # Errors
/// It cannot be read, in words.
pub(super) fn read(of: &mut PlanOf, target: &Target) -> Result<(), String> {
    let Some(config) = &target.config else { return Ok(()) };
    let told = |error: std::io::Error| format!("{}: {error}\n", config.display());
    let full = fs::canonicalize(config).map_err(told)?;
    of.file = Some(full.display().to_string());
    // Not everybody who may ask may read the program's own; that one it reads by itself.
    let mut bytes = Vec::new();
    let read = fs::File::open(&full)
        .and_then(|file| file.take(TEXT_MAX as u64 + 1).read_to_end(&mut bytes));
    if read.is_ok() && bytes.len() <= TEXT_MAX {
        of.text = String::from_utf8(bytes).ok();
    }
    Ok(())
}

/// Writes what a reload would do.
pub(super) fn plan(page: &mut Page, report: &PlanReport) {
    let PlanReport { file, generation, .. } = report;
    page.line(
        &format!("{file} against configuration {generation}, which is in force"),
        Style::Bold,
    );
    if !report.own {
        let text = "not the file of the program: what it names (certificates, keys, lists) was not \
                    opened; `check -c FILE` does that";
        page.line(text, Style::Doubtful);
    }
    let rows: Vec<_> = report.items.iter().map(row).collect();
    page.gap();
    page.table(&rows);
    let lists = [
        ("takes effect at a restart", &report.after_restart),
        ("orders that would end", &report.dropped_overrides),
        ("warnings", &report.warnings),
    ];
    for (title, lines) in lists.into_iter().filter(|(_, lines)| !lines.is_empty()) {
        page.gap();
        page.line(title, Style::Bold);
        page.table(&lines.iter().map(|line| vec![line.as_str().into()]).collect::<Vec<_>>());
    }
    page.gap();
    let count = |action| report.items.iter().filter(|item| item.action == action).count();
    let [new, changed, gone] = [Action::New, Action::Changed, Action::Gone].map(count);
    if let Some(why) = &report.trouble {
        page.line(&format!("A reload would fail: {why}"), Style::Bad);
    } else if !report.refused.is_empty() {
        let why = report.refused.join("; ");
        page.line(&format!("A reload would be refused without --force: {why}"), Style::Bad);
    } else if !report.changes {
        page.line("A reload would change nothing.", Style::Good);
    } else {
        let text = format!("A reload would do this: {new} new, {changed} changed, {gone} gone.");
        page.line(&text, Style::Bold);
    }
}

fn row(item: &Item) -> Vec<Cell> {
    let style = match item.action {
        Action::Kept => Style::Plain,
        Action::New => Style::Good,
        Action::Changed => Style::Doubtful,
        Action::Gone => Style::Bad,
    };
    let mut words = item.details.clone();
    let sessions = item.sessions.unwrap_or_default();
    match item.action {
        Action::Gone if sessions > 0 => words.insert(0, counted(sessions, "session")),
        Action::Kept | Action::Changed if sessions > 0 => {
            words.push(counted(sessions, "session"));
        }
        _ => {}
    }
    vec![item.of.as_str().into(), Cell::new(item.action.name(), style), words.join("; ").into()]
}
