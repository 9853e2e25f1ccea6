//! Reports as files.

use crate::failure::{Context, Outcome};
use crate::markdown;
use crate::plot;
use crate::report::Report;
use serde::Serialize;
use std::fs;
use std::path::Path;

/// The folder of the plots, beside the report.
const PLOTS: &str = "plots";

/// Writes text to a file.
///
/// # Errors
/// It cannot be written.
pub fn write(file: &Path, text: &str) -> Outcome<()> {
    fs::write(file, text).context(|| format!("cannot write {}", file.display()))
}

/// Writes all figures of all rounds to a file.
///
/// # Errors
/// As [`write()`].
pub fn json(file: &Path, report: &impl Serialize) -> Outcome<()> {
    write(file, &serde_json::to_string_pretty(report).context(|| "report".into())?)
}

/// Writes report, figures and plots to a folder, which is made if need be.
///
/// # Errors
/// As [`write()`].
pub fn folder(folder: &Path, report: &Report) -> Outcome<()> {
    let plots = folder.join(PLOTS);
    fs::create_dir_all(&plots).context(|| format!("cannot make {}", plots.display()))?;
    write(&folder.join("report.md"), &markdown::report(report, Some(PLOTS)))?;
    json(&folder.join("report.json"), report)?;
    let draw = |name: &str, svg: Option<String>| {
        svg.map_or(Ok(()), |svg| write(&plots.join(plot::file_name(name)), &svg))
    };
    for table in &report.tables {
        draw(&table.name, plot::of_table(table))?;
        draw(&plot::latency_name(&table.name), plot::of_open_loop(table))?;
    }
    for table in &report.idle {
        draw(&table.name, plot::of_idle(table))?;
    }
    Ok(())
}
