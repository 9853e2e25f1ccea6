//! Reports as Markdown.

use crate::case::{Of, Unit};
use crate::idle::{IdleRow, IdleTable};
use crate::machine::Fact;
use crate::report::{Limit, Report, Row, Table};
use crate::statistics::Spread;
use std::fmt::Write;

/// What the columns mean; printed once, above the tables.
pub(crate) const LEGEND: &str = "\
Each figure is the median of the rounds, in brackets the smallest and the largest. *CPU* is the \
processor time of the candidate with all its threads and processes per unit, *machine* that of \
the whole machine, *× best* the CPU as a multiple of the best peer's, round by round. A star marks \
the setup that counts where a candidate has several. *Memory* is resident after traffic with the \
connections open, *sockets* what the kernel charges to the candidate's sockets during and after \
traffic. *Limit* says what held the rate back: the candidate's core, the core that generator and \
endpoint share (then rate and latency say little about the candidate), or latency. `direct` is the \
null test: the generator asks the endpoint, with nobody between.

Latencies of the first table are those of closed loops: who is slow is asked less, and its worst \
moments least. Those of the second, *open loop*, are of operations that begin at times of their own, \
at 70 % of the rate that the slowest candidate had in the closed loop, the same for all; they run from \
when an operation was due (no coordinated omission).";

/// How to read cases of idle sessions.
const IDLE: &str = "\
*Per session* is the candidate's resident memory with all sessions idle less that before the first, \
divided by the sessions; *peak* the same for the most that it ever had. Socket memory is the kernel's: \
*buffers* what it charges to the candidate's sockets, and to all TCP sockets of the machine; *slab* what \
its small objects grew by per session, for all four sockets of it, generator and endpoint included.";

/// The whole report; `plots` is the folder of the plots beside it, if there are any.
#[must_use]
pub fn report(report: &Report, plots: Option<&str>) -> String {
    let mut text = facts(&report.facts);
    if !report.tables.is_empty() {
        let _ = writeln!(text, "{LEGEND}\n");
    }
    for table in &report.tables {
        text.push_str(&case(table, plots));
    }
    for table in &report.idle {
        text.push_str(&idle(table, plots));
    }
    text
}

/// A run of `bench idle`.
#[must_use]
pub fn idle_report(about: &[Fact], table: &IdleTable) -> String {
    facts(about) + &idle(table, None)
}

fn plot(name: &str, plots: Option<&str>) -> String {
    let file = crate::plot::file_name(name);
    plots.map_or_else(String::new, |folder| format!("![{name}]({folder}/{file})\n\n"))
}

pub(crate) fn facts(facts: &[Fact]) -> String {
    let mut text = String::from("| | |\n|---|---|\n");
    for (name, value) in facts {
        let _ = writeln!(text, "| {name} | {} |", value.replace('|', "\\|"));
    }
    text.push('\n');
    text
}

fn case(table: &Table, plots: Option<&str>) -> String {
    format!("## {}\n\n{}", table.name, load(table, plots))
}

/// All that was found under a load, without a heading.
pub(crate) fn load(table: &Table, plots: Option<&str>) -> String {
    let form = table.form.name();
    let mut text = format!("{} Form: {form}.", table.description);
    if let Some(reloads) = Spread::of(reloads(table)).filter(|_| table.breaks) {
        let _ = write!(text, " Reloads of each candidate in a round: {:.0}.", reloads.median);
    }
    text.push_str("\n\n");
    let (cpu, rate) = words(table.unit);
    let first = match table.steps_of {
        None => "",
        Some(Of::Workers) => " × one worker |",
        Some(Of::Endpoints) => " × one endpoint |",
        Some(Of::Routes) => " × one route |",
    };
    let _ = writeln!(
        text,
        "| setup | CPU {cpu} | × best |{first} machine {cpu} | {rate} | p50 µs | p99 µs | p99.9 µs | \
         errors | memory KiB | sockets KiB | limit |\n\
         |---|---|---|{}---|---|---|---|---|---|---|---|---|",
        if first.is_empty() { "" } else { "---|" }
    );
    for row in &table.rows {
        text.push_str(&line(row, table));
    }
    text.push('\n');
    text.push_str(&plot(&table.name, plots));
    text.push_str(&open_loop(table, plots));
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

/// What processor time and rates are in.
pub(crate) fn words(unit: Unit) -> (&'static str, &'static str) {
    match unit {
        Unit::Gigabyte => ("s/GB", "GB/s"),
        Unit::RoundTrip => ("µs/round trip", "round trips/s"),
        Unit::Connection => ("µs/connection", "connections/s"),
        Unit::Request => ("µs/request", "requests/s"),
    }
}

/// What seconds for a unit are multiplied by to be in that, and how many digits are shown.
pub(crate) fn scale(unit: Unit) -> (f64, usize) {
    match unit {
        Unit::Gigabyte => (1.0, 3),
        Unit::RoundTrip | Unit::Connection | Unit::Request => (1e6, 1),
    }
}

/// How often candidates were reloaded.
#[allow(clippy::cast_precision_loss)]
fn reloads(table: &Table) -> impl Iterator<Item = f64> {
    let rows = table.rows.iter().filter(|row| row.cpu.is_some());
    rows.flat_map(|row| row.samples.iter().flatten()).map(|sample| sample.reloads as f64)
}

/// What setups did at a rate that all keep.
fn open_loop(table: &Table, plots: Option<&str>) -> String {
    let paced = || table.rows.iter().filter_map(|row| Some((row, row.paced.as_ref()?)));
    let Some((_, first)) = paced().next() else { return String::new() };
    let mut text = format!(
        "| open loop, {:.0}/s | done/s | p50 µs | p99 µs | p99.9 µs | errors |\n\
         |---|---|---|---|---|---|\n",
        first.rate
    );
    for (row, paced) in paced() {
        let cells = [
            row.setup.clone(),
            short(paced.done, 0),
            cell(paced.p50, 1.0, 0),
            cell(paced.p99, 1.0, 0),
            cell(paced.p999, 1.0, 0),
            errors(paced.errors),
        ];
        let _ = writeln!(text, "| {} |", cells.join(" | "));
    }
    text + "\n" + &plot(&crate::plot::latency_name(&table.name), plots)
}

fn cell(value: Option<Spread>, scale: f64, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| spread(value, scale, digits))
}

fn short(value: Option<Spread>, digits: usize) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{:.digits$}", value.median))
}

fn errors(errors: u64) -> String {
    if errors > 0 { format!("**{errors}**") } else { "0".to_owned() }
}

fn line(row: &Row, table: &Table) -> String {
    let (scale, digits) = scale(table.unit);
    let rate_digits = if table.unit == Unit::Gigabyte { 2 } else { 0 };
    let is_like = |other: &&Row| other.candidate == row.candidate && other.step == row.step;
    let several = table.rows.iter().filter(is_like).count() > 1;
    let star = if several && row.counts { " \\*" } else { "" };
    let limit = match row.limit {
        Some(Limit::Generator) => "**generator**",
        _ if row.cpu.is_none() => "–",
        Some(Limit::Candidate) => "candidate",
        Some(Limit::Latency) => "latency",
        None => "–",
    };
    let mut cells = vec![
        format!("{}{star}", row.setup),
        cell(row.cpu, scale, digits),
        short(row.to_best_peer, 2),
    ];
    cells.extend(table.steps_of.map(|_| short(row.to_first_step, 2)));
    cells.extend([
        cell(row.machine, scale, digits),
        cell(row.rate, 1.0, rate_digits),
        short(row.p50, 0),
        short(row.p99, 0),
        short(row.p999, 0),
        errors(row.errors),
        short(row.resident, 0),
        format!("{} / {}", short(row.charged_busy, 0), short(row.charged, 0)),
        limit.to_owned(),
    ]);
    format!("| {} |\n", cells.join(" | "))
}

pub(crate) fn spread(value: Spread, scale: f64, digits: usize) -> String {
    let Spread { median, min, max } = value;
    format!("{:.digits$} ({:.digits$}–{:.digits$})", median * scale, min * scale, max * scale)
}

/// A case of idle sessions.
fn idle(table: &IdleTable, plots: Option<&str>) -> String {
    format!("## {}\n\n{}", table.name, rest(table, plots))
}

/// All that was found of idle sessions, without a heading.
pub(crate) fn rest(table: &IdleTable, plots: Option<&str>) -> String {
    let mut text = format!(
        "{} {} sessions, {} of them active at a time. {IDLE}\n\n\
         | setup | before KiB | idle KiB | peak KiB | **per session KiB** | peak per session KiB | \
         buffers KiB | machine's buffers KiB | slab per session KiB | sockets | errors |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
        table.description, table.sessions, table.at_once
    );
    for row in &table.rows {
        text.push_str(&idle_line(row));
    }
    text.push('\n');
    text.push_str(&plot(&table.name, plots));
    for row in table.rows.iter().filter(|row| row.failure.is_some()) {
        let failure = row.failure.as_deref().unwrap_or_default().replace('\n', "\n> ");
        let _ = write!(text, "> **FAILED: {}: {failure}**\n\n", row.setup);
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
