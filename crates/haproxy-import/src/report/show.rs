//! The three forms of a report: for people, for programs, and beside the source.

use super::{Kind, Report, Told};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::fmt::Write;

/// Columns that the words of kinds take.
const KIND: usize = 12;

impl Report {
    /// For people: line by line, and the sum.
    #[must_use]
    pub fn human(&self) -> String {
        let mut text = String::new();
        let mut place = String::new();
        let mut width = 0;
        for line in &self.lines {
            self.put_place(line, &mut place);
            width = width.max(place.len());
        }
        for line in &self.lines {
            self.put_place(line, &mut place);
            let word = line.kind.word();
            let _ = writeln!(text, "{place:width$}  {word:KIND$} {}", printable(&line.text));
            for note in &line.notes {
                let _ = writeln!(text, "{:width$}  {:KIND$}   {}", "", "", printable(note));
            }
        }
        for note in &self.notes {
            let _ = writeln!(text, "note: {}", printable(note));
        }
        let _ = writeln!(text, "{}", self.sum());
        text
    }

    /// For programs: one JSON object.
    #[must_use]
    pub fn json(&self) -> String {
        format!("{:#}\n", self.json_value())
    }

    pub(crate) fn json_value(&self) -> Value {
        let lines: Vec<_> = self
            .lines
            .iter()
            .map(|line| {
                json!({
                    "file": self.name(line.file),
                    "line": line.number,
                    "kind": line.kind.word(),
                    "text": line.text,
                    "notes": line.notes,
                })
            })
            .collect();
        let counts: serde_json::Map<_, _> = Kind::ALL
            .iter()
            .map(|kind| (kind.word().to_owned(), json!(self.count(*kind))))
            .collect();
        json!({
            "program": self.program,
            "complete": self.is_complete(),
            "percent": self.percent(),
            "counts": counts,
            "lines": lines,
            "notes": self.notes,
        })
    }

    /// The source itself, each line with a mark in front and what is to be known behind it: `=` same,
    /// `d` default, `+` improved, `-` ignored, `!` unsupported. `texts` are the files in order.
    #[must_use]
    pub fn source(&self, texts: &[&str]) -> String {
        let mut shown = String::new();
        let mut lines = self.lines.iter().peekable();
        for (file, text) in texts.iter().enumerate() {
            if texts.len() > 1 {
                let _ = writeln!(shown, "  # {}", self.name(file));
            }
            for (index, source) in text.lines().enumerate() {
                let told = lines.next_if(|line| (line.file, line.number) == (file, index + 1));
                let mark = told.map_or(' ', |line| match line.kind {
                    Kind::Same => '=',
                    Kind::Default => 'd',
                    Kind::Improved => '+',
                    Kind::Ignored => '-',
                    Kind::Unsupported => '!',
                });
                let _ = writeln!(shown, "{}", format!("{mark} {}", printable(source)).trim_end());
                for note in told.iter().flat_map(|line| &line.notes) {
                    let _ = writeln!(shown, "  #   {}", printable(note));
                }
            }
        }
        for note in &self.notes {
            let _ = writeln!(shown, "  # {}", printable(note));
        }
        let _ = writeln!(shown, "  # {}", self.sum());
        shown
    }

    fn put_place(&self, line: &Told, place: &mut String) {
        place.clear();
        let _ = write!(place, "{}:{}", self.name(line.file), line.number);
    }

    fn name(&self, file: usize) -> &str {
        self.files.get(file).map_or("", String::as_str)
    }

    fn sum(&self) -> String {
        let counts: Vec<_> = Kind::ALL
            .iter()
            .map(|kind| (self.count(*kind), kind.word()))
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        let lines = match self.lines.len() {
            1 => "1 line".to_owned(),
            count => format!("{count} lines"),
        };
        let end = if self.is_complete() { "complete" } else { "not complete" };
        if counts.is_empty() {
            return format!("{lines}: nothing to import");
        }
        format!("{lines}: {}; {end}", counts.join(", "))
    }
}

/// Nothing that a terminal would obey.
fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(char::is_control) {
        return text.into();
    }
    let shown = text.chars().map(|char| match char {
        '\t' => ' ',
        char if char.is_control() => '\u{fffd}',
        char => char,
    });
    shown.collect()
}
