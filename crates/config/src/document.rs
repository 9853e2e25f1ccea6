//! A document: what was written, and where. Nothing here knows what a key means.

use crate::diagnostic::{Diagnostic, Diagnostics, quoted};
use std::sync::Arc;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// A range of bytes of a [`Source`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The first byte.
    pub start: usize,
    /// The byte after the last one.
    pub end: usize,
}

impl From<std::ops::Range<usize>> for Span {
    fn from(range: std::ops::Range<usize>) -> Self {
        Self { start: range.start, end: range.end }
    }
}

/// The text that positions point into.
#[derive(Debug)]
pub struct Source {
    name: String,
    text: String,
    /// Where each line starts.
    lines: Vec<usize>,
}

/// A line of a [`Source`] with a place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place<'a> {
    /// Number of the line, from 1.
    pub line: usize,
    /// Number of the character in the line, from 1.
    pub column: usize,
    /// The line without its end.
    pub text: &'a str,
    /// Offset of the place in `text`, in bytes.
    pub offset: usize,
}

impl Source {
    /// A text under a name.
    #[must_use]
    pub fn new(name: &str, text: &str) -> Self {
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
        Self { name: name.to_owned(), text: text.to_owned(), lines: lines.collect() }
    }

    /// Its name: a file's, or `command line`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The line that holds byte `at`; past the end counts as the end.
    #[must_use]
    pub fn place(&self, at: usize) -> Place<'_> {
        let mut at = at.min(self.text.len());
        while !self.text.is_char_boundary(at) {
            at -= 1;
        }
        let index = self.lines.partition_point(|start| *start <= at).saturating_sub(1);
        let start = self.lines.get(index).copied().unwrap_or(0);
        let text = self.text[start..].lines().next().unwrap_or("");
        let offset = (at - start).min(text.len());
        let column = self.text[start..start + offset].chars().count() + 1;
        Place { line: index + 1, column, text, offset }
    }
}

/// A parsed document.
#[derive(Clone, Debug)]
pub struct Document {
    /// Where it came from.
    pub source: Arc<Source>,
    /// The top level.
    pub root: Table,
    /// From here on the text may have been understood wrongly: a bracket before is not closed.
    pub doubtful_from: Option<usize>,
}

/// A table: keys and values in the order written.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// Where it begins: its header, its braces, or the key that implies it.
    pub span: Span,
    /// Keys and values; no name comes twice.
    pub entries: Vec<(Key, Value)>,
}

impl Table {
    /// The key `name` and its value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&(Key, Value)> {
        self.entries.iter().find(|(key, _)| key.name == name)
    }
}

/// A key as written.
#[derive(Clone, Debug)]
pub struct Key {
    /// The name without quotes.
    pub name: String,
    /// Where it stands.
    pub span: Span,
}

/// A value as written.
#[derive(Clone, Debug)]
pub struct Value {
    /// Where it stands.
    pub span: Span,
    /// What it is.
    pub data: Data,
}

/// What a value is.
#[derive(Clone, Debug)]
pub enum Data {
    /// Text.
    String(String),
    /// A whole number; `None`: one that has more than 64 bits.
    Integer(Option<i64>),
    /// A number with a fraction.
    Float(f64),
    /// `true` or `false`.
    Boolean(bool),
    /// A date or a time.
    Datetime,
    /// A list.
    Array(Vec<Value>),
    /// Keys and values.
    Table(Table),
}

impl Value {
    /// What it is, with its article, for diagnostics.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.data {
            Data::String(_) => "a string",
            Data::Integer(_) => "a whole number",
            Data::Float(_) => "a number with a fraction",
            Data::Boolean(_) => "a boolean",
            Data::Datetime => "a date or time",
            Data::Array(_) => "a list",
            Data::Table(_) => "a table",
        }
    }
}

/// One option of a command line that stands for a key.
#[derive(Clone, Debug)]
pub struct CommandOption {
    /// The key at the top level.
    pub key: &'static str,
    /// The option as typed: `--master`.
    pub option: &'static str,
    /// Its values, in order; each came with the option in front.
    pub values: Vec<String>,
}

impl Document {
    /// Parses TOML. Syntax errors are written down, and whatever could be made of the rest is
    /// returned, so that its mistakes are told as well.
    #[must_use]
    pub fn parse(source: Arc<Source>) -> (Self, Diagnostics) {
        let (parsed, errors) = DeTable::parse_recoverable(source.text());
        let root = table(parsed.into_inner(), Span::default());
        let mut diagnostics = Diagnostics::new(source.clone());
        let mut doubtful_from = None;
        let mut twice: Option<Span> = None;
        let unclosed = errors.iter().position(|error| error.message().starts_with("unclosed"));
        for (index, error) in errors.iter().enumerate() {
            // What follows such a bracket is understood as a part of it: one mistake, not hundreds.
            if unclosed.is_some_and(|last| index <= last) && is_inside_brackets(error) {
                let at = error.span().map_or(Span::default(), Span::from);
                doubtful_from = Some(at.start);
                diagnostics.push(unclosed_bracket(&source, at));
                break;
            }
            let span = error.span().map_or(Span::default(), Span::from);
            if error.message() == DUPLICATE {
                // Below a header that is there twice its keys are, too.
                if let Some(seen) = &mut twice
                    && is_below(&source, *seen, span)
                {
                    // The next look begins here: none goes over the same text again.
                    seen.end = span.end;
                    continue;
                }
                twice = is_header(&source, span).then_some(span);
            }
            diagnostics.push(syntax_error(&source, error));
        }
        (Self { source, root, doubtful_from }, diagnostics)
    }

    /// A document of options; positions point into the command line.
    #[must_use]
    pub fn of_options(command: &str, options: &[CommandOption]) -> Self {
        let mut line = command.to_owned();
        let mut root = Table::default();
        for option in options.iter().filter(|option| !option.values.is_empty()) {
            let mut key_span = None;
            let mut values = Vec::new();
            for value in &option.values {
                line.push(' ');
                let start = line.len();
                line.push_str(option.option);
                key_span.get_or_insert(Span { start, end: line.len() });
                line.push(' ');
                let start = line.len();
                line.push_str(value);
                let span = Span { start, end: line.len() };
                values.push(Value { span, data: Data::String(value.clone()) });
            }
            let span = key_span.unwrap_or_default();
            let key = Key { name: option.key.to_owned(), span };
            let end = values.last().map_or(span.end, |value| value.span.end);
            let span = Span { start: span.start, end };
            root.entries.push((key, Value { span, data: Data::Array(values) }));
        }
        let source = Arc::new(Source::new("command line", &line));
        Self { source, root, doubtful_from: None }
    }
}

/// The nesting is bounded by the parser (80 levels). What was parsed is given back on the way.
fn table(parsed: DeTable<'_>, span: Span) -> Table {
    let mut entries: Vec<_> = parsed
        .into_iter()
        .map(|(key, item)| {
            let span = key.span().into();
            (Key { name: key.into_inner().into_owned(), span }, value(item))
        })
        .collect();
    entries.sort_by_key(|(key, _)| key.span);
    Table { span, entries }
}

pub(crate) fn value(parsed: Spanned<DeValue<'_>>) -> Value {
    let span = Span::from(parsed.span());
    let data = match parsed.into_inner() {
        DeValue::String(text) => Data::String(text.into_owned()),
        DeValue::Integer(number) => {
            Data::Integer(i64::from_str_radix(number.as_str(), number.radix()).ok())
        }
        // What no `f64` holds is out of every range.
        DeValue::Float(number) => Data::Float(number.as_str().parse().unwrap_or(f64::NAN)),
        DeValue::Boolean(flag) => Data::Boolean(flag),
        DeValue::Datetime(_) => Data::Datetime,
        DeValue::Array(items) => Data::Array(items.into_iter().map(value).collect()),
        DeValue::Table(inner) => Data::Table(table(inner, span)),
    };
    Value { span, data }
}

/// The parser's words for a key or table that is there already.
const DUPLICATE: &str = "duplicate key";

fn is_header(source: &Source, span: Span) -> bool {
    source.place(span.start).text.trim_start().starts_with('[')
}

/// Whether no other header stands between what was seen and the key.
fn is_below(source: &Source, seen: Span, key: Span) -> bool {
    let between = source.text().get(seen.end..key.start).unwrap_or("");
    !between.lines().skip(1).any(|line| line.trim_start().starts_with('['))
        && !is_header(source, key)
}

fn is_inside_brackets(error: &toml::de::Error) -> bool {
    let message = error.message();
    ["missing comma", "unclosed array", "unclosed inline table"]
        .iter()
        .any(|start| message.starts_with(start))
        || message.contains("in array")
        || message.contains("in inline table")
}

fn unclosed_bracket(source: &Source, at: Span) -> Diagnostic {
    let before = source.text().get(..at.start).unwrap_or("");
    let error = Diagnostic::error(
        at,
        "a list or table in brackets is not closed before this",
        "`]` or `}`",
        "close it; items are separated by commas",
    );
    match before.rfind(['[', '{']) {
        Some(start) => error.with_related(Span { start, end: start + 1 }, "the last bracket"),
        None => error,
    }
}

fn syntax_error(source: &Source, error: &toml::de::Error) -> Diagnostic {
    let span = error.span().map_or(Span::default(), Span::from);
    let (message, expected) = match error.message().split_once(", expected ") {
        Some((message, expected)) => (message, expected.to_owned()),
        None => (error.message(), "TOML 1.1 (https://toml.io)".to_owned()),
    };
    if message == DUPLICATE {
        let name = source.text().get(span.start..span.end).unwrap_or("");
        let unquoted = quoted(name.trim_matches(['"', '\'']));
        return Diagnostic::error(
            span,
            &format!("{unquoted} is there twice"),
            "each key, and each table with its name, once",
            "remove one of the two, or give it another name",
        );
    }
    let remedy = match message {
        message if message.contains("recurs") => "nest less deeply",
        "invalid boolean" | "string values must be quoted" => {
            "write texts in double quotes, numbers in digits"
        }
        message if message.contains("string") => "write texts as \"text\", in straight quotes",
        _ => "write it as `key = value`, tables as `[name]`, texts in double quotes",
    };
    Diagnostic::error(span, message, &expected, remedy)
}
