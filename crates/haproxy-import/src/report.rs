//! What became of each line: the ledger that reading and translating write into, and the report made
//! of it.

mod show;

use crate::sections::Line;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// What is said of a line; most is the same for all lines of its kind.
pub type Note = Cow<'static, str>;

/// What becomes of a line. The later ones outweigh the earlier where parts of a line differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Carried over; it means what it meant.
    Same,
    /// Nothing had to be written: Eclusa does this by itself.
    Default,
    /// Left out: it has no meaning here, or had none in HAProxy either. The note says why.
    Ignored,
    /// Carried over, and what it does is not quite what it was. The note says what and why.
    Improved,
    /// Not carried over. The note says what it did, what happens now, and what to do.
    Unsupported,
}

impl Kind {
    /// All kinds, in order.
    pub const ALL: [Self; 5] =
        [Self::Same, Self::Default, Self::Improved, Self::Ignored, Self::Unsupported];

    /// The word of the report.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Same => "same",
            Self::Default => "default",
            Self::Ignored => "ignored",
            Self::Improved => "improved",
            Self::Unsupported => "unsupported",
        }
    }
}

/// What was found out about lines so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    entries: Vec<Entry>,
    /// About no line in particular.
    notes: Vec<String>,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    kind: Option<Kind>,
    notes: Vec<Note>,
    /// Where nothing else is found out.
    otherwise: Option<(Kind, Note)>,
}

/// What is said of a line that nobody used although it was understood.
const UNUSED: &str = "nothing in these files makes use of it";

impl Ledger {
    fn entry(&mut self, line: usize) -> &mut Entry {
        if line >= self.entries.len() {
            self.entries.resize(line + 1, Entry::default());
        }
        &mut self.entries[line]
    }

    fn raise(&mut self, line: usize, kind: Kind) -> &mut Entry {
        let entry = self.entry(line);
        entry.kind = entry.kind.max(Some(kind));
        entry
    }

    /// It means what it meant.
    pub(crate) fn same(&mut self, line: usize) {
        self.raise(line, Kind::Same);
    }

    /// Something that its reader should know.
    pub(crate) fn tell(&mut self, line: usize, kind: Kind, note: impl Into<Note>) {
        let note = note.into();
        let entry = self.raise(line, kind);
        if !note.is_empty() && !entry.notes.contains(&note) {
            entry.notes.push(note);
        }
    }

    /// It was understood, and is to be judged later: if nobody does, nothing makes use of it.
    pub(crate) fn known(&mut self, line: usize) {
        self.otherwise(line, Kind::Ignored, UNUSED);
    }

    /// What is to be said if nobody judges it.
    pub(crate) fn otherwise(&mut self, line: usize, kind: Kind, note: impl Into<Note>) {
        self.entry(line).otherwise = Some((kind, note.into()));
    }

    /// Whether something was found out.
    pub(crate) fn is_judged(&self, line: usize) -> bool {
        self.entries.get(line).is_some_and(|entry| entry.kind.is_some())
    }

    /// About no line in particular.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        let note = note.into();
        if !self.notes.contains(&note) {
            self.notes.push(note);
        }
    }

    /// The report on these lines.
    pub(crate) fn report(self, program: &str, files: Vec<String>, lines: Vec<Line>) -> Report {
        let unknown = || (Kind::Unsupported, Note::from("the importer does not know this line"));
        let mut entries = self.entries;
        entries.resize(lines.len(), Entry::default());
        let told = lines.into_iter().zip(entries).map(|(line, entry)| {
            let (kind, notes) = match entry.kind {
                Some(kind) => (kind, entry.notes),
                None => {
                    let (kind, note) = entry.otherwise.unwrap_or_else(unknown);
                    (kind, Some(note).filter(|note| !note.is_empty()).into_iter().collect())
                }
            };
            Told { file: line.file, number: line.number, text: line.text, kind, notes }
        });
        Report { program: program.to_owned(), files, lines: told.collect(), notes: self.notes }
    }
}

/// A line of haproxy.cfg, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// Which of the files, from 0.
    pub file: usize,
    /// Its number there, from 1.
    pub number: usize,
    /// As it stands there, without blanks around it.
    pub text: String,
    /// What became of it.
    pub kind: Kind,
    /// What, why, and what to do.
    pub notes: Vec<Note>,
}

/// What became of all lines that say something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    program: String,
    /// The names of the files.
    pub files: Vec<String>,
    /// In order.
    pub lines: Vec<Told>,
    /// About no line in particular.
    pub notes: Vec<String>,
}

impl Report {
    /// How many lines of each kind.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<Kind, usize> {
        let mut counts: BTreeMap<Kind, usize> = Kind::ALL.iter().map(|kind| (*kind, 0)).collect();
        for line in &self.lines {
            *counts.entry(line.kind).or_default() += 1;
        }
        counts
    }

    /// How many lines of one kind.
    #[must_use]
    pub fn count(&self, kind: Kind) -> usize {
        self.lines.iter().filter(|line| line.kind == kind).count()
    }

    /// Whether every line was carried over or left out with a reason.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.count(Kind::Unsupported) == 0
    }

    /// How many lines of a hundred are not `unsupported`, rounded down.
    #[must_use]
    pub fn percent(&self) -> usize {
        let all = self.lines.len();
        ((all - self.count(Kind::Unsupported)) * 100).checked_div(all).unwrap_or(100)
    }
}
