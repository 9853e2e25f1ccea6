//! Lengths and vectors of the TLS presentation language (RFC 8446, section 3).

/// A position in bytes. Every method returns `None` when the bytes do not suffice; then there is
/// nothing more to read from it.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn bytes(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.bytes(1).map(|taken| taken[0])
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.bytes(2).map(|taken| u16::from_be_bytes([taken[0], taken[1]]))
    }

    /// A vector after one byte of length.
    pub(super) fn vector8(&mut self) -> Option<&'a [u8]> {
        let length = self.u8()?;
        self.bytes(usize::from(length))
    }

    /// A vector after two bytes of length.
    pub(super) fn vector16(&mut self) -> Option<&'a [u8]> {
        let length = self.u16()?;
        self.bytes(usize::from(length))
    }

    /// The vector after two bytes of length that is all there is.
    pub(super) fn only_vector16(&mut self) -> Option<&'a [u8]> {
        self.vector16().filter(|_| self.is_empty())
    }

    /// The vector after one byte of length that is all there is.
    pub(super) fn only_vector8(&mut self) -> Option<&'a [u8]> {
        self.vector8().filter(|_| self.is_empty())
    }
}
