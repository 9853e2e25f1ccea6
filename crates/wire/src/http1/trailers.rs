//! The fields behind a chunked body (RFC 9112, section 7.1.2), and those of HTTP/2.

use super::field::{Field, Span, is_forbidden_in_trailers, known};
use super::lenient::Lenient;
use super::limits::Limits;
use super::lines::{Lines, Stop};
use super::reason::Reason;
use super::token::{fault, is_token, trim};

/// Trailers. Empty ones hold no memory.
#[derive(Clone, Debug, Default)]
pub struct Trailers {
    bytes: Vec<u8>,
    fields: Vec<Field>,
}

impl Trailers {
    /// The fields in their order.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let text = |span: Span| self.bytes.get(span.range()).unwrap_or_default();
        self.fields.iter().map(move |field| (text(field.name()), text(field.value())))
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Forgets them; the memory is kept.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.fields.clear();
    }

    /// Adds a field that came in another version of HTTP, with one copy.
    ///
    /// # Errors
    /// [`Reason`]: it can be no trailer, or there are too many.
    pub fn append(&mut self, name: &[u8], value: &[u8], limits: &Limits) -> Result<(), Reason> {
        let value = trim(value);
        if !is_token(name) {
            return Err(Reason::NameByte);
        }
        if let Some(reason) = fault(value) {
            return Err(reason);
        }
        if name.len() > super::NAME_MAX {
            return Err(Reason::NameTooLong);
        }
        if self.bytes.len() + name.len() + value.len() > limits.head() {
            return Err(Reason::TrailersTooLarge);
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(value);
        let middle = start + name.len();
        let places = (Span::new(start, middle), Span::new(middle, self.bytes.len()));
        self.push(Field::new(places.0, places.1, known(name), 0), limits)
    }

    /// Takes the trailer section's bytes from the front of `input` until it ends. Returns how many
    /// bytes were its own, and whether that was all of it.
    pub(super) fn read(
        &mut self,
        lines: &mut Lines,
        input: &[u8],
        limits: &Limits,
        lenient: Lenient,
    ) -> Result<(usize, bool), Reason> {
        let mut used = 0;
        loop {
            // No byte beyond the line that is being read: it might be the next message's.
            let rest = input.get(used..).unwrap_or_default();
            let line = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |at| at + 1);
            let room = limits.head().saturating_sub(self.bytes.len());
            let taken = line.min(room);
            self.bytes.extend_from_slice(rest.get(..taken).unwrap_or_default());
            used += taken;
            match lines.field(&self.bytes, lenient) {
                Ok(None) => return Ok((used, true)),
                Ok(Some(field)) => self.push(field, limits)?,
                Err(Stop::Refused(reason)) => return Err(reason),
                Err(Stop::Short) if taken == room => return Err(Reason::TrailersTooLarge),
                Err(Stop::Short) => return Ok((used, false)),
            }
        }
    }

    fn push(&mut self, field: Field, limits: &Limits) -> Result<(), Reason> {
        let name = self.bytes.get(field.name().range()).unwrap_or_default();
        if is_forbidden_in_trailers(name) {
            return Err(Reason::TrailerForbidden);
        }
        if self.fields.len() >= limits.fields() {
            return Err(Reason::TooManyFields);
        }
        self.fields.push(field);
        Ok(())
    }
}
