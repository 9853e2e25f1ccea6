//! The report for people.

use super::report::{Finding, Report, Severity, Skipped};
use super::table::{CHECKS, Check, Group};
use crate::admin::client::{Cell, Page, Style};
use eclusa_config::diagnostic::counted;

/// The report as a page.
pub(super) fn report(report: &Report, colour: bool) -> String {
    let mut page = Page::new(colour);
    let Report { program, version, file, .. } = report;
    page.line(&format!("{program} {version}, {file}"), Style::Bold);
    for one in report.findings.iter().filter(|finding| finding.severity != Severity::Ok) {
        page.gap();
        finding(&mut page, one);
    }
    let fine: Vec<_> =
        report.findings.iter().filter(|finding| finding.severity == Severity::Ok).collect();
    if !fine.is_empty() {
        page.gap();
        page.line("fine", Style::Bold);
        let row =
            |one: &&Finding| vec![Cell::new(one.check, Style::Good), one.found.as_str().into()];
        page.table(&fine.iter().map(row).collect::<Vec<_>>());
    }
    if !report.skipped.is_empty() {
        page.gap();
        page.line("not looked at", Style::Bold);
        let row = |one: &Skipped| vec![one.check.into(), one.why.as_str().into()];
        page.table(&report.skipped.iter().map(row).collect::<Vec<_>>());
    }
    page.gap();
    let (text, style) = summary(report);
    page.line(&text, style);
    page.into_text()
}

/// All checks, and what each looks at.
pub(super) fn list() -> String {
    let mut page = Page::new(false);
    let row = |check: &Check| vec![check.name.into(), check.looks.into()];
    let of = |group| CHECKS.iter().filter(move |check| check.group == group).map(row);
    page.table(&of(Group::Usual).collect::<Vec<_>>());
    page.gap();
    page.line("with --migration", Style::Bold);
    page.table(&of(Group::Migration).collect::<Vec<_>>());
    page.into_text()
}

fn style(severity: Severity) -> Style {
    match severity {
        Severity::Ok => Style::Good,
        Severity::Advice => Style::Plain,
        Severity::Warning => Style::Doubtful,
        Severity::Error => Style::Bad,
    }
}

fn finding(page: &mut Page, one: &Finding) {
    page.line(
        &format!("{} {}: {}", one.severity.name().to_uppercase(), one.check, one.found),
        style(one.severity),
    );
    let rows = [("so", &one.effect), ("remedy", &one.remedy)];
    let rows = rows.into_iter().filter(|(_, text)| !text.is_empty());
    let rows: Vec<Vec<Cell>> =
        rows.map(|(name, text)| vec![name.into(), text.as_str().into()]).collect();
    page.list(&rows);
}

fn summary(report: &Report) -> (String, Style) {
    let count = |severity| report.findings.iter().filter(|it| it.severity == severity).count();
    let found = [
        (Severity::Error, "error"),
        (Severity::Warning, "warning"),
        (Severity::Advice, "piece of advice"),
    ];
    let words: Vec<_> = found
        .into_iter()
        .filter_map(|(severity, word)| match (count(severity), severity) {
            (0, _) => None,
            (many, Severity::Advice) if many > 1 => Some(format!("{many} pieces of advice")),
            (many, _) => Some(counted(many, word)),
        })
        .collect();
    match words.is_empty() {
        true => {
            (format!("nothing is wrong: {}", counted(count(Severity::Ok), "finding")), Style::Good)
        }
        false => (words.join(", "), style(report.worst)),
    }
}
