//! What must hold whatever bytes the ClientHello reader is given. Shared by the fuzz target, by
//! the replay of its corpus in `cargo test`, and (the builder) by the tests of `eclusa-wire`.

use eclusa_wire::client_hello::{ClientHello, HELLO_MAX, NAME_MAX, Peek, ServerName, peek};
use std::net::IpAddr;

/// Panics if a property does not hold for `data`.
pub fn check(data: &[u8]) {
    prefixes_agree(data);
    if let Peek::Complete(hello) = peek(data) {
        facts_are_sane(&hello);
        split_otherwise(data, &hello);
    }
    made_up(data);
}

/// Fed piece by piece: incomplete, with a bound that only rises and is never past the end; then a
/// verdict, and it is the one that the whole gets.
pub fn prefixes_agree(data: &[u8]) {
    let whole = peek(data);
    let mut bound = 0;
    // Byte by byte at first, then in steps: the walk is quadratic.
    let step = (data.len() / 256).max(1);
    let lengths = (0..data.len().min(600)).chain((600..data.len()).step_by(step));
    for length in lengths.chain([data.len()]) {
        match (peek(&data[..length]), &whole) {
            (Peek::Incomplete { at_least }, whole) => {
                assert!(at_least > length && at_least >= bound && at_least <= HELLO_MAX);
                bound = at_least;
                match whole {
                    Peek::Complete(hello) => assert!(at_least <= hello.wire_len),
                    Peek::Incomplete { .. } => {}
                    _ => assert!(length < data.len()),
                }
            }
            (Peek::Complete(early), Peek::Complete(hello)) => {
                assert!(early.wire_len <= length && bound <= early.wire_len);
                assert_eq!(early.trailing, length > early.wire_len);
                assert_eq!(&ClientHello { trailing: hello.trailing, ..early }, hello);
            }
            (verdict, whole) => assert_eq!(&verdict, whole, "after {length} bytes"),
        }
    }
}

fn facts_are_sane(hello: &ClientHello) {
    assert!(hello.wire_len <= HELLO_MAX);
    assert!(hello.alpn.iter().all(|protocol| !protocol.is_empty()));
    let listed: usize = hello.alpn.iter().map(|protocol| protocol.len() + 1).sum();
    assert_eq!(listed, hello.alpn.wire().len());
    if let Some(name) = hello.host() {
        assert!(is_host_name(name) && name.parse::<IpAddr>().is_err(), "{name:?}");
        assert_eq!(name, name.to_ascii_lowercase());
    }
}

fn is_host_name(name: &str) -> bool {
    let fits = |label: &str| !label.is_empty() && label.len() <= 63;
    name.len() <= NAME_MAX
        && name.split('.').all(fits)
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// The same message in other records says the same.
fn split_otherwise(data: &[u8], hello: &ClientHello) {
    let message = message_of(&data[..hello.wire_len]);
    for size in [1, 3, 64, 1 + usize::from(data[data.len() - 1]), message.len()] {
        let wire = records(&message, size);
        let same = ClientHello { wire_len: wire.len(), trailing: false, ..hello.clone() };
        if wire.len() > HELLO_MAX {
            assert_eq!(peek(&wire), Peek::TooLarge);
            continue;
        }
        assert_eq!(peek(&wire), Peek::Complete(same), "records of {size} bytes");
        if size < message.len() {
            let mut broken = wire;
            broken[5 + size] = 21; // an alert between two records of the hello
            assert!(matches!(peek(&broken), Peek::Malformed(_)));
        }
    }
}

/// The handshake message in `wire`, which consists of whole records.
pub fn message_of(mut wire: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    while let [_, _, _, high, low, rest @ ..] = wire {
        let (payload, after) = rest.split_at(usize::from(*high) * 256 + usize::from(*low));
        message.extend_from_slice(payload);
        wire = after;
    }
    message
}

/// `message` in records of at most `size` bytes.
pub fn records(message: &[u8], size: usize) -> Vec<u8> {
    let mut wire = Vec::new();
    for payload in message.chunks(size) {
        wire.extend_from_slice(&[22, 3, 1]);
        wire.extend_from_slice(&vector16(payload));
    }
    wire
}

/// `content` after two bytes of length.
pub fn vector16(content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("vectors in tests are short").to_be_bytes();
    [&length, content].concat()
}

/// A ClientHello to be written, from plain to as odd as the caller likes.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    /// Extensions in order, by number.
    pub extensions: Vec<(u16, Vec<u8>)>,
}

impl Builder {
    /// Adds an extension.
    #[must_use]
    pub fn extension(mut self, kind: u16, content: &[u8]) -> Self {
        self.extensions.push((kind, content.to_vec()));
        self
    }

    /// Adds a server name.
    #[must_use]
    pub fn server_name(self, name: &[u8]) -> Self {
        let entry = [&[0][..], &vector16(name)].concat();
        self.extension(0, &vector16(&entry))
    }

    /// Adds a list of application protocols.
    #[must_use]
    pub fn alpn(self, protocols: &[&[u8]]) -> Self {
        let mut list = Vec::new();
        for protocol in protocols {
            list.push(u8::try_from(protocol.len()).expect("names in tests are short"));
            list.extend_from_slice(protocol);
        }
        self.extension(16, &vector16(&list))
    }

    /// Offers GREASE, TLS 1.3 and 1.2.
    #[must_use]
    pub fn tls13(self) -> Self {
        self.extension(43, &[6, 0x7a, 0x7a, 3, 4, 3, 3])
    }

    /// The handshake message.
    #[must_use]
    pub fn message(&self) -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend_from_slice(&[7; 32]); // random
        body.extend_from_slice(&[1, 9]); // session id
        body.extend_from_slice(&[0, 4, 0x13, 1, 0x0a, 0x0a]); // cipher suites
        body.extend_from_slice(&[1, 0]); // compression methods
        if !self.extensions.is_empty() {
            let mut all = Vec::new();
            for (kind, content) in &self.extensions {
                all.extend_from_slice(&kind.to_be_bytes());
                all.extend_from_slice(&vector16(content));
            }
            body.extend_from_slice(&vector16(&all));
        }
        message(&body)
    }

    /// The message in one record.
    #[must_use]
    pub fn wire(&self) -> Vec<u8> {
        records(&self.message(), 1 << 14)
    }
}

/// `body` as a ClientHello message.
pub fn message(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("bodies in tests are short").to_be_bytes();
    [&[1], &length[1..], body].concat()
}

/// Takes `data` as a description of a hello.
fn made_up(data: &[u8]) {
    let Some((flags, rest)) = data.split_first() else { return };
    let pieces: Vec<&[u8]> = rest.chunks(1 + usize::from(*flags)).take(8).collect();
    let (Some((name, protocols)), true) = (pieces.split_first(), rest.len() < 1024) else { return };
    let protocols: Vec<&[u8]> = protocols.iter().copied().filter(|p| p.len() <= 255).collect();
    let mut builder = Builder::default().extension(0x2a2a, b"");
    if flags & 1 != 0 {
        builder = builder.server_name(name);
    }
    if flags & 2 != 0 && !protocols.is_empty() {
        builder = builder.alpn(&protocols);
    }
    if flags & 4 != 0 {
        builder = builder.tls13();
    }
    if flags & 8 != 0 {
        builder = builder.extension(42, b"");
    }
    let wire = builder.wire();
    let Peek::Complete(hello) = peek(&wire) else { panic!("{:?} of {builder:?}", peek(&wire)) };
    assert_eq!(hello.wire_len, wire.len());
    assert!(!hello.trailing);
    assert_eq!(hello.tls13, flags & 4 != 0);
    assert_eq!(hello.early_data, flags & 8 != 0);
    let offered: Vec<&[u8]> = hello.alpn.iter().collect();
    assert_eq!(offered, if flags & 2 != 0 { protocols } else { vec![] });
    match str::from_utf8(name) {
        _ if flags & 1 == 0 => assert_eq!(hello.server_name, ServerName::Absent),
        Ok(text) if text.parse::<IpAddr>().is_ok() => {
            assert_eq!(hello.server_name, ServerName::Address);
        }
        Ok(text) if is_host_name(text.strip_suffix('.').unwrap_or(text)) => {
            let name = text.strip_suffix('.').unwrap_or(text).to_ascii_lowercase();
            assert_eq!(hello.host(), Some(&*name));
        }
        _ => assert_eq!(hello.server_name, ServerName::Invalid),
    }
    prefixes_agree(&wire);
    split_otherwise(&wire, &hello);
}
