//! The figures of a run as a part of a page that is written by hand otherwise (`docs/performance.md`): in
//! short, what we lose at, and every table. All of it is computed, so that no figure outlives its run.

use crate::failure::{Context, Failure, Outcome};
use crate::idle::{IdleRow, IdleTable};
use crate::markdown::{LEGEND, facts, load, rest, scale, spread, words};
use crate::report::{Report, Row, Table};
use crate::setup::{DIRECT, OURS};
use crate::statistics::Spread;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

/// What stands between these is replaced.
const BEGIN: &str =
    "<!-- figures: written by `cargo xtask bench --page`; what is changed here by hand is lost -->";
const END: &str = "<!-- end of figures -->";

/// How to read what is in short.
const IN_SHORT: &str = "\
*Ours* and *the best peer* are processor time for each unit, medians of the rounds; the best peer is the \
one that takes least, by the tuning that suits it best. *Ours / best* is taken round by round: the median, \
in brackets the smallest and the largest. *p99* is latency in an open loop at 70 % of the rate that the \
slowest candidate reached, the same for all; beside ours stands the least of any peer's.";

/// Reads the figures of runs. Where several have a load, the last of them counts.
///
/// # Errors
/// A file cannot be read, or is no report.
pub fn read(files: &[PathBuf]) -> Outcome<Report> {
    let mut all: Option<Report> = None;
    for file in files {
        let shown = || format!("{}: not the figures of a run", file.display());
        let text = fs::read_to_string(file).context(|| file.display().to_string())?;
        let found: Report = serde_json::from_str(&text).context(shown)?;
        all = Some(match all {
            None => found,
            Some(before) => merged(before, found),
        });
    }
    all.ok_or_else(|| Failure::new("no files of figures are named"))
}

fn merged(mut all: Report, later: Report) -> Report {
    for (name, value) in later.facts {
        match all.facts.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) if known.split("; ").any(|part| part == value) => {}
            Some((_, known)) => *known += &format!("; {value}"),
            None => all.facts.push((name, value)),
        }
    }
    for table in later.tables {
        match all.tables.iter_mut().find(|known| known.name == table.name) {
            Some(known) => *known = table,
            None => all.tables.push(table),
        }
    }
    for table in later.idle {
        match all.idle.iter_mut().find(|known| known.name == table.name) {
            Some(known) => *known = table,
            None => all.idle.push(table),
        }
    }
    all
}

/// Puts the figures of a run between the marks of a page.
///
/// # Errors
/// The page cannot be read or written, or has no marks.
pub fn put(page: &Path, report: &Report) -> Outcome<()> {
    let text = fs::read_to_string(page).context(|| page.display().to_string())?;
    let replaced = replaced(&text, &part(report));
    let text = replaced.ok_or_else(|| {
        Failure::new(format!("{}: no lines `{BEGIN}` and `{END}`", page.display()))
    })?;
    crate::publish::write(page, &text)
}

fn replaced(page: &str, part: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", part.trim()))
}

/// All that stands between the marks.
#[must_use]
pub fn part(report: &Report) -> String {
    let compared: Vec<_> = report.tables.iter().flat_map(Beside::all).collect();
    let mut text = facts(&report.facts);
    if !compared.is_empty() {
        let less = compared.iter().filter(|beside| beside.ratio.median < 1.0).count();
        let all = compared.len();
        let _ = writeln!(
            text,
            "Under {less} of {all} loads ours takes less processor time than any peer.\n\n{IN_SHORT}\n\n\
             | load | form | ours | the best peer | | ours / best | p99 ours, µs | the least p99, µs |\n\
             |---|---|---|---|---|---|---|---|"
        );
        text.extend(compared.iter().map(Beside::line));
        text.push('\n');
    }
    text += &at_rest(&report.idle);
    text += &more_of_it(&report.tables);
    text += &reloads(&report.tables);
    text += &losses(&compared, report);
    text += &doubts(&report.tables);
    text += &every_figure(report);
    let lines = text.lines().map(str::trim_end);
    lines.fold(String::with_capacity(text.len()), |all, line| all + line + "\n")
}

/// Ours under one load beside the peer that takes least.
struct Beside<'a> {
    table: &'a Table,
    ours: &'a Row,
    peer: &'a Row,
    ratio: Spread,
    /// Ours and the least of a peer's, in an open loop.
    p99: Option<(Spread, Spread, &'a str)>,
}

/// Whether it is somebody else's: cases of our own logs have ours without them beside it.
fn is_peer(setup: &str) -> bool {
    setup != DIRECT && !setup.starts_with(OURS)
}

fn median(value: Option<Spread>) -> f64 {
    value.map_or(f64::INFINITY, |value| value.median)
}

impl<'a> Beside<'a> {
    /// One for each step of a table.
    fn all(table: &'a Table) -> Vec<Self> {
        let ours = table.rows.iter().filter(|row| row.counts && row.candidate == OURS);
        ours.filter_map(|ours| Self::of(table, ours)).collect()
    }

    fn of(table: &'a Table, ours: &'a Row) -> Option<Self> {
        let comparisons = table.comparisons.iter().filter(|found| found.step == ours.step);
        // The peer that takes least has the highest ratio, but for what the rounds differ by.
        let rows = comparisons.filter(|found| is_peer(&found.peer)).filter_map(|found| {
            let peer = table.rows.iter().find(|row| row.setup == found.peer)?;
            Some((peer, found.cpu))
        });
        let (peer, ratio) = rows.max_by(|(_, a), (_, b)| a.median.total_cmp(&b.median))?;
        let p99 = |row: &Row| row.paced.as_ref().and_then(|paced| paced.p99);
        let peers = table.rows.iter().filter(|row| row.step == ours.step && is_peer(&row.setup));
        let least = peers.filter_map(|row| Some((p99(row)?, row.setup.as_str())));
        let least = least.min_by(|(a, _), (b, _)| a.median.total_cmp(&b.median));
        let p99 = p99(ours).zip(least).map(|(ours, (theirs, who))| (ours, theirs, who));
        Some(Self { table, ours, peer, ratio, p99 })
    }

    /// The load, with the step.
    fn name(&self) -> String {
        let step = self.ours.step.map_or_else(String::new, |step| format!(" @{step}"));
        format!("`{}`{step}", self.table.name)
    }

    fn line(&self) -> String {
        let (by, digits) = scale(self.table.unit);
        let unit = words(self.table.unit).0;
        let cost = |row: &Row| format!("{:.digits$}", median(row.cpu) * by);
        let tail = |value: Spread, who: &str| format!("{}{who}", spread(value, 1.0, 0));
        let (ours, theirs) = self.p99.map_or_else(
            || ("–".to_owned(), "–".to_owned()),
            |(ours, theirs, who)| (tail(ours, ""), tail(theirs, &format!(" {}", plain(who)))),
        );
        format!(
            "| {} | {} | {} {unit} | {} | {} | **{}** | {ours} | {theirs} |\n",
            self.name(),
            self.table.form.name(),
            cost(self.ours),
            plain(&self.peer.setup),
            cost(self.peer),
            spread(self.ratio, 1.0, 2),
        )
    }
}

/// A setup without its step.
fn plain(setup: &str) -> &str {
    setup.split('@').next().unwrap_or_default()
}

/// KiB for each idle session, ours and the least of a peer's.
fn idle_sizes(table: &IdleTable) -> Option<(f64, f64, &str)> {
    let each = |row: &IdleRow| row.found.as_ref().map(|found| found.per_session);
    let ours = table.rows.iter().find(|row| row.setup == OURS).and_then(each)?;
    let peers = table.rows.iter().filter(|row| is_peer(&row.setup));
    let sizes = peers.filter_map(|row| Some((each(row)?, row.setup.as_str())));
    let (least, who) = sizes.min_by(|(a, _), (b, _)| a.total_cmp(b))?;
    Some((ours, least, who))
}

fn at_rest(tables: &[IdleTable]) -> String {
    if tables.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "| at rest after traffic | sessions | ours, KiB each | the least of a peer's, KiB each |\n\
         |---|---|---|---|\n",
    );
    for table in tables {
        let (ours, least) = idle_sizes(table).map_or_else(
            || ("–".to_owned(), "–".to_owned()),
            |(ours, least, who)| (format!("{ours:.2}"), format!("{least:.2} {who}")),
        );
        let _ = writeln!(text, "| `{}` | {} | {ours} | {least} |", table.name, table.sessions);
    }
    text + "\n"
}

/// What the same costs with more endpoints, routes or workers.
fn more_of_it(tables: &[Table]) -> String {
    let mut lines = String::new();
    for table in tables.iter().filter(|table| table.steps_of.is_some()) {
        let first = table.rows.iter().filter_map(|row| row.step).min();
        let more = table.rows.iter().filter(|row| row.counts && row.step.is_some());
        for row in more.filter(|row| row.step != first) {
            let Some(ratio) = row.to_first_step else { continue };
            let (from, to) = (first.unwrap_or_default(), row.step.unwrap_or_default());
            let (name, setup) = (&table.name, plain(&row.setup));
            let _ = writeln!(
                lines,
                "| `{name}` | {from} to {to} | {setup} | {} |",
                spread(ratio, 1.0, 2)
            );
        }
    }
    if lines.is_empty() {
        return lines;
    }
    format!(
        "What the same costs with more of it, as a multiple of its processor time with the fewest:\n\n\
         | load | from, to | | × the fewest |\n|---|---|---|---|\n{lines}\n"
    )
}

/// What reloads have broken.
fn reloads(tables: &[Table]) -> String {
    let mut text = String::new();
    for table in tables.iter().filter(|table| table.breaks) {
        let counting = table.rows.iter().filter(|row| row.counts && row.candidate != DIRECT);
        let broken: Vec<_> = counting.map(|row| format!("{} {}", row.setup, row.errors)).collect();
        let _ = write!(
            text,
            "Connections of clients that reloads broke (`{}`): {}.\n\n",
            table.name,
            broken.join(", ")
        );
    }
    text
}

/// Every figure in which ours is above the best peer, and whatever of ours failed.
fn losses(compared: &[Beside<'_>], report: &Report) -> String {
    let dearer = compared.iter().filter(|beside| beside.ratio.median > 1.0).map(|beside| {
        let unit = words(beside.table.unit).0.rsplit('/').next().unwrap_or_default();
        let (name, who) = (beside.name(), plain(&beside.peer.setup));
        format!("{name}: {} × {who} for a {unit}", spread(beside.ratio, 1.0, 3))
    });
    let slower = compared.iter().filter_map(|beside| {
        let (ours, theirs, who) = beside.p99?;
        (ours.median > theirs.median).then(|| {
            let (ours, theirs) = (spread(ours, 1.0, 0), spread(theirs, 1.0, 0));
            format!("{}: {ours} µs beside {theirs} µs of {}", beside.name(), plain(who))
        })
    });
    let larger = report.idle.iter().filter_map(|table| {
        let (ours, least, who) = idle_sizes(table)?;
        let name = &table.name;
        (ours > least).then(|| format!("`{name}`: {ours:.2} KiB beside {least:.2} KiB of {who}"))
    });
    let kinds: [(&str, Vec<String>); 4] = [
        ("More processor time than the best peer", dearer.collect()),
        ("A longer p99 in the open loop than the best peer's", slower.collect()),
        ("More memory for each session at rest", larger.collect()),
        ("Broken connections or rounds of ours", broken(report)),
    ];
    let mut text = String::from("## What we lose at\n\n");
    for (kind, lines) in kinds.iter().filter(|(_, lines)| !lines.is_empty()) {
        let lines: String = lines.iter().map(|line| format!("- {line}\n")).collect();
        let _ = write!(text, "{kind}:\n\n{lines}\n");
    }
    if kinds.iter().all(|(_, lines)| lines.is_empty()) {
        text += "Nothing, in this run.\n\n";
    }
    text
}

/// What of ours broke or did not run.
fn broken(report: &Report) -> Vec<String> {
    let mut lines = Vec::new();
    for table in &report.tables {
        for row in table.rows.iter().filter(|row| row.candidate == OURS) {
            let paced = row.paced.as_ref();
            let errors = row.errors + paced.map_or(0, |paced| paced.errors);
            let failed = row.failures.len() + paced.map_or(0, |paced| paced.failures.len());
            if errors > 0 || failed > 0 {
                let (name, setup) = (&table.name, &row.setup);
                lines.push(format!("`{name}`: {setup}: {errors} connections, {failed} rounds"));
            }
        }
    }
    for table in &report.idle {
        let ours = table.rows.iter().filter(|row| row.setup == OURS);
        let bad = ours.filter(|row| row.found.as_ref().is_none_or(|found| found.errors > 0));
        lines.extend(bad.map(|_| format!("`{}`: not all sessions came to rest", table.name)));
    }
    lines
}

/// Loads with a warning of the kind that concerns all of a table.
fn doubts(tables: &[Table]) -> String {
    let with = |word: &str| {
        let has = |table: &&Table| table.warnings.iter().any(|warning| warning.starts_with(word));
        let names = tables.iter().filter(has).map(|table| format!("`{}`", table.name));
        names.collect::<Vec<_>>().join(", ")
    };
    let kinds = [
        ("DISTURBED", "Other processes, or other machines of the host, worked meanwhile under"),
        ("GENERATOR LIMIT", "The generator held somebody back (rates are \"at least\") under"),
        ("FAILED", "Rounds of somebody failed under"),
    ];
    let lines = kinds.map(|(word, about)| (about, with(word)));
    let lines: String = lines
        .iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(about, names)| format!("- {about} {names}.\n"))
        .collect();
    if lines.is_empty() { lines } else { format!("## Doubts\n\n{lines}\n") }
}

/// All tables, folded.
fn every_figure(report: &Report) -> String {
    let mut text = format!("## Every figure\n\n{LEGEND}\n\n");
    let mut fold = |name: &str, table: &str| {
        let table = table.trim_end();
        let _ = write!(text, "<details><summary>{name}</summary>\n\n{table}\n\n</details>\n\n");
    };
    report.tables.iter().for_each(|table| fold(&table.name, &load(table, None)));
    report.idle.iter().for_each(|table| fold(&table.name, &rest(table, None)));
    text
}

#[cfg(test)]
#[path = "page_tests.rs"]
mod tests;
