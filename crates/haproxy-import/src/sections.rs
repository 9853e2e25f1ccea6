//! Files in order to lines with their comments, and sections of lines. `.if` and its like are obeyed on
//! the way.

use crate::lexer::{self, Lexed};
use crate::preprocess::{Blocks, Outcome};
use crate::report::{Kind, Ledger};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// A file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// What the report calls it.
    pub name: String,
    /// What stands in it.
    pub text: String,
}

/// A line that says something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// Which of the files, from 0.
    pub file: usize,
    /// Its number there, from 1.
    pub number: usize,
    /// As it stands there, without blanks around it.
    pub text: String,
    /// Its words; empty where it cannot be cut into words, and where it does not count.
    pub words: Vec<String>,
    /// It stands in a block that does not count, or it begins, parts or ends a block (`.if`).
    pub is_skipped: bool,
    /// The comments that stand alone above it, each with its `#`.
    pub above: Vec<String>,
    /// The comment behind it, with its `#`.
    pub beside: Option<String>,
}

/// A section: `frontend web`, and the lines that follow.
#[derive(Clone, Debug, Default)]
pub(crate) struct Section {
    /// Its first word, such as `frontend`; empty for what stands before the first section.
    pub(crate) kind: String,
    /// Its name; empty if it has none.
    pub(crate) name: String,
    /// Its first line, unless `kind` is empty.
    pub(crate) head: usize,
    /// The others.
    pub(crate) lines: Vec<usize>,
}

/// All files.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sources {
    pub(crate) lines: Vec<Line>,
    pub(crate) sections: Vec<Section>,
    /// Comments below the last line.
    pub(crate) below: Vec<String>,
}

/// What begins a section (HAProxy 2.6, and `crt-store` and `traces` of later ones).
pub(crate) const SECTIONS: [&str; 18] = [
    "global",
    "defaults",
    "frontend",
    "backend",
    "listen",
    "userlist",
    "peers",
    "mailers",
    "resolvers",
    "cache",
    "program",
    "http-errors",
    "ring",
    "log-forward",
    "fcgi-app",
    "crt-store",
    "traces",
    "log-profile",
];

/// Words whose next ones are addresses, and which of them: variables stand there without quotes, too.
const ADDRESSES: [(&str, usize); 6] =
    [("bind", 1), ("server", 2), ("log", 1), ("nameserver", 2), ("peer", 2), ("source", 1)];

/// Reads files in order, as HAProxy reads them one behind another.
pub(crate) fn read(
    files: &[File],
    environment: &BTreeMap<String, String>,
    ledger: &mut Ledger,
) -> Sources {
    let mut reading = Reading {
        environment: environment.clone(),
        brought: 0,
        sources: Sources::default(),
        above: Vec::new(),
        blocks: Blocks::default(),
    };
    for (index, file) in files.iter().enumerate() {
        for (number, text) in file.text.lines().enumerate() {
            reading.line(&file.name, (index, number + 1), text, ledger);
        }
        if let Some(line) = reading.blocks.end() {
            ledger.tell(line, Kind::Unsupported, "`.if` without its `.endif`: HAProxy refuses it");
        }
    }
    reading.sources.below = reading.above;
    reading.sources
}

/// What variables may bring into all lines, in bytes.
const BROUGHT_MAX: usize = 64 << 20;

struct Reading {
    environment: BTreeMap<String, String>,
    /// What variables have brought into lines so far.
    brought: usize,
    sources: Sources,
    /// Comments since the last line.
    above: Vec<String>,
    blocks: Blocks,
}

impl Reading {
    fn line(&mut self, file: &str, place: (usize, usize), text: &str, ledger: &mut Ledger) {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return;
        }
        if trimmed.starts_with('#') {
            self.above.push(comment(trimmed));
            return;
        }
        let missing = RefCell::new(Vec::new());
        let lexed = self.cut(file, place.1, trimmed, &missing).and_then(|lexed| {
            let length: usize = lexed.words.iter().map(String::len).sum();
            self.brought += length.saturating_sub(trimmed.len());
            let fits = self.brought <= BROUGHT_MAX;
            if fits { Ok(lexed) } else { Err(lexer::TOO_LONG.to_owned()) }
        });
        let id = self.sources.lines.len();
        let line = Line {
            file: place.0,
            number: place.1,
            text: trimmed.to_owned(),
            words: Vec::new(),
            is_skipped: false,
            above: std::mem::take(&mut self.above),
            beside: None,
        };
        self.sources.lines.push(line);
        let Lexed { words, comment: beside } = match lexed {
            Ok(lexed) => lexed,
            Err(mistake) => {
                let note = match mistake.as_str() {
                    lexer::TOO_LONG => mistake,
                    _ => format!("{mistake}: HAProxy refuses the line"),
                };
                ledger.tell(id, Kind::Unsupported, note);
                return self.keep(id, Vec::new());
            }
        };
        self.sources.lines[id].beside = beside.map(|text| comment(&format!("# {text}")));
        match self.blocks.line(id, &words, &self.environment) {
            Outcome::Read => {}
            Outcome::Skipped => {
                self.sources.lines[id].is_skipped = true;
                ledger.tell(id, Kind::Ignored, "it stands in a block whose condition is false");
                return self.keep(id, Vec::new());
            }
            Outcome::Done(kind, note) => {
                // What HAProxy refuses stays what it is.
                self.sources.lines[id].is_skipped = kind != Kind::Unsupported;
                ledger.tell(id, kind, note);
                return self.keep(id, Vec::new());
            }
        }
        for name in missing.into_inner() {
            let note = format!(
                "the variable `{name}` is not set here, and empty then: import with the environment \
                 of HAProxy's service, `{name}=VALUE` in front of the command"
            );
            ledger.tell(id, Kind::Unsupported, note);
        }
        self.environment(&words);
        self.keep(id, words);
    }

    fn cut(
        &self,
        file: &str,
        number: usize,
        text: &str,
        missing: &RefCell<Vec<String>>,
    ) -> Result<Lexed, String> {
        let section = self.sources.sections.last();
        let variables = |name: &str| match name {
            ".FILE" => Some(file.to_owned()),
            ".LINE" => Some(number.to_string()),
            ".SECTION" => {
                section.map(|it| if it.name.is_empty() { it.kind.clone() } else { it.name.clone() })
            }
            _ => {
                let value = self.environment.get(name).cloned();
                let has_usual = text.contains(&format!("{name}-"));
                if value.is_none() && !has_usual && self.blocks.is_read() && !text.starts_with('.')
                {
                    missing.borrow_mut().push(name.to_owned());
                }
                value
            }
        };
        let mut lexed = lexer::lex(text, &variables)?;
        let first = lexed.words.first().cloned().unwrap_or_default();
        for (_, at) in ADDRESSES.iter().filter(|(word, _)| *word == first) {
            if let Some(word) = lexed.words.get_mut(*at) {
                *word = lexer::expanded(word, &variables)?;
            }
        }
        Ok(lexed)
    }

    /// `setenv` and its kin, which hold from here on.
    fn environment(&mut self, words: &[String]) {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        match words[..] {
            ["setenv", name, value, ..] => {
                self.environment.insert(name.to_owned(), value.to_owned());
            }
            ["presetenv", name, value, ..] => {
                self.environment.entry(name.to_owned()).or_insert_with(|| value.to_owned());
            }
            ["unsetenv", ref names @ ..] => {
                self.environment.retain(|name, _| !names.contains(&name.as_str()));
            }
            ["resetenv", ref names @ ..] => {
                self.environment.retain(|name, _| names.contains(&name.as_str()));
            }
            _ => {}
        }
    }

    /// Puts a line into its section.
    fn keep(&mut self, id: usize, words: Vec<String>) {
        let kind = words.first().filter(|word| SECTIONS.contains(&word.as_str())).cloned();
        let name = words.get(1).cloned().unwrap_or_default();
        self.sources.lines[id].words = words;
        if let Some(kind) = kind {
            self.sources.sections.push(Section { kind, name, head: id, lines: Vec::new() });
            return;
        }
        if self.sources.sections.is_empty() {
            self.sources.sections.push(Section::default());
        }
        if let Some(section) = self.sources.sections.last_mut() {
            section.lines.push(id);
        }
    }
}

/// A comment as TOML takes it: no control characters but tabs.
fn comment(text: &str) -> String {
    let clean = |char: char| if char.is_control() && char != '\t' { '\u{fffd}' } else { char };
    text.chars().map(clean).collect::<String>().trim_end().to_owned()
}
