//! The HTTP/1 codec from outside.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

mod bodies;
mod edits;
mod filled;
mod properties;
mod table;
mod tables;
mod written;

#[path = "../../../../fuzz/oracles/http1.rs"]
mod oracle;

use eclusa_wire::http1::{Asked, Head, Lenient, Parsed};
use oracle::{How, read};

/// The head of a request that must be right.
#[track_caller]
fn request(wire: &str) -> Head {
    let (parsed, head) = read(wire.as_bytes(), How { asked: None, lenient: Lenient::NONE });
    assert!(matches!(parsed, Parsed::Complete(_)), "{parsed:?}");
    head
}

/// The head of a response that must be right.
#[track_caller]
fn response(wire: &str, asked: Asked) -> Head {
    let how = How { asked: Some(asked), lenient: Lenient::NONE };
    let (parsed, head) = read(wire.as_bytes(), how);
    assert!(matches!(parsed, Parsed::Complete(_)), "{parsed:?}");
    head
}

/// Fields as text.
fn text<'a>(fields: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Vec<String> {
    fields
        .map(|(name, value)| format!("{}: {}", name.escape_ascii(), value.escape_ascii()))
        .collect()
}
