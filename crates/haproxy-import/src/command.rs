//! `import FILE...`: reads files, writes the configuration and the report.

use crate::keepalived;
use crate::sections::File;
use crate::{Host, Imported, Options, import};
use clap::{Args, ValueEnum};
use eclusa_config::plan::Program;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The longest file that is read, in bytes.
const FILE_MAX: u64 = 64 << 20;

/// The most files of a directory.
const FILES_MAX: usize = 10_000;

/// What stands below the options of the command.
pub const AFTER_HELP: &str = "\
Each line of the report is one of
  same         carried over: it means what it meant
  default      nothing had to be written: it is so by itself
  improved     carried over, and not quite what it was: the note says what and why
  ignored      left out: it means nothing here, or did nothing in HAProxy either; the note says which
  unsupported  not carried over: the note says what it did, what happens now, what to do

Exit codes:
  0  complete: no line is unsupported
  1  some lines are unsupported, or the configuration needs work before `check` takes it
  2  a file cannot be read or written";

/// `import FILE... [-o OUT] [--report FORM] [--keepalived FILE]`
#[derive(Args, Debug)]
pub struct Import {
    /// haproxy.cfg: files, or directories of *.cfg, in the order in which HAProxy is given them
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Write the configuration to this file, which must not be there yet; without it to standard output
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// How the report on standard error looks
    #[arg(long, value_enum, default_value_t = Form::Human, value_name = "FORM")]
    report: Form,
    /// keepalived.conf: find checks that name HAProxy or go through it, and write what takes their place
    #[arg(long, value_name = "FILE")]
    keepalived: Option<PathBuf>,
}

/// The form of the report.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Form {
    /// Line by line, for people
    Human,
    /// One object, for programs
    Json,
    /// haproxy.cfg itself, each line with a mark: = same, d default, + improved, - ignored, ! unsupported
    Source,
}

impl Import {
    /// The texts of its files, in order.
    ///
    /// # Errors
    /// One cannot be read; which, and why.
    pub fn files(&self) -> Result<Vec<File>, String> {
        files(&self.files)
    }

    /// Whether its report is for programs.
    #[must_use]
    pub fn wants_json(&self) -> bool {
        matches!(self.report, Form::Json)
    }
}

/// What is known beside the files: the variables of this process.
#[must_use]
pub fn options() -> Options {
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    Options { environment, vip: false }
}

/// The host that the command runs on.
#[derive(Clone, Copy, Debug)]
pub struct Here;

impl Host for Here {
    fn read(&self, path: &str) -> Option<String> {
        // Nothing but regular files: a pipe would hold the command up.
        let path = Path::new(path);
        path.is_file().then(|| read(path).ok()).flatten()
    }
}

/// Imports, and ends with 0 where every line was carried over or left out with a reason.
#[must_use]
pub fn run(program: Program, wanted: &Import) -> ExitCode {
    match imported(program, wanted) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("{}: {why}", program.name());
            ExitCode::from(2)
        }
    }
}

/// Whether it is complete.
fn imported(program: Program, wanted: &Import) -> Result<bool, String> {
    let files = wanted.files()?;
    let keepalived = match &wanted.keepalived {
        Some(path) => Some((path, read(path).map_err(|error| unreadable(path, &error))?)),
        None => None,
    };
    let options = Options { vip: keepalived.is_some(), ..self::options() };
    let imported = import(program, &files, &options, &Here);
    match &wanted.output {
        Some(path) => write(path, &imported.toml)?,
        None => {
            // A reader that has gone away is no failure.
            let _ = io::stdout().write_all(imported.toml.as_bytes());
        }
    }
    let found = keepalived.map(|(path, text)| {
        keepalived::look(program, &path.display().to_string(), &text, &imported.ports, &Here)
    });
    report(&imported, &files, wanted.report, found.as_ref());
    Ok(imported.report.is_complete() && imported.mistakes.is_none())
}

fn report(
    imported: &Imported,
    files: &[File],
    form: Form,
    keepalived: Option<&keepalived::Looked>,
) {
    let texts: Vec<&str> = files.iter().map(|file| file.text.as_str()).collect();
    let mut text = match form {
        Form::Human => imported.report.human(),
        Form::Source => imported.report.source(&texts),
        Form::Json => {
            let mut whole = imported.report.json_value();
            whole["mistakes"] = imported.mistakes.clone().into();
            if let Some(looked) = keepalived {
                whole["keepalived"] = looked.json();
            }
            format!("{whole:#}\n")
        }
    };
    if !matches!(form, Form::Json) {
        if let Some(mistakes) = &imported.mistakes {
            text.push_str("the configuration is not right yet; its check says:\n");
            text.push_str(mistakes);
        }
        if let Some(looked) = keepalived {
            text.push_str(&looked.human());
        }
    }
    let _ = io::stderr().write_all(text.as_bytes());
}

/// The texts of files, and of all that end in `.cfg` in directories, in order of their names.
fn files(paths: &[PathBuf]) -> Result<Vec<File>, String> {
    let mut files = Vec::new();
    for path in paths {
        let mut all = vec![path.clone()];
        if path.is_dir() {
            all = in_directory(path).map_err(|error| unreadable(path, &error))?;
            if all.is_empty() {
                return Err(format!("{}: no file in it ends in `.cfg`", path.display()));
            }
        }
        for path in all {
            let text = read(&path).map_err(|error| unreadable(&path, &error))?;
            files.push(File { name: path.display().to_string(), text });
        }
    }
    Ok(files)
}

fn in_directory(path: &Path) -> io::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for entry in fs::read_dir(path)?.take(FILES_MAX) {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.ends_with(".cfg") && !name.starts_with('.') && entry.path().is_file() {
            all.push(entry.path());
        }
    }
    all.sort();
    Ok(all)
}

/// Bytes that are no UTF-8 are replaced: comments may have them.
fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(FILE_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > FILE_MAX {
        let message = format!("more than {} MiB", FILE_MAX >> 20);
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn unreadable(path: &Path, error: &io::Error) -> String {
    format!("{}: cannot be read: {error}", path.display())
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    let file = fs::File::create_new(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => {
            format!(
                "{}: is there already, and is not overwritten: name another file, or remove it",
                path.display()
            )
        }
        _ => format!("{}: cannot be written: {error}", path.display()),
    })
}
