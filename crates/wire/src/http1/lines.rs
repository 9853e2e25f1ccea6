//! The lines of fields (RFC 9112, section 5), one pass, resumable at every byte. Heads and trailers
//! are read by the same code.

use super::field::{Field, Known, PLAIN, Span, is_look_alike, known};
use super::lenient::{Leniency, Lenient};
use super::limits::NAME_MAX;
use super::reason::Reason;
use super::token::{end_of_text, end_of_token};

/// Why reading stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// The bytes are at their end.
    Short,
    Refused(Reason),
}

impl From<Reason> for Stop {
    fn from(reason: Reason) -> Self {
        Self::Refused(reason)
    }
}

/// What is read next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Next {
    #[default]
    Line,
    Name,
    Blanks,
    Value,
}

/// Where the reading of lines stands.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lines {
    /// The first byte that is not read yet.
    pub(super) at: usize,
    next: Next,
    name: Span,
    value_start: usize,
}

impl Lines {
    /// Begins at a line's first byte.
    pub(super) fn from(at: usize) -> Self {
        Self { at, ..Self::default() }
    }

    /// The next field, or `None` behind the empty line that ends them.
    #[inline]
    pub(super) fn field(&mut self, bytes: &[u8], lenient: Lenient) -> Result<Option<Field>, Stop> {
        if self.next == Next::Line && self.begins(bytes)? {
            return Ok(None);
        }
        if self.next == Next::Name {
            self.name(bytes)?;
        }
        if self.next == Next::Blanks {
            while matches!(bytes.get(self.at), Some(b' ' | b'\t')) {
                self.at += 1;
            }
            if self.at >= bytes.len() {
                return Err(Stop::Short);
            }
            self.value_start = self.at;
            self.next = Next::Value;
        }
        self.value(bytes, lenient).map(Some)
    }

    /// At the first byte of a line; `true` if it was the empty one.
    #[inline]
    fn begins(&mut self, bytes: &[u8]) -> Result<bool, Stop> {
        match bytes.get(self.at) {
            None => Err(Stop::Short),
            Some(b'\r') => {
                line_end(bytes, self.at)?;
                self.at += 2;
                Ok(true)
            }
            Some(b'\n') => Err(Reason::BareLf.into()),
            Some(b' ' | b'\t') => Err(Reason::ObsFold.into()),
            Some(b':') => Err(Reason::EmptyName.into()),
            Some(_) => {
                self.name.start = Span::new(self.at, self.at).start;
                self.next = Next::Name;
                Ok(false)
            }
        }
    }

    #[inline]
    fn name(&mut self, bytes: &[u8]) -> Result<(), Stop> {
        self.at = end_of_token(bytes, self.at);
        self.name = Span::new(self.name.start as usize, self.at);
        // Judged by what was read, not by what there is: a name may come in pieces.
        if self.name.length as usize > NAME_MAX {
            return Err(Reason::NameTooLong.into());
        }
        match bytes.get(self.at) {
            None => Err(Stop::Short),
            Some(b':') => {
                self.at += 1;
                self.next = Next::Blanks;
                Ok(())
            }
            Some(b' ' | b'\t') => Err(Reason::SpaceBeforeColon.into()),
            Some(b'\r') => Err(Reason::NoColon.into()),
            Some(0x80..) => Err(Reason::NameByte.into()),
            Some(byte) if byte.is_ascii_control() => Err(Reason::of_control(*byte).into()),
            Some(_) => Err(Reason::NameByte.into()),
        }
    }

    #[inline]
    fn value(&mut self, bytes: &[u8], lenient: Lenient) -> Result<Field, Stop> {
        loop {
            self.at = end_of_text(bytes, self.at);
            match bytes.get(self.at) {
                None => return Err(Stop::Short),
                Some(b'\r') => break,
                Some(b'\t') => self.at += 1,
                Some(byte) => match Reason::of_control(*byte) {
                    Reason::Control if lenient.allows(Leniency::ValueControl) => self.at += 1,
                    reason => return Err(reason.into()),
                },
            }
        }
        line_end(bytes, self.at)?;
        let mut end = self.at;
        while end > self.value_start && matches!(bytes.get(end - 1), Some(b' ' | b'\t')) {
            end -= 1;
        }
        let name = bytes.get(self.name.range()).unwrap_or_default();
        let known = known(name);
        if known == Known::Other && is_look_alike(name) {
            return Err(Reason::NameLookAlike.into());
        }
        let colon = self.name.range().end;
        let is_plain =
            end == self.at && self.value_start == colon + 2 && bytes.get(colon + 1) == Some(&b' ');
        let flags = if is_plain { PLAIN } else { 0 };
        let value = Span::new(self.value_start, end);
        self.at += 2;
        self.next = Next::Line;
        Ok(Field::new(self.name, value, known, flags))
    }
}

/// At `at` is a CR: an LF must follow (RFC 9112, section 2.2).
pub(super) fn line_end(bytes: &[u8], at: usize) -> Result<(), Stop> {
    match bytes.get(at + 1) {
        None => Err(Stop::Short),
        Some(b'\n') => Ok(()),
        Some(_) => Err(Reason::BareCr.into()),
    }
}
