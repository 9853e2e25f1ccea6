//! Heads that do not come as HTTP/1: HTTP/2's, and answers of our own. Each part is copied once,
//! into the shape that HTTP/1 is written in.

use super::authority::{Authority, Scheme};
use super::field::{Field, Known, PLAIN, Span, is_look_alike, known};
use super::framing::Body;
use super::head::{Asked, Head, Start, Version};
use super::lenient::Lenient;
use super::limits::{Limits, METHOD_MAX, NAME_MAX};
use super::message::same_port;
use super::reason::Reason;
use super::start_line::is_miswritten;
use super::target::{self, Named};
use super::token::{fault, is_token, trim};

impl Head {
    /// Begins an HTTP/2 request. What was in the head is forgotten. `target` is its `:path`, empty
    /// for CONNECT; `authority` its `:authority`, empty if it has none (then `Host` must follow).
    ///
    /// # Errors
    /// [`Reason`], as for HTTP/1.
    pub fn begin_request(
        &mut self,
        method: &[u8],
        scheme: Option<Scheme>,
        authority: &[u8],
        target: &[u8],
        lenient: Lenient,
    ) -> Result<(), Reason> {
        self.clear();
        if !is_token(method) {
            return Err(Reason::MethodMalformed);
        }
        if method.len() > METHOD_MAX {
            return Err(Reason::MethodTooLong);
        }
        if is_miswritten(method) {
            return Err(Reason::MethodCase);
        }
        let query = match (method, target) {
            (b"CONNECT", b"") | (b"OPTIONS", b"*") => None,
            _ => target::origin(target, lenient)?,
        };
        let method_span = self.put(method);
        let authority_start = method.len();
        let named = match authority {
            [] => Named::default(),
            _ if authority.contains(&b'@') => return Err(Reason::TargetUserinfo),
            _ => {
                let read = Authority::read(authority, lenient).ok_or(Reason::TargetAuthority)?;
                Named::new(authority_start, read)
            }
        };
        self.put(authority);
        let span = self.put(target);
        let start = Start {
            method: method_span,
            target: span,
            query: query.map_or(0, |query| span.range().start + query),
            authority: named,
            scheme,
            version: Version::Http2,
            is_kept: true,
            ..Start::default()
        };
        self.end(start);
        Ok(())
    }

    /// Begins a response. What was in the head is forgotten.
    ///
    /// # Errors
    /// [`Reason::StatusRange`].
    pub fn begin_response(&mut self, version: Version, status: u16) -> Result<(), Reason> {
        self.clear();
        if !(100..=999).contains(&status) {
            return Err(Reason::StatusRange);
        }
        self.end(Start { version, status, is_kept: true, ..Start::default() });
        let phrase = self.put(phrase(status).as_bytes());
        self.end(Start { phrase, ..self.start });
        Ok(())
    }

    /// Adds a field. `Content-Length` becomes [`Self::body`]; `Host` must agree with the authority,
    /// or becomes it; fields of HTTP/1 connections are refused (RFC 9113, section 8.2.2), except
    /// `TE: trailers`.
    ///
    /// # Errors
    /// [`Reason`], as for HTTP/1.
    pub fn append(
        &mut self,
        name: &[u8],
        value: &[u8],
        limits: &Limits,
        lenient: Lenient,
    ) -> Result<(), Reason> {
        // HTTP/1 has blanks there and takes them away; here whoever sends them means something by it.
        if trim(value).len() != value.len() {
            return Err(Reason::ValueBlank);
        }
        if !is_token(name) {
            return Err(Reason::NameByte);
        }
        if name.len() > NAME_MAX {
            return Err(Reason::NameTooLong);
        }
        if let Some(reason) = fault(value) {
            return Err(reason);
        }
        if is_look_alike(name) {
            return Err(Reason::NameLookAlike);
        }
        if self.fields.len() >= limits.fields() {
            return Err(Reason::TooManyFields);
        }
        if self.bytes().len() + name.len() + value.len() + 4 > limits.head() {
            return Err(Reason::HeadTooLarge);
        }
        let known = known(name);
        self.note(known, value, lenient)?;
        self.push(name, value, known);
        Ok(())
    }

    /// Completes the response to what `asked` says: how its body ends (RFC 9112, section 6.3; RFC 9113,
    /// section 8.1.1). `ends`: nothing follows its head.
    ///
    /// # Errors
    /// [`Reason::UnexpectedBody`]
    pub fn finish_response(&mut self, asked: Asked, ends: bool) -> Result<(), Reason> {
        let length = if let Body::Length(length) = self.start.body { Some(length) } else { None };
        let is_bare = match self.start.status {
            100..=199 | 204 if length.unwrap_or(0) > 0 => return Err(Reason::UnexpectedBody),
            100..=199 | 204 => true,
            200..=299 if asked.connect => true,
            304 => true,
            _ => asked.head,
        };
        self.start.declared = length.filter(|_| asked.head || self.start.status == 304);
        self.start.body = match length {
            _ if is_bare => Body::None,
            Some(length) => Body::Length(length),
            None if ends => Body::Length(0),
            None => Body::Chunked,
        };
        Ok(())
    }

    /// Says how the body ends, where no `Content-Length` does.
    pub const fn set_body(&mut self, body: Body) {
        self.start.body = body;
    }

    /// Asks for another protocol, as `Connection: upgrade` and `Upgrade` do: an extended CONNECT
    /// (RFC 8441, section 4).
    ///
    /// # Errors
    /// [`Reason`]
    pub fn set_upgrade(&mut self, protocol: &[u8], limits: &Limits) -> Result<(), Reason> {
        if !is_token(protocol) {
            return Err(Reason::UpgradeMalformed);
        }
        if !matches!(self.start.body, Body::None | Body::Length(0)) {
            return Err(Reason::UnexpectedBody);
        }
        if self.bytes().len() + "upgrade: ".len() + protocol.len() + 2 > limits.head() {
            return Err(Reason::HeadTooLarge);
        }
        self.start.upgrades = true;
        self.start.body = Body::None;
        self.push(b"upgrade", protocol, Known::Upgrade);
        Ok(())
    }

    fn push(&mut self, name: &[u8], value: &[u8], known: Known) {
        let name = self.put(name);
        self.put(b": ");
        let value = self.put(value);
        self.put(b"\r\n");
        self.fields.push(Field::new(name, value, known, PLAIN));
        self.end(self.start);
    }

    fn note(&mut self, known: Known, value: &[u8], lenient: Lenient) -> Result<(), Reason> {
        let is_request = self.start.status == 0;
        match known {
            Known::Other | Known::Forwarded => Ok(()),
            Known::Expect if !is_request => Ok(()),
            Known::Expect if value.eq_ignore_ascii_case(b"100-continue") => {
                self.start.expect_continue = true;
                Ok(())
            }
            Known::Expect => Err(Reason::ExpectUnknown),
            Known::Host if !is_request => Ok(()),
            Known::Host => self.append_host(value, lenient),
            Known::ContentLength => {
                let digits = str::from_utf8(value).ok();
                let digits = digits.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
                let digits =
                    digits.filter(|text| !text.is_empty()).ok_or(Reason::LengthMalformed)?;
                let length = digits.parse::<i64>().map_err(|_| Reason::LengthTooLarge)?;
                match self.start.body {
                    Body::Length(_) => Err(Reason::LengthDoubled),
                    _ => {
                        self.start.body = Body::Length(length.unsigned_abs());
                        Ok(())
                    }
                }
            }
            Known::Te if value.eq_ignore_ascii_case(b"trailers") => {
                self.start.te_trailers = true;
                Ok(())
            }
            _ => Err(Reason::ConnectionField),
        }
    }

    fn append_host(&mut self, value: &[u8], lenient: Lenient) -> Result<(), Reason> {
        if self.first(b"host").is_some() {
            return Err(Reason::HostDoubled);
        }
        let read = Authority::read(value, lenient).ok_or(Reason::HostMalformed)?;
        if self.authority().is_empty() {
            // Behind its name and the colon, where it is about to be.
            let start = self.bytes().len() + "host: ".len();
            self.start.authority = Named::new(start, read);
            return Ok(());
        }
        let host = value.get(..read.host).unwrap_or_default();
        let fits = host.eq_ignore_ascii_case(self.host());
        if fits && same_port(read.port, self.port(), self.scheme()) {
            Ok(())
        } else {
            Err(Reason::HostMismatch)
        }
    }

    fn clear(&mut self) {
        self.use_rest(usize::MAX);
        self.recycle();
    }

    /// Adds bytes to the head.
    fn put(&mut self, text: &[u8]) -> Span {
        let bytes = self.buffer();
        let start = bytes.len();
        bytes.extend_from_slice(text);
        Span::new(start, start + text.len())
    }

    /// Everything that was put into it is the head.
    fn end(&mut self, start: Start) {
        let length = self.buffer().len();
        self.finish(length, start);
    }
}

/// The usual phrase, for those who look at the bytes; programs look at the number.
const fn phrase(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        101 => "Switching Protocols",
        103 => "Early Hints",
        200 => "OK",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        303 => "See Other",
        304 => "Not Modified",
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
        500 => "Internal Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}
