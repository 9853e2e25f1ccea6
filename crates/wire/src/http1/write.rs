//! Writes heads in their one canonical form: one blank where one belongs, one `Host`, one framing
//! field, nothing of another connection. One pass, into one buffer.

use super::field::{Field, PLAIN, Span};
use super::framing::Body;
use super::head::Head;
use super::trailers::Trailers;
use crate::digits::decimal;

/// What a head says about the connection that it is written to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Persist {
    /// Nothing: HTTP/1.1 connections are kept.
    #[default]
    Implied,
    /// `Connection: close`.
    Close,
    /// `Connection: keep-alive`, for clients of HTTP/1.0.
    KeepAlive,
}

/// How a head is written, where that does not follow from the head alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Framing<'a> {
    /// How the body will end.
    pub body: Body,
    /// What becomes of the connection after it.
    pub persist: Persist,
    /// The protocols to write into `Upgrade`; none: it is not passed on.
    pub upgrade: Option<&'a [u8]>,
    /// Whether to say `TE: trailers`.
    pub te_trailers: bool,
}

impl Framing<'_> {
    /// As the message came, on a connection that is kept and not upgraded.
    #[must_use]
    pub const fn of(head: &Head) -> Self {
        let persist = Persist::Implied;
        Self { body: head.body(), persist, upgrade: None, te_trailers: false }
    }
}

/// Appends the request in `head` to `out`, as HTTP/1.1.
///
/// HTTP/1.1 wants a host: where [`Head::authority`] is empty, set one first.
pub fn write_request(head: &Head, framing: &Framing<'_>, out: &mut Vec<u8>) {
    out.reserve(head.bytes().len() + head.edited.len() + ROOM);
    let target = match head.target() {
        [] => head.authority(),
        target => target,
    };
    for part in [head.method(), b" ", target, b" HTTP/1.1\r\nHost: ", head.authority(), b"\r\n"] {
        out.extend_from_slice(part);
    }
    write_fields(head, out);
    match framing.body {
        Body::Length(length) => write_length(length, out),
        Body::Chunked => out.extend_from_slice(CHUNKED),
        // A request without a body says nothing, and none ends with the connection.
        Body::None | Body::UntilClose => {}
    }
    write_connection(framing, out);
}

/// Appends the response in `head` to `out`, as HTTP/1.1 (RFC 9112, section 2.3: also to clients of
/// HTTP/1.0, whose bodies must not be chunked).
pub fn write_response(head: &Head, framing: &Framing<'_>, out: &mut Vec<u8>) {
    out.reserve(head.bytes().len() + head.edited.len() + ROOM);
    let status = head.status();
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend([100, 10, 1].map(|place| digit(u64::from(status / place))));
    for part in [b" ", head.phrase(), b"\r\n"] {
        out.extend_from_slice(part);
    }
    write_fields(head, out);
    match (framing.body, head.declared_length()) {
        (Body::Length(length), _) | (Body::None, Some(length)) => write_length(length, out),
        (Body::Chunked, _) => out.extend_from_slice(CHUNKED),
        (Body::None | Body::UntilClose, _) => {}
    }
    write_connection(framing, out);
}

const CHUNKED: &[u8] = b"Transfer-Encoding: chunked\r\n";

/// Bytes for what is written beside the fields.
const ROOM: usize = 128;

/// The fields that are passed on. Neighbours that need no change are copied together.
fn write_fields(head: &Head, out: &mut Vec<u8>) {
    let mut run = Span::default();
    for field in head.fields.iter().filter(|field| field.is_forwarded()) {
        let (name, value) = (field.name(), field.value());
        if !field.has(PLAIN) {
            out.extend_from_slice(head.text(std::mem::take(&mut run)));
            for part in [head.text(name), b": ", head.text(value), b"\r\n"] {
                out.extend_from_slice(part);
            }
            continue;
        }
        if name.start != run.start + run.length {
            out.extend_from_slice(head.text(run));
            run.start = name.start;
        }
        run.length = value.start + value.length + 2 - run.start;
    }
    out.extend_from_slice(head.text(run));
}

fn write_length(length: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(b"Content-Length: ");
    decimal(out, length);
    out.extend_from_slice(b"\r\n");
}

const fn digit(number: u64) -> u8 {
    b'0' + (number % 10) as u8
}

/// `Upgrade`, `TE` and `Connection`, and the empty line.
fn write_connection(framing: &Framing<'_>, out: &mut Vec<u8>) {
    if let Some(protocols) = framing.upgrade {
        for part in [b"Upgrade: ", protocols, b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
    if framing.te_trailers {
        out.extend_from_slice(b"TE: trailers\r\n");
    }
    let options = [
        ("close", framing.persist == Persist::Close),
        ("keep-alive", framing.persist == Persist::KeepAlive),
        ("upgrade", framing.upgrade.is_some()),
        ("TE", framing.te_trailers),
    ];
    let mut before: &[u8] = b"Connection: ";
    for (option, _) in options.iter().filter(|(_, wanted)| *wanted) {
        out.extend_from_slice(before);
        out.extend_from_slice(option.as_bytes());
        before = b", ";
    }
    if before == b", " {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b"\r\n");
}

/// Appends the last chunk, the trailers, and the empty line.
pub fn write_last_chunk(trailers: &Trailers, out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n");
    for (name, value) in trailers.fields() {
        for part in [name, b": ", value, b"\r\n"] {
            out.extend_from_slice(part);
        }
    }
    out.extend_from_slice(b"\r\n");
}

const _: () = assert!(size_of::<Field>() == 16, "fields are copied and scanned for every message");
