//! What must hold whatever bytes the HTTP/1 codec is given. Shared by the fuzz targets and by the
//! replay of their corpora in `cargo test`.

use eclusa_wire::http1::{
    Asked, Body, CHUNK_END, ChunkHead, Chunked, Framing, Head, Leniency, Lenient, Limits, Parsed,
    Parser, Reason, Trailers, write_last_chunk, write_request, write_response,
};
use std::num::NonZeroU64;

/// How a message is read.
#[derive(Clone, Copy)]
pub struct How {
    /// For a response, what it answers.
    pub asked: Option<Asked>,
    pub lenient: Lenient,
}

impl How {
    pub fn parser(self) -> Parser {
        match self.asked {
            None => Parser::request(Limits::default(), self.lenient),
            Some(asked) => Parser::response(asked, Limits::default(), self.lenient),
        }
    }
}

/// Panics if a property does not hold for `data` as a request.
pub fn check_request(data: &[u8]) {
    let strict = check(data, How { asked: None, lenient: Lenient::NONE });
    let lenient = check(data, How { asked: None, lenient: Lenient::all() });
    assert!(strict.is_none() || strict == lenient, "leniency changed what is read");
}

/// Panics if a property does not hold for `data` as a response.
pub fn check_response(data: &[u8]) {
    for (head, connect) in [(false, false), (true, false), (false, true)] {
        let asked = Some(Asked { head, connect, upgrade: head });
        let strict = check(data, How { asked, lenient: Lenient::NONE });
        let lenient = check(data, How { asked, lenient: Lenient::all() });
        assert!(strict.is_none() || strict == lenient, "leniency changed what is read");
    }
}

/// What a head says to the next hop.
#[derive(Debug, PartialEq, Eq)]
pub struct Facts {
    line: Vec<Vec<u8>>,
    numbers: (u16, Option<u16>, Option<u64>, bool),
    body: Body,
    fields: Vec<(Vec<u8>, Vec<u8>)>,
}

pub fn facts(head: &Head) -> Facts {
    let line = [
        head.method(),
        head.target(),
        head.path(),
        head.query().unwrap_or(b"none"),
        head.authority(),
        head.host(),
        head.phrase(),
    ];
    Facts {
        line: line.map(<[u8]>::to_vec).to_vec(),
        numbers: (head.status(), head.port(), head.declared_length(), head.expects_continue()),
        body: head.body(),
        fields: head.forwarded().map(|(name, value)| (name.to_vec(), value.to_vec())).collect(),
    }
}

/// Reads `data` at once.
pub fn read(data: &[u8], how: How) -> (Parsed, Head) {
    let mut head = Head::new();
    head.buffer().extend_from_slice(data);
    let parsed = how.parser().parse(&mut head);
    (parsed, head)
}

fn check(data: &[u8], how: How) -> Option<Facts> {
    let (parsed, mut head) = read(data, how);
    for size in [1, 3, 17, 256] {
        in_pieces(data, size, how, parsed, &head);
    }
    let Parsed::Complete(length) = parsed else { return None };
    assert!(length <= data.len());
    assert_eq!(head.bytes().len(), length);
    assert_eq!(head.rest(), &data[length..]);
    let facts = facts(&head);
    written_is_read(&head, how, &facts);
    edits_are_undone(&mut head, &facts);
    let used = head.rest().len().min(3);
    head.use_rest(used);
    head.recycle();
    assert_eq!(head.buffer()[..], data[length + used..]);
    Some(facts)
}

/// Fed in pieces: incomplete, then the verdict that the whole gets, and the same head.
fn in_pieces(data: &[u8], size: usize, how: How, whole: Parsed, head: &Head) {
    let mut pieces = Head::new();
    let mut parser = how.parser();
    for piece in data.chunks(size) {
        pieces.buffer().extend_from_slice(piece);
        match parser.parse(&mut pieces) {
            Parsed::NeedMore => {}
            verdict => {
                assert_eq!(verdict, whole, "in pieces of {size}");
                assert_eq!(parser.parse(&mut pieces), whole, "asked again");
                if matches!(whole, Parsed::Complete(_)) {
                    assert_eq!(facts(&pieces), facts(head));
                }
                return;
            }
        }
    }
    assert_eq!(whole, Parsed::NeedMore, "in pieces of {size}");
}

/// What is written reads as what was read, and is then written the same way again.
fn written_is_read(head: &Head, how: How, facts: &Facts) {
    let is_request = how.asked.is_none();
    if is_request && head.authority().is_empty() && !how.lenient.allows(Leniency::HostEmpty) {
        return; // HTTP/1.0 without Host: the exchange has to name one.
    }
    let write = |head: &Head| {
        let mut out = Vec::new();
        match is_request {
            true => write_request(head, &Framing::of(head), &mut out),
            false => write_response(head, &Framing::of(head), &mut out),
        }
        out
    };
    let first = write(head);
    let limits = Limits::new(1 << 20, 1 << 20, 1000);
    let mut parser = match how.asked {
        None => Parser::request(limits, how.lenient),
        Some(asked) => Parser::response(asked, limits, how.lenient),
    };
    let mut again = Head::new();
    again.buffer().extend_from_slice(&first);
    assert_eq!(parser.parse(&mut again), Parsed::Complete(first.len()), "{}", first.escape_ascii());
    assert_eq!(&self::facts(&again), facts, "{}", first.escape_ascii());
    assert_eq!(write(&again).escape_ascii().to_string(), first.escape_ascii().to_string());
    for owned in ["keep-alive", "proxy-connection", "http2-settings", "te", "upgrade", "connection"]
    {
        assert_eq!(again.first(owned.as_bytes()), None);
    }
    assert_eq!(
        again.all(b"host").count(),
        usize::from(is_request || head.first(b"host").is_none() && again.first(b"host").is_some())
    );
}

fn edits_are_undone(head: &mut Head, facts: &Facts) {
    let name = head.fields().next().map(|(name, _)| name.to_vec()).unwrap_or_default();
    let _ = head.set(&name, b"edited");
    head.remove(b"x");
    assert_eq!(head.add(b"X-Added", b"a"), Ok(()));
    assert_eq!(head.set_target(b"/edited?a"), Ok(()));
    assert_eq!(head.set_authority(b"edited.example:1"), Ok(()));
    assert_eq!(head.path(), b"/edited");
    assert_eq!(head.query(), Some(&b"a"[..]));
    assert_eq!((head.host(), head.port()), (&b"edited.example"[..], Some(1)));
    assert!(head.all(b"x-added").any(|value| value == b"a"));
    head.undo_edits();
    assert_eq!(&self::facts(head), facts);
}

/// Panics if a property does not hold for `data` as a chunked body, or as the data of one.
pub fn check_chunks(data: &[u8]) {
    let whole = decode(data, data.len().max(1));
    for size in [1, 2, 7, 100] {
        assert_eq!(decode(data, size), whole, "in pieces of {size}");
    }
    if let Ok(Some(plain)) = plainly(data) {
        let (body, used) = plain;
        let expected = Ok(Decodings { body, used, ended: true, trailers: Vec::new() });
        assert_eq!(whole, expected, "a plain reader disagrees");
    } else if let Ok(decoded) = &whole
        && decoded.ended
        && decoded.trailers.is_empty()
        && !data[..decoded.used].contains(&b';')
    {
        panic!("only a plain reader refuses {}", data.escape_ascii());
    }
    if let Ok(decoded) = &whole {
        written_chunks_are_read(decoded);
    }
    let trailers = vec![(b"x".to_vec(), b"y".to_vec())];
    let body = data.to_vec();
    written_chunks_are_read(&Decodings { body, used: 0, ended: true, trailers });
}

#[derive(Debug, PartialEq, Eq)]
struct Decodings {
    body: Vec<u8>,
    used: usize,
    ended: bool,
    trailers: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Decodes `data`, which comes in pieces of `size` bytes.
fn decode(data: &[u8], size: usize) -> Result<Decodings, Reason> {
    let mut chunked = Chunked::new(Limits::default(), Lenient::NONE);
    let mut trailers = Trailers::default();
    let mut found = Decodings { body: Vec::new(), used: 0, ended: false, trailers: Vec::new() };
    for piece in data.chunks(size) {
        let mut at = 0;
        while at < piece.len() && !found.ended {
            let input = &piece[at..];
            let decoded = chunked.decode(input, &mut trailers)?;
            assert!(decoded.used > 0 && decoded.used <= input.len());
            assert!(decoded.data.is_empty() || decoded.data.end == decoded.used);
            found.body.extend_from_slice(&input[decoded.data]);
            found.used += decoded.used;
            found.ended = decoded.ended;
            at += decoded.used;
        }
        if found.ended {
            let again = chunked.decode(b"more", &mut trailers)?;
            assert!(again.ended && again.used == 0);
            break;
        }
    }
    let owned = |(name, value): (&[u8], &[u8])| (name.to_vec(), value.to_vec());
    found.trailers = trailers.fields().map(owned).collect();
    Ok(found)
}

/// A second reader, as plain as can be: no extensions, no trailers. `None`: it needs more.
fn plainly(data: &[u8]) -> Result<Option<(Vec<u8>, usize)>, ()> {
    let mut body = Vec::new();
    let mut at = 0;
    loop {
        let rest = &data[at..];
        let Some(end) = rest.windows(2).position(|two| two == b"\r\n") else { return Ok(None) };
        let digits = &rest[..end];
        if !(1..=16).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(());
        }
        let text = str::from_utf8(digits).map_err(drop)?;
        let size = i64::from_str_radix(text, 16).map_err(drop)?.unsigned_abs();
        let size = usize::try_from(size).map_err(drop)?;
        at += end + 2;
        let Some(rest) = data.get(at..) else { return Ok(None) };
        if rest.len() < size.saturating_add(2) {
            return Ok(None);
        }
        if rest[size..size + 2] != *b"\r\n" {
            return Err(());
        }
        body.extend_from_slice(&rest[..size]);
        at += size + 2;
        if size == 0 {
            return Ok(Some((body, at)));
        }
    }
}

/// A body in chunks of our own reads as it was.
fn written_chunks_are_read(meant: &Decodings) {
    let mut wire = Vec::new();
    let size = 1 + meant.body.len() / 3;
    for piece in meant.body.chunks(size) {
        if let Some(length) = NonZeroU64::new(piece.len() as u64) {
            wire.extend_from_slice(ChunkHead::new(length).as_bytes());
            wire.extend_from_slice(piece);
            wire.extend_from_slice(CHUNK_END);
        }
    }
    let mut trailers = Trailers::default();
    for (name, value) in &meant.trailers {
        assert_eq!(trailers.append(name, value, &Limits::default()), Ok(()));
    }
    write_last_chunk(&trailers, &mut wire);
    let (used, body, trailers) = (wire.len(), meant.body.clone(), meant.trailers.clone());
    let expected = Decodings { body, used, ended: true, trailers };
    assert_eq!(decode(&wire, 11), Ok(expected), "{}", wire.escape_ascii());
}
