//! Documents, the reader that collects all mistakes, check, plan.
//!
//! A file becomes a document with positions ([`document`]), the document a [`plan::Plan`]: `check`
//! reads section after section through one table of keys ([`reference`]), writes down every mistake
//! and goes on. Either there is a plan, perhaps with warnings, or there are [`Diagnostics`].

mod check;
pub mod diagnostic;
pub mod diff;
pub mod document;
pub mod explain;
pub mod list;
mod nearest;
mod pattern;
pub mod plan;
mod reader;
pub mod redact;
pub mod reference;
mod values;
mod web;

pub use diagnostic::{Diagnostic, Diagnostics, Severity};
pub use document::CommandOption;
pub use nearest::nearest;

use document::{Document, Source};
use plan::{Plan, Program};
use std::fs::File;
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

/// The longest file that is read, in bytes.
pub const FILE_MAX: usize = 16 << 20;

/// How much of the host a check looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Nothing: the text alone, as on another machine.
    Offline,
    /// The same of a text that was checked before: what it expects (`[[expect]]`) is not verified.
    Known,
    /// Files, directories and addresses of this host, but nothing that takes time: what a start
    /// must know. An expectation that is broken is a warning: it must not keep a host from serving.
    Start,
    /// As `Start`, and what is expected must hold.
    Reload,
    /// As `Start`, and names are resolved (within 2 s): what `check` shows.
    Host,
}

impl Mode {
    /// Whether nothing of this host is looked at.
    pub(crate) fn is_offline(self) -> bool {
        matches!(self, Self::Offline | Self::Known)
    }
}

/// A plan, and what is odd about the document it came from.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// What the program will do.
    pub plan: Plan,
    /// Warnings; no errors.
    pub warnings: Diagnostics,
    /// [`digest`] of the text that it came from.
    pub digest: u64,
}

/// Tells texts of a configuration from each other, within one version of the program. Nobody who could
/// choose the text gains anything by two with the same.
#[must_use]
pub fn digest(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(text.as_bytes());
    hasher.finish()
}

/// How the files that a document names (certificates, keys, tokens) are opened.
pub type Opener = fn(&Path) -> io::Result<File>;

/// Reads and checks a file.
///
/// # Errors
/// Everything that is wrong with the file, at once.
pub fn load(program: Program, path: &Path, mode: Mode) -> Result<Loaded, Diagnostics> {
    load_with(program, path, mode, |path| File::open(path))
}

/// Reads and checks a file. The files that it names are opened by `open`: a process that may not
/// read them itself asks one that may.
///
/// # Errors
/// Everything that is wrong with the file, at once.
pub fn load_with(
    program: Program,
    path: &Path,
    mode: Mode,
    open: Opener,
) -> Result<Loaded, Diagnostics> {
    let text = text_of(program, path)?;
    parse_with(program, &path.display().to_string(), &text, mode, open)
}

/// The text of a file, at most one byte more than [`FILE_MAX`].
///
/// # Errors
/// It cannot be read, or is no text.
pub fn text_of(program: Program, path: &Path) -> Result<String, Diagnostics> {
    let name = path.display().to_string();
    let bytes = match File::open(path).and_then(read) {
        Ok(bytes) => bytes,
        Err(error) => return Err(unreadable(program, &name, &error)),
    };
    String::from_utf8(bytes).map_err(|error| not_utf8(&name, &error))
}

/// A duration as the configuration writes it: `500ms`, `30s`, `5m`, `1h`, `2d`.
///
/// # Errors
/// It is none: what is wrong, and what to write.
pub fn duration(text: &str) -> Result<std::time::Duration, String> {
    values::duration(text).map_err(|mistake| format!("{}: {}", mistake.message, mistake.remedy))
}

/// What a file says of the admin socket (`None`: there is none) and of the run directory, whatever
/// else is wrong with it: a client must find the program that runs although the file is broken.
///
/// # Errors
/// The file cannot be read, or is no text.
pub fn admin_of(
    program: Program,
    path: &Path,
) -> io::Result<(Option<plan::Admin>, Option<std::path::PathBuf>)> {
    let text = String::from_utf8(read(File::open(path)?)?)
        .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
    let name = path.display().to_string();
    let (document, diagnostics) = Document::parse(Arc::new(Source::new(&name, &text)));
    Ok(check::admin(program, &document, diagnostics))
}

/// Checks a text; `file_name` is what diagnostics call it.
///
/// # Errors
/// Everything that is wrong with the text, at once.
pub fn parse(
    program: Program,
    file_name: &str,
    text: &str,
    mode: Mode,
) -> Result<Loaded, Diagnostics> {
    parse_with(program, file_name, text, mode, |path| File::open(path))
}

/// Checks a text as [`parse`] does; the files that it names are opened by `open`.
///
/// # Errors
/// Everything that is wrong with the text, at once.
pub fn parse_with(
    program: Program,
    file_name: &str,
    text: &str,
    mode: Mode,
    open: Opener,
) -> Result<Loaded, Diagnostics> {
    if text.len() > FILE_MAX {
        let remedy = "keep it below, for example by conditions that several routes share";
        return Err(whole_file(
            file_name,
            &format!("{} bytes are too many", text.len()),
            &format!("a file of at most {} MiB", FILE_MAX >> 20),
            remedy,
        ));
    }
    let (document, diagnostics) = Document::parse(Arc::new(Source::new(file_name, text)));
    let loaded = check::run(program, &document, (mode, open), diagnostics)?;
    Ok(Loaded { digest: digest(text), ..loaded })
}

/// Checks what options of a command line say, by the same rules as a file. `command` is the part
/// of the command line before the options, for diagnostics.
///
/// # Errors
/// Everything that is wrong with the options, at once.
pub fn options(
    program: Program,
    command: &str,
    options: &[CommandOption],
    mode: Mode,
) -> Result<Loaded, Diagnostics> {
    let document = Document::of_options(command, options);
    let diagnostics = Diagnostics::new(document.source.clone());
    check::run(program, &document, (mode, |path| File::open(path)), diagnostics)
}

/// At most one byte more than a file may have.
fn read(file: File) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(FILE_MAX as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn unreadable(program: Program, name: &str, error: &io::Error) -> Diagnostics {
    let remedy = match error.kind() {
        io::ErrorKind::NotFound => format!(
            "create it, or name another: {} check -c FILE (`--help` shows the shortest file)",
            program.name()
        ),
        io::ErrorKind::PermissionDenied => {
            format!("let the service's user read it: chmod o+r {name}")
        }
        _ => "name a file that can be read: -c FILE".to_owned(),
    };
    whole_file(name, &format!("cannot be read: {error}"), "a TOML file", &remedy)
}

fn not_utf8(name: &str, error: &std::string::FromUtf8Error) -> Diagnostics {
    let start = error.utf8_error().valid_up_to();
    let lossy = String::from_utf8_lossy(error.as_bytes()).into_owned();
    // The text before the first bad byte is the same in both, so the position holds; the byte
    // itself has become one replacement character.
    let end = lossy[start..].chars().next().map_or(start, |c| start + c.len_utf8());
    let mut diagnostics = Diagnostics::new(Arc::new(Source::new(name, &lossy)));
    diagnostics.push(Diagnostic::error(
        document::Span { start, end },
        "the file is not UTF-8 text",
        "TOML, which is always UTF-8",
        "save the file as UTF-8; `iconv -f latin1 -t utf8` converts an old one",
    ));
    diagnostics
}

fn whole_file(name: &str, message: &str, expected: &str, remedy: &str) -> Diagnostics {
    let mut diagnostics = Diagnostics::new(Arc::new(Source::new(name, "")));
    diagnostics.push(Diagnostic::of_file(message, expected, remedy));
    diagnostics
}
