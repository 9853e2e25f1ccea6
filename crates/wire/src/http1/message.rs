//! Reads heads: the first line, the fields, and what they say together. One pass over the bytes,
//! resumable at every byte; what is refused does not depend on how the bytes came.

use super::authority::Scheme;
use super::field::{Field, Known, NOMINATED, Span, is_for_all, known};
use super::framing::{Body, Notes};
use super::head::{Asked, Head, Version};
use super::lenient::Lenient;
use super::limits::Limits;
use super::lines::{Lines, Stop};
use super::reason::Reason;
use super::start_line::StartLine;
use super::target::Target;
use super::token::elements;

/// What [`Parser::parse`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// Right so far, and not yet whole.
    NeedMore,
    /// A whole head of so many bytes. What follows is [`Head::rest`].
    Complete(usize),
    /// More bytes do not heal it.
    Refused(Reason),
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    StartLine,
    Fields,
    Complete(usize),
    Refused(Reason),
}

/// Reads one head. Make a new one for the next.
#[derive(Clone, Debug)]
pub struct Parser {
    /// What the response answers; `None` for requests.
    asked: Option<Asked>,
    limits: Limits,
    lenient: Lenient,
    phase: Phase,
    line: StartLine,
    lines: Lines,
    notes: Notes,
}

impl Parser {
    /// For a request.
    #[must_use]
    pub fn request(limits: Limits, lenient: Lenient) -> Self {
        Self::new(None, StartLine::request(lenient), limits, lenient)
    }

    /// For a response to what `asked` says; one for each, 1xx responses too.
    #[must_use]
    pub fn response(asked: Asked, limits: Limits, lenient: Lenient) -> Self {
        Self::new(Some(asked), StartLine::status(lenient), limits, lenient)
    }

    fn new(asked: Option<Asked>, line: StartLine, limits: Limits, lenient: Lenient) -> Self {
        Self {
            asked,
            limits,
            lenient,
            phase: Phase::StartLine,
            line,
            lines: Lines::default(),
            notes: Notes::default(),
        }
    }

    /// Goes on in [`Head::buffer`], which holds everything received since the head began. Between
    /// calls bytes may be added to it, and nothing else may happen to it or to the head.
    pub fn parse(&mut self, head: &mut Head) -> Parsed {
        match self.phase {
            Phase::Complete(length) => return Parsed::Complete(length),
            Phase::Refused(reason) => return Parsed::Refused(reason),
            _ => {}
        }
        match self.run(head) {
            Ok(()) => {
                let length = self.lines.at;
                self.phase = Phase::Complete(length);
                head.finish(length, self.line.start);
                Parsed::Complete(length)
            }
            Err(Stop::Short) => Parsed::NeedMore,
            Err(Stop::Refused(reason)) => {
                self.phase = Phase::Refused(reason);
                Parsed::Refused(reason)
            }
        }
    }

    /// Whether nothing of a request is there yet, at most empty lines: the connection is idle, not
    /// slow.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.phase == Phase::StartLine && self.line.is_idle()
    }

    /// How many bytes are read: where the trouble is, in a head that is refused.
    #[must_use]
    pub fn position(&self) -> usize {
        self.line.position().max(self.lines.at)
    }

    fn run(&mut self, head: &mut Head) -> Result<(), Stop> {
        let (bytes, fields) = head.parts();
        if self.phase == Phase::StartLine {
            if self.asked.is_none() {
                self.line.empty_lines(bytes)?;
            }
            let limit = self.limits.start_line() + self.line.leading;
            let end = bytes.len().min(limit);
            let text = bytes.get_mut(..end).unwrap_or_default();
            let read = match self.asked {
                None => self.line.request_line(text),
                Some(_) => self.line.status_line(text),
            };
            full(read, end >= limit, Reason::StartLineTooLong)?;
            self.lines = Lines::from(self.line.at);
            self.phase = Phase::Fields;
        }
        let limit = self.limits.head();
        let end = bytes.len().min(limit);
        let bytes = bytes.get(..end).unwrap_or_default();
        full(self.fields(bytes, fields), end >= limit, Reason::HeadTooLarge)?;
        if self.asked.is_some() {
            self.finish_response()?;
        } else {
            self.finish_request(bytes)?;
        }
        if self.notes.nominated > 0 {
            nominate(bytes, fields);
        }
        if self.notes.expect_continue && self.line.start.version == Version::Http10 {
            // To be ignored (RFC 9110, section 10.1.1), by the next hop too, which sees HTTP/1.1.
            let expect = fields.iter_mut().filter(|field| field.known == Known::Expect);
            expect.for_each(|field| field.set(NOMINATED));
        }
        Ok(())
    }

    fn fields(&mut self, bytes: &[u8], fields: &mut Vec<Field>) -> Result<(), Stop> {
        while let Some(field) = self.lines.field(bytes, self.lenient)? {
            if fields.len() >= self.limits.fields() {
                return Err(Reason::TooManyFields.into());
            }
            if field.known != Known::Other {
                match self.asked {
                    None => self.notes.request_field(&field, bytes, self.lenient)?,
                    Some(_) => self.notes.response_field(&field, bytes)?,
                }
            }
            fields.push(field);
        }
        Ok(())
    }

    fn finish_request(&mut self, bytes: &[u8]) -> Result<(), Reason> {
        let method = bytes.get(self.line.start.method.range()).unwrap_or_default();
        let version = self.line.start.version;
        if self.notes.host.is_none() && version == Version::Http11 {
            return Err(Reason::HostMissing);
        }
        let Target { span, query, scheme, named } = self.line.target;
        if let (Some(host), Some(named)) = (self.notes.host, named) {
            let text = |span: Span| bytes.get(span.range()).unwrap_or_default();
            let names = [text(host.host_span()), text(named.host_span())];
            if !(names[0].eq_ignore_ascii_case(names[1])
                && same_port(host.port, named.port, scheme))
            {
                return Err(Reason::HostMismatch);
            }
        }
        let body = self.notes.request_body(method, version)?;
        let start = &mut self.line.start;
        start.target = span;
        start.query = query;
        start.scheme = scheme;
        start.authority = named.or(self.notes.host).unwrap_or_default();
        start.body = body;
        start.is_kept = self.notes.is_kept(version);
        start.expect_continue = self.notes.expect_continue && version != Version::Http10;
        start.upgrades = self.notes.upgrades(version, body);
        start.te_trailers = self.notes.te_trailers;
        Ok(())
    }

    fn finish_response(&mut self) -> Result<(), Reason> {
        let (status, version) = (self.line.start.status, self.line.start.version);
        let asked = self.asked.unwrap_or_default();
        let (body, declared) = self.notes.response_body(status, asked, version)?;
        let start = &mut self.line.start;
        start.body = body;
        start.declared = declared;
        start.is_kept = self.notes.is_kept(version) && body != Body::UntilClose;
        start.upgrades = self.notes.upgrades(version, Body::None);
        Ok(())
    }
}

/// What a stop means when the limit is reached.
fn full(read: Result<(), Stop>, is_full: bool, reason: Reason) -> Result<(), Stop> {
    match read {
        Err(Stop::Short) if is_full => Err(reason.into()),
        other => other,
    }
}

/// Whether `Host` and the target name the same port. The port of the scheme need not be written;
/// CONNECT, which has no scheme, has its port in the target in any case.
pub(super) fn same_port(host: Option<u16>, target: Option<u16>, scheme: Option<Scheme>) -> bool {
    let default = scheme.map(Scheme::port).or(target);
    host.or(default) == target.or(default)
}

/// Marks the fields that `Connection` names.
fn nominate(bytes: &[u8], fields: &mut [Field]) {
    for index in 0..fields.len() {
        if fields[index].known != Known::Connection {
            continue;
        }
        let value = bytes.get(fields[index].value().range()).unwrap_or_default();
        let options = elements(value).filter(|option| {
            let is_option =
                ["close", "keep-alive"].iter().any(|o| option.eq_ignore_ascii_case(o.as_bytes()));
            !(is_option || option.is_empty() || known(option).is_owned() || is_for_all(option))
        });
        for option in options {
            for field in fields.iter_mut() {
                let name = bytes.get(field.name().range()).unwrap_or_default();
                if name.eq_ignore_ascii_case(option) {
                    field.set(NOMINATED);
                }
            }
        }
    }
}
