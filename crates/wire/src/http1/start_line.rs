//! The first line of a head, resumable at every byte.

use super::field::Span;
use super::head::{Start, Version};
use super::lenient::{Leniency, Lenient};
use super::limits::METHOD_MAX;
use super::lines::{Stop, line_end};
use super::reason::Reason;
use super::target::{self, Target, Walk};
use super::token::{TOKEN, end_of_run, end_of_text};

/// What is read next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Next {
    #[default]
    Empty,
    Method,
    Target,
    Path,
    OtherTarget,
    Version,
    Status,
    Phrase,
}

/// Where the reading of the first line stands, and what it said so far.
#[derive(Clone, Debug, Default)]
pub(super) struct StartLine {
    next: Next,
    /// The first byte that is not read yet.
    pub(super) at: usize,
    /// Where the part begins that is being read.
    mark: usize,
    /// Bytes of empty lines before the request.
    pub(super) leading: usize,
    walk: Walk,
    pub(super) target: Target,
    pub(super) start: Start,
    lenient: Lenient,
}

impl StartLine {
    pub(super) fn request(lenient: Lenient) -> Self {
        Self { lenient, ..Self::default() }
    }

    pub(super) fn status(lenient: Lenient) -> Self {
        Self { next: Next::Status, lenient, ..Self::default() }
    }

    /// Whether nothing of a request is there yet.
    pub(super) fn is_idle(&self) -> bool {
        matches!(self.next, Next::Empty) || (self.next == Next::Method && self.at == self.mark)
    }

    /// How many bytes are read.
    pub(super) const fn position(&self) -> usize {
        match self.next {
            Next::Path => self.walk.at,
            _ => self.at,
        }
    }

    /// RFC 9112, section 3.
    pub(super) fn request_line(&mut self, bytes: &mut [u8]) -> Result<(), Stop> {
        if self.next == Next::Method {
            self.method(bytes)?;
        }
        if self.next == Next::Target {
            self.next = match bytes.get(self.at) {
                None => return Err(Stop::Short),
                Some(b'/') if !self.is_connect(bytes) => Next::Path,
                Some(b' ') => return Err(Reason::RequestLine.into()),
                Some(_) => Next::OtherTarget,
            };
            self.walk.at = self.at;
        }
        if self.next == Next::Path {
            match self.walk.on(bytes, self.lenient)? {
                None => return Err(Stop::Short),
                Some(b' ') => {}
                Some(byte) => return Err(target::bad_byte(byte).into()),
            }
            self.target.span = Span::new(self.mark, self.walk.at);
            self.target.query = self.walk.query.unwrap_or(0);
            self.at = self.walk.at + 1;
            self.next = Next::Version;
        }
        if self.next == Next::OtherTarget {
            self.other_target(bytes)?;
        }
        self.start.version = match version(bytes, self.at) {
            Ok(version) => version,
            Err(Stop::Refused(Reason::StatusLine)) => return Err(Reason::RequestLine.into()),
            Err(stop) => return Err(stop),
        };
        match bytes.get(self.at + 8) {
            None => return Err(Stop::Short),
            Some(b'\r') => line_end(bytes, self.at + 8)?,
            Some(b'\n') => return Err(Reason::BareLf.into()),
            Some(_) => return Err(Reason::VersionMalformed.into()),
        }
        self.at += 10;
        Ok(())
    }

    /// RFC 9112, section 2.2: one empty line before a request is passed over.
    pub(super) fn empty_lines(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        if self.next != Next::Empty {
            return Ok(());
        }
        let most = if self.lenient.allows(Leniency::EmptyLines) { 8 } else { 1 };
        loop {
            match bytes.get(self.at) {
                None => return Err(Stop::Short),
                Some(b'\r') if self.leading >= 2 * most => return Err(Reason::EmptyLines.into()),
                Some(b'\r') => line_end(bytes, self.at)?,
                Some(b'\n') => return Err(Reason::BareLf.into()),
                Some(_) => break,
            }
            self.at += 2;
            self.leading = self.at;
        }
        self.mark = self.at;
        self.next = Next::Method;
        Ok(())
    }

    fn method(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.at = end_of_run(bytes, self.at, TOKEN);
        if self.at - self.mark > METHOD_MAX {
            return Err(Reason::MethodTooLong.into());
        }
        let method = bytes.get(self.mark..self.at).unwrap_or_default();
        match bytes.get(self.at) {
            None => return Err(Stop::Short),
            Some(b' ') if method.is_empty() => return Err(Reason::RequestLine.into()),
            Some(b' ') => {}
            Some(0x16) if method.is_empty() => return Err(Reason::TlsHello.into()),
            Some(b'\r') => return Err(Reason::RequestLine.into()),
            Some(byte @ (0 | b'\n')) => return Err(Reason::of_control(*byte).into()),
            Some(_) => return Err(Reason::MethodMalformed.into()),
        }
        if is_miswritten(method) {
            return Err(Reason::MethodCase.into());
        }
        self.start.method = Span::new(self.mark, self.at);
        self.at += 1;
        self.mark = self.at;
        self.next = Next::Target;
        Ok(())
    }

    fn is_connect(&self, bytes: &[u8]) -> bool {
        bytes.get(self.start.method.range()) == Some(b"CONNECT")
    }

    fn other_target(&mut self, bytes: &mut [u8]) -> Result<(), Stop> {
        self.at = target::end_of_other(bytes, self.at, self.lenient);
        match bytes.get(self.at) {
            None => return Err(Stop::Short),
            Some(b' ') => {}
            Some(byte) => return Err(target::bad_byte(*byte).into()),
        }
        // A copy: the bytes may be changed.
        let mut copy = [0; METHOD_MAX];
        let method = bytes.get(self.start.method.range()).unwrap_or_default();
        let length = method.len().min(METHOD_MAX);
        copy[..length].copy_from_slice(&method[..length]);
        self.target = target::other(bytes, (self.mark, self.at), &copy[..length], self.lenient)?;
        self.at += 1;
        self.next = Next::Version;
        Ok(())
    }

    /// RFC 9112, section 4.
    pub(super) fn status_line(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        if self.next == Next::Status {
            self.start.version = version(bytes, 0)?;
            for at in 8..12 {
                match bytes.get(at) {
                    None => return Err(Stop::Short),
                    Some(b' ') if at == 8 => {}
                    Some(digit) if at > 8 && digit.is_ascii_digit() => {
                        let status = if at == 9 { 0 } else { self.start.status * 10 };
                        self.start.status = status + u16::from(digit - b'0');
                    }
                    Some(b'\n') => return Err(Reason::BareLf.into()),
                    Some(_) => return Err(Reason::StatusLine.into()),
                }
            }
            let last = if self.lenient.allows(Leniency::StatusAbove599) { 999 } else { 599 };
            if !(100..=last).contains(&self.start.status) {
                return Err(Reason::StatusRange.into());
            }
            self.mark = match bytes.get(12) {
                None => return Err(Stop::Short),
                Some(b' ') => 13,
                Some(b'\r') if self.lenient.allows(Leniency::StatusWithoutSpace) => 12,
                Some(b'\n') => return Err(Reason::BareLf.into()),
                Some(_) => return Err(Reason::StatusLine.into()),
            };
            self.at = self.mark;
            self.next = Next::Phrase;
        }
        loop {
            self.at = end_of_text(bytes, self.at);
            match bytes.get(self.at) {
                None => return Err(Stop::Short),
                Some(b'\r') => break,
                Some(b'\t') => self.at += 1,
                Some(byte) => return Err(Reason::of_control(*byte).into()),
            }
        }
        line_end(bytes, self.at)?;
        self.start.phrase = Span::new(self.mark, self.at);
        self.at += 2;
        Ok(())
    }
}

/// The version at `at`, eight bytes. [`Reason::StatusLine`]: there is none.
fn version(bytes: &[u8], at: usize) -> Result<Version, Stop> {
    const SHAPE: [u8; 8] = *b"HTTP/0.0";
    let text = bytes.get(at..bytes.len().min(at + 8)).unwrap_or_default();
    match text {
        b"HTTP/1.1" => return Ok(Version::Http11),
        b"HTTP/1.0" => return Ok(Version::Http10),
        _ => {}
    }
    for (index, (byte, wanted)) in text.iter().zip(SHAPE).enumerate() {
        let fits = *byte == wanted || (wanted == b'0' && byte.is_ascii_digit());
        match (fits, index) {
            (true, _) => {}
            (false, 0) => return Err(Reason::StatusLine.into()),
            (false, _) => return Err(Reason::VersionMalformed.into()),
        }
    }
    if text.len() < SHAPE.len() { Err(Stop::Short) } else { Err(Reason::VersionUnsupported.into()) }
}

/// Methods are case-sensitive (RFC 9110, section 9.1), but not everywhere, and on some of these
/// depends how the response is framed.
pub(super) fn is_miswritten(method: &[u8]) -> bool {
    const METHODS: [&str; 9] =
        ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    method.iter().any(u8::is_ascii_lowercase)
        && METHODS.iter().any(|other| method.eq_ignore_ascii_case(other.as_bytes()))
}
