//! Diagnostics: place, mistake, remedy; the same form for all of them.

use crate::document::{Source, Span};
use std::fmt::{self, Write};
use std::sync::Arc;

/// Diagnostics that are kept; the rest is counted. A file with more is wrong as a whole.
const KEPT: usize = 200;
/// Characters of a source line that are shown before and from the place.
const BEFORE: usize = 80;
const AFTER: usize = 80;
/// Characters of a text that a message repeats.
const QUOTED: usize = 60;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The plan stands, but is probably not what was wanted.
    Warning,
    /// There is no plan.
    Error,
}

impl Severity {
    /// The word for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Where it is; `None`: the file as a whole.
    pub span: Option<Span>,
    /// What is wrong.
    pub message: String,
    /// What was expected.
    pub expected: String,
    /// What to do.
    pub remedy: String,
    /// Another place that has to do with it, and what is there.
    pub related: Option<(Span, String)>,
}

impl Diagnostic {
    /// An error.
    #[must_use]
    pub fn error(span: Span, message: &str, expected: &str, remedy: &str) -> Self {
        Self::new(Severity::Error, Some(span), message, expected, remedy)
    }

    /// A warning.
    #[must_use]
    pub fn warning(span: Span, message: &str, expected: &str, remedy: &str) -> Self {
        Self::new(Severity::Warning, Some(span), message, expected, remedy)
    }

    /// An error of the file as a whole.
    #[must_use]
    pub fn of_file(message: &str, expected: &str, remedy: &str) -> Self {
        Self::new(Severity::Error, None, message, expected, remedy)
    }

    fn new(
        severity: Severity,
        span: Option<Span>,
        message: &str,
        expected: &str,
        remedy: &str,
    ) -> Self {
        Self {
            severity,
            span,
            message: message.to_owned(),
            expected: expected.to_owned(),
            remedy: remedy.to_owned(),
            related: None,
        }
    }

    /// The same, with another place that has to do with it.
    #[must_use]
    pub fn with_related(mut self, span: Span, text: &str) -> Self {
        self.related = Some((span, text.to_owned()));
        self
    }
}

/// Mistakes of one document. [`fmt::Display`] prints all of them, and a line that counts them.
#[derive(Clone, Debug)]
pub struct Diagnostics {
    source: Arc<Source>,
    items: Vec<Diagnostic>,
    errors: usize,
    warnings: usize,
}

impl Diagnostics {
    /// None so far.
    #[must_use]
    pub fn new(source: Arc<Source>) -> Self {
        Self { source, items: Vec::new(), errors: 0, warnings: 0 }
    }

    /// Adds one, unless it has been told before. When there are very many it is only counted.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        if self.items.contains(&diagnostic) {
            return;
        }
        match diagnostic.severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
        }
        // An error must not be hidden by warnings that came first.
        if self.items.len() < KEPT || (diagnostic.severity == Severity::Error && self.errors == 1) {
            self.items.push(diagnostic);
        }
    }

    /// Whether further ones are only counted.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.items.len() >= KEPT
    }

    /// Whether there is an error among them.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.errors > 0
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Those that are kept, in the order of the document once it has been checked.
    #[must_use]
    pub fn items(&self) -> &[Diagnostic] {
        &self.items
    }

    /// The text that they are about.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Each on one line, for a log: place, mistake, remedy.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let line = |item: &Diagnostic| {
            let place = self.place_of(item);
            format!("{place}: {} ({})", item.message, item.remedy)
        };
        self.items.iter().map(line).collect()
    }

    /// In the order of the document.
    pub(crate) fn sort(&mut self) {
        self.items.sort_by_key(|item| item.span.map(|span| span.start));
    }

    fn place_of(&self, item: &Diagnostic) -> String {
        match item.span {
            Some(span) => self.place_at(span),
            None => self.source.name().to_owned(),
        }
    }

    fn place_at(&self, span: Span) -> String {
        let place = self.source.place(span.start);
        format!("{}:{}:{}", self.source.name(), place.line, place.column)
    }

    fn snippet(&self, f: &mut fmt::Formatter<'_>, span: Span) -> fmt::Result {
        let place = self.source.place(span.start);
        let before: Vec<char> = place.text[..place.offset].chars().rev().take(BEFORE).collect();
        let cut_before = place.column - 1 > BEFORE;
        let rest = &place.text[place.offset..];
        let after: String = rest.chars().take(AFTER).map(visible).collect();
        let cut_after = after.len() < rest.len() && rest.chars().nth(AFTER).is_some();
        let marked = span.end.saturating_sub(span.start).min(rest.len());
        let marked = rest.char_indices().take_while(|(at, _)| *at < marked).take(AFTER).count();
        let before: String = before.into_iter().rev().map(visible).collect();
        let (head, tail) = (if cut_before { "…" } else { "" }, if cut_after { "…" } else { "" });
        let number = place.line.to_string();
        let margin = " ".repeat(number.len());
        let indent = " ".repeat(before.chars().count() + head.chars().count());
        writeln!(f, "{margin} |")?;
        writeln!(f, "{}", format!("{number} | {head}{before}{after}{tail}").trim_end())?;
        writeln!(f, "{margin} | {indent}{}", "^".repeat(marked.max(1)))
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for item in &self.items {
            writeln!(f, "{}: {}: {}", self.place_of(item), item.severity.name(), item.message)?;
            if let Some(span) = item.span {
                self.snippet(f, span)?;
            }
            writeln!(f, "  expected: {}", item.expected)?;
            writeln!(f, "  remedy:   {}", item.remedy)?;
            if let Some((span, text)) = &item.related {
                writeln!(f, "  see also: {}: {text}", self.place_at(*span))?;
            }
            writeln!(f)?;
        }
        let left_out = self.errors + self.warnings - self.items.len();
        if left_out > 0 {
            writeln!(f, "... and {left_out} more")?;
        }
        let counts: Vec<_> = [(self.errors, "error"), (self.warnings, "warning")]
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| counted(count, word))
            .collect();
        let name = self.source.name();
        if counts.is_empty() { Ok(()) } else { writeln!(f, "{name}: {}", counts.join(", ")) }
    }
}

impl std::error::Error for Diagnostics {}

/// `1 error`, `2 errors`.
#[must_use]
pub fn counted(count: usize, word: &str) -> String {
    format!("{count} {word}{}", if count == 1 { "" } else { "s" })
}

/// A text of the document, cut and made safe to print, in backticks.
pub(crate) fn quoted(text: &str) -> String {
    let mut quoted = String::from("`");
    quoted.extend(text.chars().take(QUOTED).map(visible));
    if text.chars().nth(QUOTED).is_some() {
        quoted.push('…');
    }
    let _ = quoted.write_char('`');
    quoted
}

/// What a terminal would obey becomes what it can show, one character for one.
fn visible(c: char) -> char {
    let changes_direction = matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    match c {
        '\t' => ' ',
        c if c.is_control() || changes_direction => '\u{fffd}',
        c => c,
    }
}
