//! Responses of the proxy's own: the only place that turns errors into them.

use crate::site::{Http, Pages};
use eclusa_policy::rules::{
    Answer as PlannedAnswer, Content, Edit, End as RuleEnd, Message, Operation,
};
use eclusa_wire::http1::{Head, Reason};
use std::borrow::Cow;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

/// Names and values.
pub(crate) type Fields = Vec<(Cow<'static, str>, String)>;

/// A response of the proxy's own.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// Fields beside those that every response has.
    pub(crate) fields: Fields,
    /// What the body is, with its type; `None`: the page for the status.
    pub(crate) body: Option<(Arc<str>, Arc<[u8]>)>,
    /// Its fields are all that it has.
    pub(crate) is_whole: bool,
}

impl Answer {
    /// The page for a status.
    pub(crate) fn page(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// To a request that could not be read.
    pub(crate) fn refused(reason: Reason) -> Self {
        Self::page(reason.status())
    }

    /// To a client that asks too often; it may again after `wait`.
    pub(crate) fn too_many(wait: Duration) -> Self {
        let seconds = wait.as_millis().div_ceil(1_000).max(1);
        let fields = vec![("Retry-After".into(), seconds.to_string())];
        Self { status: 429, fields, ..Self::default() }
    }

    /// What a rule says; `None` for an end without an answer, and for one that needs more to be found
    /// out.
    pub(crate) fn of_rule(end: &RuleEnd<'_>, http: &Http) -> Option<Self> {
        Some(match end {
            RuleEnd::Redirect { status, location } => Self {
                status: *status,
                fields: vec![("Location".into(), location.clone())],
                body: Some(("text/plain".into(), Arc::default())),
                is_whole: false,
            },
            RuleEnd::Deny(status) => Self::page(*status),
            RuleEnd::Answer(answer) => Self::planned(answer, http)?,
            RuleEnd::Challenge(basic) => Self {
                status: 401,
                fields: vec![("WWW-Authenticate".into(), basic.challenge())],
                ..Self::default()
            },
            // Nothing is answered.
            RuleEnd::Close | RuleEnd::Verify(..) => return None,
        })
    }

    /// A fixed answer; its files were read when the plan was prepared.
    fn planned(answer: &PlannedAnswer, http: &Http) -> Option<Self> {
        let body: Arc<[u8]> = match &answer.content {
            Content::Text(text) => text.as_bytes().into(),
            Content::File(path) => http.contents.files.get(path)?.clone(),
            Content::Message(path) => return Some(Self::whole(http.contents.messages.get(path)?)),
        };
        let content_type = answer.content_type.clone();
        let content_type = content_type.unwrap_or_else(|| "text/plain; charset=utf-8".into());
        Some(Self { status: answer.status, body: Some((content_type, body)), ..Self::default() })
    }

    /// An answer with a head of its own.
    fn whole(message: &Message) -> Self {
        let field =
            |(name, value): &(Box<str>, Box<str>)| (name.to_string().into(), value.to_string());
        Self {
            status: message.status,
            fields: message.fields.iter().map(field).collect(),
            body: Some((Arc::default(), Arc::clone(&message.body))),
            is_whole: true,
        }
    }

    /// The bytes of the response to the request in `head`. `close`: it is the last one.
    pub(crate) fn to_bytes(
        &self,
        head: &Head,
        pages: &Pages,
        edits: &[Edit<'_>],
        close: bool,
    ) -> Vec<u8> {
        let (fields, body) = self.parts(head, pages, edits);
        let mut text = format!("HTTP/1.1 {} {}\r\n", self.status, phrase(self.status));
        for (name, value) in &fields {
            let _ = write!(text, "{name}: {value}\r\n");
        }
        if self.has_body() {
            let _ = write!(text, "Content-Length: {}\r\n", body.len());
        }
        if close {
            text.push_str("Connection: close\r\n");
        }
        text.push_str("\r\n");
        let mut bytes = text.into_bytes();
        if head.method() != b"HEAD" && self.has_body() {
            bytes.extend_from_slice(&body);
        }
        bytes
    }

    /// Whether a body can follow, and its length is told.
    pub(crate) fn has_body(&self) -> bool {
        !matches!(self.status, 204 | 304)
    }

    /// The fields of the response, without those that frame it, and what a GET gets as its body.
    pub(crate) fn parts<'p>(
        &'p self,
        head: &Head,
        pages: &'p Pages,
        edits: &[Edit<'_>],
    ) -> (Fields, Cow<'p, [u8]>) {
        let (content_type, body) = match &self.body {
            Some((content_type, body)) => (Cow::Borrowed(&**content_type), Cow::Borrowed(&**body)),
            None => page(self.status, wants_json(head), pages),
        };
        let mut fields = self.fields.clone();
        if !body.is_empty() && self.has_body() && !self.is_whole {
            fields.push(("Content-Type".into(), content_type.into_owned()));
        }
        if self.status >= 400 && !self.is_whole {
            fields.push(("Cache-Control".into(), "no-store".into()));
        }
        apply(&mut fields, edits);
        (fields, body)
    }
}

/// Does what rules say of the response's fields, as it is done to those of endpoints.
fn apply(fields: &mut Fields, edits: &[Edit<'_>]) {
    for edit in edits {
        if edit.operation == Operation::Replace {
            let named = fields.iter_mut().filter(|(name, _)| name.eq_ignore_ascii_case(edit.name));
            for (_, value) in named {
                if let Some(replaced) = edit.replaced(value.as_bytes()) {
                    *value = String::from_utf8_lossy(&replaced).into_owned();
                }
            }
            continue;
        }
        if edit.operation != Operation::Add {
            fields.retain(|(name, _)| !name.eq_ignore_ascii_case(edit.name));
        }
        if edit.operation != Operation::Remove {
            fields.push((edit.name.to_owned().into(), edit.value.to_string()));
        }
    }
}

/// Whether the client would rather have JSON: it names it, and no HTML.
fn wants_json(head: &Head) -> bool {
    let accepts = |what: &[u8]| {
        head.all(b"accept")
            .any(|value| value.windows(what.len()).any(|part| part.eq_ignore_ascii_case(what)))
    };
    accepts(b"json") && !accepts(b"text/html")
}

fn page(status: u16, json: bool, pages: &Pages) -> (Cow<'static, str>, Cow<'_, [u8]>) {
    let content_type = if json { "application/json" } else { "text/html; charset=utf-8" };
    if let Some(page) = pages.get(&status)
        && let Some(bytes) = &page[usize::from(json)]
    {
        return (content_type.into(), Cow::Borrowed(&**bytes));
    }
    let phrase = phrase(status);
    if json {
        let body = format!("{{\"status\":{status},\"error\":\"{phrase}\"}}\n");
        return (content_type.into(), body.into_bytes().into());
    }
    let body =
        format!("<!doctype html>\n<title>{status} {phrase}</title>\n<h1>{status} {phrase}</h1>\n");
    (content_type.into(), body.into_bytes().into())
}

/// The usual words for a status (RFC 9110, section 15).
pub(crate) fn phrase(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        417 => "Expectation Failed",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "Answer",
    }
}
