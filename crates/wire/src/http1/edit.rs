//! What rules change in a head. The next rule sees the change; the bytes that were received stay as
//! they are.

use super::authority::Authority;
use super::field::{EDITED, Field, Known, PLAIN, REMOVED, Span, known};
use super::head::Head;
use super::lenient::Lenient;
use super::limits::{FIELDS_MAX, HEAD_MAX, NAME_MAX};
use super::target::{self, Named};
use super::token::{fault, is_token, trim};
use crate::digits;
use std::fmt;
use std::net::IpAddr;

/// Why a head cannot be changed so. The head is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditError {
    /// The name is no token, or is longer than [`super::NAME_MAX`].
    Name,
    /// The value has control characters, or blanks around it.
    Value,
    /// The codec writes this field itself: framing, `Host`, and what is about one connection.
    Owned,
    /// The target does not begin with a slash or holds bytes that have to be percent-encoded.
    Target,
    /// It is no host with an optional port.
    Authority,
    /// The edits together are larger than a head may be.
    TooMuch,
}

impl fmt::Display for EditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "the field's name is no token",
            Self::Value => "the field's value has control characters or blanks around it",
            Self::Owned => "this field follows from the message and is never set by a rule",
            Self::Target => {
                "the path does not begin with / or has characters to be percent-encoded"
            }
            Self::Authority => "this is no host with an optional port",
            Self::TooMuch => "the changes are larger than a head may be",
        })
    }
}

impl std::error::Error for EditError {}

impl Head {
    /// Adds a field behind all others.
    ///
    /// # Errors
    /// [`EditError`]: name or value cannot be a field, or the codec owns it.
    pub fn add(&mut self, name: &[u8], value: &[u8]) -> Result<(), EditError> {
        let field = self.edited_field(name, value)?;
        self.fields.push(field);
        Ok(())
    }

    /// Puts one field in the place of all that have its name.
    ///
    /// # Errors
    /// [`EditError`]: name or value cannot be a field, or the codec owns it.
    pub fn set(&mut self, name: &[u8], value: &[u8]) -> Result<(), EditError> {
        let field = self.edited_field(name, value)?;
        self.remove(name);
        self.fields.push(field);
        Ok(())
    }

    /// Takes all fields of this name away, and returns how many there were. Fields that the codec
    /// owns stay.
    pub fn remove(&mut self, name: &[u8]) -> usize {
        if known(name).is_owned() {
            return 0;
        }
        let mut count = 0;
        for index in 0..self.fields.len() {
            let field = self.fields[index];
            let fits = field.name().length as usize == name.len() && !field.has(REMOVED);
            if fits && self.text(field.name()).eq_ignore_ascii_case(name) {
                self.fields[index].set(REMOVED);
                count += 1;
            }
        }
        count
    }

    /// Puts what is known here of the client in the place of all that proxies before this one said of it:
    /// `X-Forwarded-For`, `-Proto`, `-Host` and `-Port`. What cannot be a field's value or finds no room is
    /// left out rather than the request refused.
    pub fn set_forwarded(&mut self, client: IpAddr, scheme: &str, port: u16) {
        self.remove_forwarded();
        self.tell(b"X-Forwarded-For", |out, _| digits::ip(out, client));
        self.tell(b"X-Forwarded-Proto", |out, _| out.extend_from_slice(scheme.as_bytes()));
        let (host, authority) = (self.named().span, self.authority());
        if fault(authority).is_none() && trim(authority).len() == authority.len() {
            self.tell(b"X-Forwarded-Host", |out, received| match host.start & EDITED {
                0 => out.extend_from_slice(received.get(host.range()).unwrap_or_default()),
                _ => out.extend_from_within(host.range()),
            });
        }
        self.tell(b"X-Forwarded-Port", |out, _| digits::decimal(out, port.into()));
    }

    fn tell(&mut self, name: &[u8], value: impl FnOnce(&mut Vec<u8>, &[u8])) {
        if let Ok(field) = self.line(name, Known::Forwarded, value) {
            self.fields.push(field);
        }
    }

    /// Takes all that proxies before this one said of the client away.
    pub fn remove_forwarded(&mut self) {
        let told = self.fields.iter_mut().filter(|field| field.known == Known::Forwarded);
        told.for_each(|field| field.set(REMOVED));
    }

    /// Puts `target`, a path with an optional query, in the place of the request's.
    ///
    /// # Errors
    /// [`EditError::Target`].
    pub fn set_target(&mut self, target: &[u8]) -> Result<(), EditError> {
        // What the request itself was allowed to have may stand in what is made of it.
        let query = target::origin(target, Lenient::all()).map_err(|_| EditError::Target)?;
        let span = self.keep(target)?;
        let query = query.map_or(0, |query| span.range().start + query);
        self.edited_target = Some((span, query));
        Ok(())
    }

    /// Puts `authority`, a host with an optional port, in the place of the request's.
    ///
    /// # Errors
    /// [`EditError::Authority`].
    pub fn set_authority(&mut self, authority: &[u8]) -> Result<(), EditError> {
        let read = Authority::read(authority, Lenient::NONE).ok_or(EditError::Authority)?;
        let span = self.keep(authority)?;
        let mut named = Named::new(span.range().start, read);
        named.span.start |= EDITED;
        self.edited_authority = Some(named);
        Ok(())
    }

    /// Takes all edits back.
    pub fn undo_edits(&mut self) {
        self.fields.truncate(self.received);
        self.fields.iter_mut().for_each(|field| field.clear(REMOVED));
        self.edited.clear();
        self.edited_target = None;
        self.edited_authority = None;
    }

    fn edited_field(&mut self, name: &[u8], value: &[u8]) -> Result<Field, EditError> {
        if !is_token(name) || name.len() > NAME_MAX {
            return Err(EditError::Name);
        }
        let known = known(name);
        if known.is_owned() {
            return Err(EditError::Owned);
        }
        if fault(value).is_some() || trim(value).len() != value.len() {
            return Err(EditError::Value);
        }
        self.line(name, known, |out, _| out.extend_from_slice(value))
    }

    /// Keeps a field as the line that it will be; `value` writes its value, and sees what was received.
    fn line(
        &mut self,
        name: &[u8],
        known: Known,
        value: impl FnOnce(&mut Vec<u8>, &[u8]),
    ) -> Result<Field, EditError> {
        if self.fields.len() >= 2 * FIELDS_MAX {
            return Err(EditError::TooMuch);
        }
        let (line, received) = self.edits();
        let start = line.len();
        line.extend_from_slice(name);
        line.extend_from_slice(b": ");
        let before = line.len();
        value(line, received);
        let behind = line.len();
        line.extend_from_slice(b"\r\n");
        if line.len() > HEAD_MAX {
            line.truncate(start);
            return Err(EditError::TooMuch);
        }
        let span = |from, to| {
            let Span { start, length } = Span::new(from, to);
            Span { start: start | EDITED, length }
        };
        let (name, value) = (span(start, start + name.len()), span(before, behind));
        Ok(Field::new(name, value, known, PLAIN))
    }

    /// Keeps `text` with the edits.
    fn keep(&mut self, text: &[u8]) -> Result<Span, EditError> {
        let start = self.edited.len();
        if start + text.len() > HEAD_MAX {
            return Err(EditError::TooMuch);
        }
        self.edited.extend_from_slice(text);
        let mut span = Span::new(start, self.edited.len());
        span.start |= EDITED;
        Ok(span)
    }
}
