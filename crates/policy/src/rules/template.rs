//! Texts with variables: `{client}`, `{header:NAME}`. `{{` and `}}` stand for braces.

use super::Context;
use super::header::{self, ENDPOINT, POOL, is_token};
use crate::condition::{Asked, Fingerprint, Request};
use std::borrow::Cow;
use std::fmt::{self, Write};

/// A text with variables, checked.
#[derive(Clone, PartialEq, Eq)]
pub struct Template {
    written: Box<str>,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(Box<str>),
    Variable(Variable),
    /// The first header field of this name, in lower case.
    Header(Box<str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Variable {
    Client,
    ClientPort,
    Host,
    Path,
    Query,
    Scheme,
    Port,
    Sni,
    Id,
    Method,
    CertificateName,
    CertificateHash,
    HttpVersion,
    TlsVersion,
    Hostname,
    Pool,
    Endpoint,
}

/// The variables without an argument, as written, with what they stand for.
const VARIABLES: [(&str, Variable); 17] = [
    ("client", Variable::Client),
    ("client_port", Variable::ClientPort),
    ("host", Variable::Host),
    ("path", Variable::Path),
    ("query", Variable::Query),
    ("scheme", Variable::Scheme),
    ("port", Variable::Port),
    ("sni", Variable::Sni),
    ("id", Variable::Id),
    ("method", Variable::Method),
    ("certificate_name", Variable::CertificateName),
    ("certificate_sha256", Variable::CertificateHash),
    ("http_version", Variable::HttpVersion),
    ("tls_version", Variable::TlsVersion),
    ("hostname", Variable::Hostname),
    ("pool", Variable::Pool),
    ("endpoint", Variable::Endpoint),
];

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateError {
    /// There is no such variable.
    Unknown(String),
    /// A `{` without its `}`.
    Open,
    /// A `}` without its `{`.
    Close,
    /// `{header:}` with something that is no name of a header field.
    HeaderName(String),
    /// A control character.
    Control,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(name) => write!(f, "there is no variable `{{{name}}}`"),
            Self::Open => f.write_str("a `{` has no `}`"),
            Self::Close => f.write_str("a `}` has no `{`"),
            Self::HeaderName(name) => write!(f, "`{name}` is no name of a header field"),
            Self::Control => f.write_str("it has a control character"),
        }
    }
}

impl Template {
    /// The names of all variables; `header:NAME` stands last.
    pub fn variables() -> impl Iterator<Item = &'static str> {
        VARIABLES.iter().map(|(name, _)| *name).chain(["header:NAME"])
    }

    /// Reads a text.
    ///
    /// # Errors
    /// [`TemplateError`]
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        if text.chars().any(|c| c.is_control() && c != '\t') {
            return Err(TemplateError::Control);
        }
        let (mut parts, mut literal, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find(['{', '}']) {
            let (before, from) = rest.split_at(at);
            literal.push_str(before);
            if let Some(after) = from.strip_prefix("{{") {
                literal.push('{');
                rest = after;
            } else if let Some(after) = from.strip_prefix("}}") {
                literal.push('}');
                rest = after;
            } else {
                let inside = from.strip_prefix('{').ok_or(TemplateError::Close)?;
                let (name, after) = inside.split_once('}').ok_or(TemplateError::Open)?;
                if !literal.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut literal).into()));
                }
                parts.push(variable(name)?);
                rest = after;
            }
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            parts.push(Part::Text(literal.into()));
        }
        Ok(Self { written: text.into(), parts })
    }

    /// The text with its variables filled in. What they stand for is screened for the value of a
    /// header field, see [`header::screened`]; what is not there is empty.
    #[must_use]
    pub fn render(&self, context: &Context<'_>) -> Cow<'_, str> {
        match &self.parts[..] {
            [] => Cow::Borrowed(""),
            [Part::Text(text)] => Cow::Borrowed(text),
            parts => {
                let mut out = String::new();
                for part in parts {
                    fill(part, context, &mut out);
                }
                Cow::Owned(out)
            }
        }
    }

    /// The variable in it, if there is one, that is known only of an answer.
    #[must_use]
    pub fn late(&self) -> Option<&'static str> {
        let is_late = |variable: &Variable| {
            let late = [Variable::Pool, Variable::Endpoint];
            late.contains(variable) && self.parts.contains(&Part::Variable(*variable))
        };
        VARIABLES.iter().find(|(_, variable)| is_late(variable)).map(|(name, _)| *name)
    }

    /// As written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// The text, if it has no variables.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        match &self.parts[..] {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }
}

impl fmt::Debug for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.written)
    }
}

fn variable(name: &str) -> Result<Part, TemplateError> {
    if let Some(field) = name.strip_prefix("header:") {
        if !is_token(field) {
            return Err(TemplateError::HeaderName(field.to_owned()));
        }
        return Ok(Part::Header(field.to_ascii_lowercase().into()));
    }
    match VARIABLES.iter().find(|(known, _)| *known == name) {
        Some((_, variable)) => Ok(Part::Variable(*variable)),
        None => Err(TemplateError::Unknown(name.to_owned())),
    }
}

fn fill(part: &Part, context: &Context<'_>, out: &mut String) {
    let facts = &context.facts;
    let asked =
        |of: fn(&dyn Request) -> &str| facts.request.map_or("", |asked| of(asked.request()));
    let mut number = |number: u16| {
        let _ = write!(out, "{number}");
    };
    let text = match part {
        Part::Text(text) => return out.push_str(text),
        Part::Header(name) => {
            let value = facts.request.and_then(|asked: &Asked<'_>| asked.first_header(name));
            return header::screen(&value.unwrap_or_default(), out);
        }
        Part::Variable(variable) => match variable {
            Variable::Client => {
                let _ = write!(out, "{}", facts.source.to_canonical());
                return;
            }
            Variable::ClientPort => return number(context.client_port),
            Variable::Port => return number(facts.destination.port()),
            Variable::Host => asked(|request| request.host()),
            Variable::Path => asked(|request| request.path()),
            Variable::Query => asked(|request| request.query().unwrap_or("")),
            Variable::Method => asked(|request| request.method()),
            Variable::Scheme => context.scheme.name(),
            Variable::Sni => facts.server_name.unwrap_or(""),
            Variable::HttpVersion => context.spoken.http,
            Variable::TlsVersion => context.spoken.tls,
            Variable::Hostname => context.spoken.hostname,
            Variable::Pool => return out.push(POOL),
            Variable::Endpoint => return out.push(ENDPOINT),
            Variable::Id => {
                let _ = write!(out, "{}", context.id.0);
                return;
            }
            Variable::CertificateName => {
                let certificate = facts.client_certificate;
                certificate.and_then(|shown| shown.common_name.as_deref()).unwrap_or("")
            }
            Variable::CertificateHash => {
                if let Some(shown) = facts.client_certificate {
                    let _ = write!(out, "{}", Fingerprint(shown.fingerprint));
                }
                return;
            }
        },
    };
    header::screen(text, out);
}
