//! haproxy.cfg to Eclusa's configuration, with a report of every line.
//!
//! The way of a line: [`lexer`] cuts it into words, `preprocess` tells whether it counts, [`sections`]
//! puts it in its place with its comments, `model` knows what sections inherit and which word is the
//! last, `translate` writes the configuration. What each line becomes is written down on the way, and is
//! the [`report`]. Nothing here reads files, clocks or networks: who calls brings the texts ([`File`])
//! and answers for the host ([`Host`]). The command is in [`command`].

pub mod command;
pub mod keepalived;
pub mod lexer;
mod model;
pub mod outline;
mod preprocess;
pub mod report;
pub mod sections;
pub mod table;
mod toml;
mod translate;
mod values;
mod when;

pub use report::{Kind, Report, Told};
pub use sections::File;

use eclusa_config::Mode;
use eclusa_config::plan::Program;
use report::Ledger;
use std::collections::BTreeMap;

/// So many lines that are not carried over are named in the configuration itself.
const LEFT_OUT_SHOWN: usize = 100;

/// The host that haproxy.cfg is from.
pub trait Host {
    /// The text of a file that it names; `None`: it cannot be read here.
    fn read(&self, path: &str) -> Option<String>;
}

/// A host of which nothing is known.
#[derive(Clone, Copy, Debug, Default)]
pub struct Elsewhere;

impl Host for Elsewhere {
    fn read(&self, _path: &str) -> Option<String> {
        None
    }
}

/// What else is known.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The variables of HAProxy's service.
    pub environment: BTreeMap<String, String>,
    /// Something will ask `/vip`: the configuration shall answer it.
    pub vip: bool,
}

/// What came of an import.
#[derive(Clone, Debug)]
pub struct Imported {
    /// The configuration.
    pub toml: String,
    /// What became of each line.
    pub report: Report,
    /// What the program's own check says against the configuration; `None`: nothing.
    pub mistakes: Option<String>,
    /// The ports that clients come in by.
    pub ports: Vec<u16>,
}

/// Translates files, read in this order, for one of the programs.
#[must_use]
pub fn import(program: Program, files: &[File], options: &Options, host: &dyn Host) -> Imported {
    let mut ledger = Ledger::default();
    let sources = sections::read(files, &options.environment, &mut ledger);
    let config = model::read(&sources, &mut ledger);
    let masters = program == Program::Apiserver;
    let vip = options.vip;
    let work = translate::Work { config: &config, sources: &sources, host, masters, vip };
    let toml = match program {
        Program::Apiserver => translate::apiserver(work, &mut ledger),
        Program::Edge => translate::edge(work, &mut ledger),
    };
    let names = files.iter().map(|file| file.name.clone()).collect();
    let report = ledger.report(program.name(), names, sources.lines);
    let toml = head(&report) + &toml;
    let ports = config.ports();
    // The check of a large file takes as much memory again.
    drop(config);
    let checked = eclusa_config::parse(program, "the import", &toml, Mode::Offline);
    let mistakes = checked.err().map(|mistakes| mistakes.to_string());
    Imported { toml, report, mistakes, ports }
}

/// What the configuration begins with. It says what is not in it: the report may be far when it is read.
fn head(report: &Report) -> String {
    let mut text = String::from(
        "# Imported from haproxy.cfg. What it does not say is left to the defaults (docs/configuration.md).\n",
    );
    let left_out: Vec<_> = report.lines.iter().filter(|it| it.kind == Kind::Unsupported).collect();
    if !left_out.is_empty() {
        text += "#\n# NOT carried over; what each did, what happens now and what to do is in the report:\n";
    }
    for told in left_out.iter().take(LEFT_OUT_SHOWN) {
        let file = report.files.get(told.file).map_or("haproxy.cfg", String::as_str);
        let line = format!("#   {file}:{}: {}", told.number, without_secrets(&told.text));
        text.extend(line.chars().map(|char| if char.is_control() { ' ' } else { char }));
        text.push('\n');
    }
    if let Some(more @ 1..) = left_out.len().checked_sub(LEFT_OUT_SHOWN) {
        text += &format!("#   and {more} more lines\n");
    }
    text.push('\n');
    text
}

/// A line that may be read by whoever may read the configuration.
fn without_secrets(line: &str) -> String {
    if !["password", "auth"].iter().any(|secret| line.contains(secret)) {
        return line.to_owned();
    }
    let begin: Vec<_> = line.split_whitespace().take(2).collect();
    begin.join(" ") + " ..."
}
