//! How much of a head is read.

/// The longest head that can be configured, in bytes.
pub const HEAD_MAX: usize = 1 << 20;

/// The most fields that can be configured.
pub const FIELDS_MAX: usize = 1000;

/// The longest field name that is read, in bytes.
pub const NAME_MAX: usize = 256;

/// The longest method that is read, in bytes.
pub const METHOD_MAX: usize = 32;

/// How many fields `Connection` may name in one message: each costs a look at all fields.
pub const NOMINATED_MAX: u8 = 16;

/// Bytes of chunk extensions that are passed over in one body.
pub const EXTENSIONS_MAX: u32 = 4096;

/// The limits of a head, and of the trailers behind a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    start_line: usize,
    head: usize,
    fields: usize,
}

impl Default for Limits {
    /// 8 KiB for the first line (RFC 9112, section 3, asks for at least 8,000 bytes), 32 KiB in
    /// all, 100 fields.
    fn default() -> Self {
        Self::new(8 << 10, 32 << 10, 100)
    }
}

impl Limits {
    /// The longest first line and the longest head with it, both in bytes with their line ends, and
    /// the most fields. What is over [`HEAD_MAX`] and [`FIELDS_MAX`] is brought down to them.
    #[must_use]
    pub const fn new(start_line: usize, head: usize, fields: usize) -> Self {
        let head = if head < HEAD_MAX { head } else { HEAD_MAX };
        let start_line = if start_line < head { start_line } else { head };
        let fields = if fields < FIELDS_MAX { fields } else { FIELDS_MAX };
        Self { start_line, head, fields }
    }

    /// The longest first line, in bytes with its line end.
    #[must_use]
    pub const fn start_line(&self) -> usize {
        self.start_line
    }

    /// The longest head, in bytes with its first line and its empty line. The same limit holds for
    /// the trailers of a body.
    #[must_use]
    pub const fn head(&self) -> usize {
        self.head
    }

    /// The most fields.
    #[must_use]
    pub const fn fields(&self) -> usize {
        self.fields
    }
}
