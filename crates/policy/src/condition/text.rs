//! Texts as patterns: values of header fields, of parameters, of cookies, names in certificates.

use std::fmt;

/// A regular expression of bytes. Matching takes time linear in the length of what is matched.
#[derive(Clone, Debug)]
pub struct Expression(regex::bytes::Regex);

impl Expression {
    /// Takes one that was compiled within bounds of its size.
    #[must_use]
    pub fn new(compiled: regex::bytes::Regex) -> Self {
        Self(compiled)
    }

    /// Whether `text` matches somewhere.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.0.is_match(text.as_bytes())
    }

    /// `text` with its first match replaced; `$1`, `${name}` in `with` stand for groups. `None`: it
    /// does not match.
    #[must_use]
    pub fn replaced(&self, text: &str, with: &str) -> Option<String> {
        let text = text.as_bytes();
        self.0.find(text)?;
        let replaced = self.0.replace(text, with.as_bytes());
        Some(String::from_utf8_lossy(&replaced).into_owned())
    }

    /// The same for bytes that may be no text.
    #[must_use]
    pub fn replaced_bytes(&self, bytes: &[u8], with: &[u8]) -> Option<Vec<u8>> {
        self.0.find(bytes)?;
        Some(self.0.replace(bytes, with).into_owned())
    }

    /// Groups that it has, the whole match included.
    #[must_use]
    pub fn groups(&self) -> usize {
        self.0.captures_len()
    }

    /// Names of its groups.
    pub fn group_names(&self) -> impl Iterator<Item = &str> {
        self.0.capture_names().flatten()
    }

    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

/// The same text is the same expression.
impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Expression {}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "~{}", self.as_str())
    }
}

/// A pattern that a text can match. Case counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TextPattern {
    /// This text.
    Exact(Box<str>),
    /// A text that begins so.
    Prefix(Box<str>),
    /// A text that ends so.
    Suffix(Box<str>),
    /// A text that matches somewhere.
    Regex(Expression),
}

impl TextPattern {
    /// Whether `text` matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        match self {
            Self::Exact(exact) => **exact == *text,
            Self::Prefix(prefix) => text.starts_with(&**prefix),
            Self::Suffix(suffix) => text.ends_with(&**suffix),
            Self::Regex(expression) => expression.matches(text),
        }
    }
}

impl fmt::Display for TextPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(text) => f.write_str(text),
            Self::Prefix(text) => write!(f, "{text}*"),
            Self::Suffix(text) => write!(f, "*{text}"),
            Self::Regex(expression) => expression.fmt(f),
        }
    }
}

/// What is asked of a header field, a parameter or a cookie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Values {
    /// That it is there, whatever its value.
    Present,
    /// That it is there with a value that matches one of these.
    OneOf(Vec<TextPattern>),
}

impl Values {
    /// Whether a value that is there will do.
    #[must_use]
    pub fn hold(&self, value: &str) -> bool {
        match self {
            Self::Present => true,
            Self::OneOf(patterns) => patterns.iter().any(|pattern| pattern.matches(value)),
        }
    }
}
