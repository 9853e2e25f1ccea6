//! Header fields, set, added or removed, on the request or on the answer.

use super::{Context, Served, Template};
use crate::condition::Expression;
use std::borrow::Cow;
use std::fmt;

/// A change of a header field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderChange {
    /// Name, as it is to be written; compared without regard to case.
    pub name: Box<str>,
    /// What is done.
    pub operation: Operation,
    /// The value; empty where the field is removed.
    pub value: Template,
    /// Of a replacement: what in the value is replaced.
    pub pattern: Option<Expression>,
}

/// What is done to a header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// All of that name go, and one with the value comes.
    Set,
    /// One with the value comes behind those that are there.
    Add,
    /// All of that name go.
    Remove,
    /// In each of that name the first match of a pattern is replaced; `$1` and `${name}` stand for its
    /// groups.
    Replace,
}

/// A change with its value filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit<'r> {
    /// Name of the field.
    pub name: &'r str,
    /// What is done.
    pub operation: Operation,
    /// The value: without control characters, whatever the request had in it, but for marks of what is
    /// known only of an answer.
    pub value: Cow<'r, str>,
    /// Of a replacement: what in the value is replaced.
    pub pattern: Option<&'r Expression>,
}

impl<'r> Edit<'r> {
    /// One that puts a value into a field.
    #[must_use]
    pub fn new(name: &'r str, operation: Operation, value: Cow<'r, str>) -> Self {
        Self { name, operation, value, pattern: None }
    }

    /// Whether the value has marks of what is known only of an answer.
    #[must_use]
    pub fn is_late(&self) -> bool {
        matches!(&self.value, Cow::Owned(value) if value.contains([POOL, ENDPOINT]))
    }

    /// The same with what is known of the answer.
    #[must_use]
    pub fn filled(&self, served: &Served<'_>) -> Self {
        let mut filled = self.clone();
        if self.is_late() {
            let value = self.value.replace(POOL, &screened(served.pool));
            filled.value = Cow::Owned(value.replace(ENDPOINT, &screened(served.endpoint)));
        }
        filled
    }

    /// What a value of the field becomes by a replacement; `None`: it stays as it is.
    #[must_use]
    pub fn replaced(&self, value: &[u8]) -> Option<Vec<u8>> {
        let replaced = self.pattern?.replaced_bytes(value, self.value.as_bytes())?;
        Some(replaced.trim_ascii().to_vec())
    }
}

/// Marks in the value of an edit: no text of a configuration or of a request has control characters.
pub(super) const POOL: char = '\u{1}';
pub(super) const ENDPOINT: char = '\u{2}';

impl HeaderChange {
    /// The change for this request.
    #[must_use]
    pub fn edit(&self, context: &Context<'_>) -> Edit<'_> {
        let value = self.value.render(context);
        Edit { pattern: self.pattern.as_ref(), ..Edit::new(&self.name, self.operation, value) }
    }
}

/// Why a text is no name that a rule may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// No token (RFC 9110, section 5.6.2).
    Token,
    /// It says where a message ends, or belongs to one connection: changed, it would make the next
    /// reader see other messages than were meant.
    Framing,
    /// It is `Host`, which has a rule of its own.
    Host,
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Token => "a name has letters, digits and hyphens",
            Self::Framing => "it says how messages follow each other, which is not for rules",
            Self::Host => "the host is rewritten by a rule of its own",
        })
    }
}

/// Fields of the connection and of the message's length (RFC 9110, section 7.6.1).
const FRAMING: [&str; 9] = [
    "connection",
    "content-length",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "expect",
];

/// Checks the name of a field that a rule is to change.
///
/// # Errors
/// [`NameError`]
pub fn name(text: &str) -> Result<Box<str>, NameError> {
    if !is_token(text) {
        return Err(NameError::Token);
    }
    if FRAMING.iter().any(|name| name.eq_ignore_ascii_case(text)) {
        return Err(NameError::Framing);
    }
    if text.eq_ignore_ascii_case("host") {
        return Err(NameError::Host);
    }
    Ok(text.into())
}

/// Whether `text` is a token, as names of header fields and methods are (RFC 9110, section 5.6.2).
#[must_use]
pub fn is_token(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(fits)
}

/// Appends `text` with a space for each control character (RFC 9110, section 5.5): what a client
/// sent must not end the field that it is inserted into.
pub(super) fn screen(text: &str, out: &mut String) {
    let bad = |c: char| c.is_control() && c != '\t';
    if text.contains(bad) {
        out.extend(text.chars().map(|c| if bad(c) { ' ' } else { c }));
    } else {
        out.push_str(text);
    }
}

/// `text` as it may stand in the value of a header field.
#[must_use]
pub fn screened(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    screen(text, &mut out);
    out
}
