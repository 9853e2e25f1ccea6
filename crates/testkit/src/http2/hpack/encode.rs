//! Writes blocks of fields, right or wrong, without a table of its own.

use crate::http2::huffman;

/// What the reader's table keeps of a literal field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indexing {
    /// It becomes an entry.
    Incremental,
    /// Nothing.
    Without,
    /// Nothing, and whoever passes it on must not keep it either.
    Never,
}

/// A string.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Text {
    /// As it is.
    Plain(Vec<u8>),
    /// In Huffman's code.
    Huffman(Vec<u8>),
}

/// The name of a literal field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Name {
    /// That of an entry.
    Index(u64),
    /// Written out.
    New(Text),
}

/// One part of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// An entry of the tables, existing or not.
    Index(u64),
    /// A field that is written out.
    Literal(Indexing, Name, Text),
    /// The size of the dynamic table from here on.
    Size(u64),
    /// Any bytes.
    Raw(Vec<u8>),
}

impl Field {
    /// Written out, and kept nowhere.
    pub fn new(name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        let name = Name::New(Text::Plain(name.as_ref().to_vec()));
        Self::literal(Indexing::Without, name, value)
    }

    /// With a plain value.
    pub fn literal(indexing: Indexing, name: Name, value: impl AsRef<[u8]>) -> Self {
        Self::Literal(indexing, name, Text::Plain(value.as_ref().to_vec()))
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Index(index) => integer(out, 0x80, 7, *index),
            Self::Size(size) => integer(out, 0x20, 5, *size),
            Self::Raw(bytes) => out.extend_from_slice(bytes),
            Self::Literal(indexing, name, value) => {
                let (first, prefix) = match indexing {
                    Indexing::Incremental => (0x40, 6),
                    Indexing::Without => (0, 4),
                    Indexing::Never => (0x10, 4),
                };
                match name {
                    Name::Index(index) => integer(out, first, prefix, *index),
                    Name::New(text) => {
                        out.push(first);
                        text.write(out);
                    }
                }
                value.write(out);
            }
        }
    }
}

impl Text {
    fn write(&self, out: &mut Vec<u8>) {
        let (first, bytes) = match self {
            Self::Plain(bytes) => (0, bytes.clone()),
            Self::Huffman(bytes) => (0x80, huffman::encode(bytes)),
        };
        integer(out, first, 7, bytes.len() as u64);
        out.extend(bytes);
    }
}

/// A number with so many bits in its first byte, whose other bits are those of `first` (RFC 7541,
/// section 5.1).
fn integer(out: &mut Vec<u8>, first: u8, prefix: u8, value: u64) {
    let most = (1_u64 << prefix) - 1;
    if value < most {
        return out.push(first | value as u8);
    }
    out.push(first | most as u8);
    let mut rest = value - most;
    while rest >= 0x80 {
        out.push(0x80 | (rest & 0x7f) as u8);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// The bytes of a block.
#[must_use]
pub fn block(fields: &[Field]) -> Vec<u8> {
    let mut out = Vec::new();
    for field in fields {
        field.write(&mut out);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_standard() {
        let written = |prefix, value| {
            let mut out = Vec::new();
            integer(&mut out, 0, prefix, value);
            out
        };
        // RFC 7541, appendix C.1.
        assert_eq!(written(5, 10), [10]);
        assert_eq!(written(5, 1337), [31, 154, 10]);
        assert_eq!(written(8, 42), [42]);
    }
}
