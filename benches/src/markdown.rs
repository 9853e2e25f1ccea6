//! Reports as Markdown.

use crate::case::Unit;
use crate::idle::{IdleReport, IdleRow};
use crate::machine::Fact;
use crate::report::{Limit, Report, Row, Table};
use crate::statistics::Spread;
use std::fmt::Write;

/// What the columns mean; printed once, above the tables.
const LEGEND: &str = "\
Each figure is the median of the rounds, in brackets the smallest and the largest. *CPU* is the \
processor time of the candidate with all its threads and processes per unit, *machine* that of \
the whole machine, *× best* the CPU as a multiple of the best peer's, round by round. A star marks \
the setup that counts where a candidate has several. *Memory* is resident after traffic with the \
connections open, *sockets* what the kernel charges to the candidate's sockets during and after \
traffic. \
*Limit* says what held the rate back: the candidate's core, the core that generator and endpoint \
share (then rate and latency say little about the candidate), or latency.";

/// The whole report.
#[must_use]
pub fn report(report: &Report) -> String {
    let mut text = facts(&report.facts);
    let _ = writeln!(text, "{LEGEND}\n");
    for table in &report.tables {
        text.push_str(&case(table));
    }
    text
}

fn facts(facts: &[Fact]) -> String {
    let mut text = String::from("| | |\n|---|---|\n");
    for (name, value) in facts {
        let _ = writeln!(text, "| {name} | {} |", value.replace('|', "\\|"));
    }
    text.push('\n');
    text
}

fn case(table: &Table) -> String {
    let mut text = format!("## {}\n\n{}\n\n", table.name, table.description);
    let (cpu, rate) = match table.unit {
        Unit::Gigabyte => ("s/GB", "GB/s"),
        Unit::RoundTrip => ("µs/round trip", "round trips/s"),
        Unit::Connection => ("µs/connection", "connections/s"),
        Unit::Request => ("µs/request", "requests/s"),
    };
    let _ = writeln!(
        text,
        "| setup | CPU {cpu} | × best | machine {cpu} | {rate} | p50 µs | p99 µs | p99.9 µs | \
         errors | memory KiB | sockets KiB | limit |\n\
         |---|---|---|---|---|---|---|---|---|---|---|---|"
    );
    for row in &table.rows {
        text.push_str(&line(row, &table.rows, table.unit));
    }
    text.push('\n');
    for comparison in &table.comparisons {
        let machine = comparison.machine.map(|m| format!(", machine {}", spread(m, 1.0, 2)));
        let _ = writeln!(
            text,
            "- ours / {}: CPU **{}**{}",
            comparison.peer,
            spread(comparison.cpu, 1.0, 2),
            machine.unwrap_or_default()
        );
    }
    if !table.comparisons.is_empty() {
        text.push('\n');
    }
    for warning in &table.warnings {
        let _ = writeln!(text, "> **{}**\n>", warning.replace('\n', "\n> "));
    }
    if !table.warnings.is_empty() {
        text.push('\n');
    }
    text
}

fn line(row: &Row, rows: &[Row], unit: Unit) -> String {
    // Seconds per GB, or microseconds per operation.
    let (scale, digits, rate_digits) = match unit {
        Unit::Gigabyte => (1.0, 3, 2),
        Unit::RoundTrip | Unit::Connection | Unit::Request => (1e6, 1, 0),
    };
    let several = rows.iter().filter(|other| other.candidate == row.candidate).count() > 1;
    let star = if several && row.counts { " \\*" } else { "" };
    let cell = |value: Option<Spread>, scale, digits| {
        value.map_or_else(|| "–".to_owned(), |value| spread(value, scale, digits))
    };
    let short = |value: Option<Spread>, digits: usize| {
        value.map_or_else(|| "–".to_owned(), |value| format!("{:.digits$}", value.median))
    };
    let limit = match row.limit {
        Some(_) if row.cpu.is_none() => "–",
        Some(Limit::Candidate) => "candidate",
        Some(Limit::Generator) => "**generator**",
        Some(Limit::Latency) => "latency",
        None => "–",
    };
    let errors = if row.errors > 0 { format!("**{}**", row.errors) } else { "0".to_owned() };
    let cells = [
        format!("{}{star}", row.setup),
        cell(row.cpu, scale, digits),
        short(row.to_best_peer, 2),
        cell(row.machine, scale, digits),
        cell(row.rate, 1.0, rate_digits),
        short(row.p50, 0),
        short(row.p99, 0),
        short(row.p999, 0),
        errors,
        short(row.resident, 0),
        format!("{} / {}", short(row.charged_busy, 0), short(row.charged, 0)),
        limit.to_owned(),
    ];
    format!("| {} |\n", cells.join(" | "))
}

fn spread(value: Spread, scale: f64, digits: usize) -> String {
    let Spread { median, min, max } = value;
    format!("{:.digits$} ({:.digits$}–{:.digits$})", median * scale, min * scale, max * scale)
}

/// The report of idle sessions.
#[must_use]
pub fn idle(report: &IdleReport) -> String {
    let mut text = facts(&report.facts);
    let _ = writeln!(
        text,
        "## Idle sessions\n\n{} sessions, {} of them active at a time; each has carried {} MiB \
         each way and is now silent. *Per session* is the candidate's resident memory with all \
         sessions idle less that before the first, divided by the sessions; *peak* the same for the \
         most that it ever had. Socket memory is the kernel's: *buffers* what it charges to the candidate's sockets, and to \
         all TCP sockets of the machine; *slab* what its small objects grew by per session, for all \
         four sockets of it, generator and endpoint included.\n\n\
         | setup | before KiB | idle KiB | peak KiB | **per session KiB** | peak per session KiB | \
         buffers KiB | machine's buffers KiB | slab per session KiB | sockets | errors |\n\
         |---|---|---|---|---|---|---|---|---|---|---|",
        report.sessions, report.at_once, report.mebibytes
    );
    for row in &report.rows {
        text.push_str(&idle_line(row));
    }
    for row in report.rows.iter().filter(|row| row.failure.is_some()) {
        let failure = row.failure.as_deref().unwrap_or_default().replace('\n', "\n> ");
        let _ = write!(text, "\n> **FAILED: {}: {failure}**\n", row.setup);
    }
    text
}

fn idle_line(row: &IdleRow) -> String {
    let Some(found) = &row.found else {
        return format!("| {} | – | – | – | – | – | – | – | – | – | – |\n", row.setup);
    };
    let charged = found.charged.map_or_else(|| "–".to_owned(), |charged| charged.to_string());
    format!(
        "| {} | {} | {} | {} | **{:.2}** | {:.2} | {charged} | {} | {:.1} | {} | {} |\n",
        row.setup,
        found.before.resident,
        found.idle.resident,
        found.idle.peak,
        found.per_session,
        found.peak_per_session,
        found.sockets.buffers,
        found.slab_per_session,
        found.sockets.in_use,
        found.errors
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_scaled_and_rounded() {
        let value = Spread { median: 64.26e-6, min: 60e-6, max: 70e-6 };
        assert_eq!(spread(value, 1e6, 1), "64.3 (60.0–70.0)");
    }

    #[test]
    fn facts_keep_their_columns() {
        let text = facts(&[("a".into(), "b|c".into())]);
        assert!(text.contains("| a | b\\|c |"));
    }
}
