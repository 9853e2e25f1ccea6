//! The ClientHello from outside: hellos of a real client, every reason to refuse, odd splits.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use eclusa_wire::client_hello::{ClientHello, HELLO_MAX, Peek, ServerName, peek};
use proptest::prelude::*;
use rustls::crypto::aws_lc_rs::{default_provider, kx_group};
use rustls::pki_types::ServerName as Name;
use rustls::server::Acceptor;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion};
use std::sync::Arc;

#[path = "../../../fuzz/oracles/client_hello.rs"]
mod oracle;

use oracle::{Builder, message, message_of, records, vector16};

/// The hello of a rustls client. With `hybrid` it carries a post-quantum key share.
fn golden(
    name: &str,
    alpn: &[&str],
    versions: &[&'static SupportedProtocolVersion],
    hybrid: bool,
) -> Vec<u8> {
    let mut provider = default_provider();
    provider.kx_groups = match hybrid {
        true => vec![kx_group::X25519MLKEM768, kx_group::X25519],
        false => vec![kx_group::X25519],
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(provider))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let name = Name::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut wire = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut wire).unwrap();
    }
    wire
}

#[track_caller]
fn hello(wire: &[u8]) -> ClientHello {
    match peek(wire) {
        Peek::Complete(hello) => hello,
        other => panic!("{other:?}"),
    }
}

fn protocols(hello: &ClientHello) -> Vec<&[u8]> {
    hello.alpn.iter().collect()
}

#[test]
fn hellos_of_a_real_client() {
    for (versions, hybrid, sizes) in [
        (&[&TLS12][..], false, 100..300),
        (&[&TLS12, &TLS13], false, 150..350),
        (&[&TLS13], true, 1300..1700),
        (&[&TLS12, &TLS13], true, 1300..1700),
    ] {
        let wire = golden("Shop.Example.com", &["h2", "http/1.1"], versions, hybrid);
        assert!(sizes.contains(&wire.len()), "{} bytes", wire.len());
        let hello = hello(&wire);
        assert_eq!(hello.host(), Some("shop.example.com"));
        assert_eq!(protocols(&hello), [&b"h2"[..], b"http/1.1"]);
        assert_eq!(hello.tls13, versions.iter().any(|version| **version == TLS13));
        assert_eq!((hello.wire_len, hello.trailing, hello.early_data), (wire.len(), false, false));
        oracle::check(&wire);
        for size in [1, 2, 5, 100, 517, 1400] {
            oracle::check(&records(&message_of(&wire), size));
        }
    }
}

#[test]
fn a_real_client_without_name() {
    let hello = hello(&golden("10.0.0.11", &[], &[&TLS13], false));
    assert_eq!(hello.server_name, ServerName::Absent);
    assert!(hello.alpn.is_empty());
}

#[test]
fn server_names() {
    let longest = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(61));
    let too_long = format!("{0}.{0}.{0}.{1}", "a".repeat(63), "b".repeat(62));
    let label = "a".repeat(64);
    for (name, host) in [
        ("example.com", Some("example.com")),
        ("EXAMPLE.Com.", Some("example.com")),
        ("localhost", Some("localhost")),
        ("_x._tcp.a-b.example", Some("_x._tcp.a-b.example")),
        ("-a-.example", Some("-a-.example")),
        ("xn--bcher-kva.example", Some("xn--bcher-kva.example")),
        ("1.2.3.4.5", Some("1.2.3.4.5")),
        (&longest, Some(&longest)),
        (&too_long, None),
        (&label, None),
        (".", None),
        ("a..b", None),
        (".a", None),
        ("a.b..", None),
        ("a b", None),
        ("*.example.com", None),
        ("a.example:443", None),
        ("a\0b", None),
        ("bücher.example", None),
        ("[::1]", None),
    ] {
        let hello = hello(&Builder::default().server_name(name.as_bytes()).wire());
        assert_eq!(hello.host(), host, "{name}");
        assert_eq!(hello.server_name == ServerName::Invalid, host.is_none(), "{name}");
    }
    for address in ["10.0.0.1", "::1", "2001:db8::1", "::ffff:10.0.0.1"] {
        let hello = hello(&Builder::default().server_name(address.as_bytes()).wire());
        assert_eq!(hello.server_name, ServerName::Address, "{address}");
    }
    let hello = hello(&Builder::default().server_name(b"\xff.example").wire());
    assert_eq!(hello.server_name, ServerName::Invalid);
}

#[test]
fn names_of_unknown_kinds_are_passed_over() {
    let list = [&[9, 0, 2, 1, 2, 0, 0, 1][..], b"a", &[8, 0, 0]].concat();
    let hello = hello(&Builder::default().extension(0, &vector16(&list)).wire());
    assert_eq!(hello.host(), Some("a"));
    let only = hello_of_list(&[9, 0, 2, 1, 2]);
    assert_eq!(only.server_name, ServerName::Absent);
}

fn hello_of_list(list: &[u8]) -> ClientHello {
    hello(&Builder::default().extension(0, &vector16(list)).wire())
}

#[test]
fn extensions_that_matter() {
    let bare = hello(&Builder::default().wire());
    assert!(!bare.tls13 && !bare.early_data && bare.alpn.is_empty());
    let full = Builder::default()
        .extension(0x7a7a, b"") // GREASE
        .tls13()
        .alpn(&[&[0x7a, 0x7a], b"h2"])
        .extension(42, b"")
        .extension(0xfe0d, &[0; 200]); // an encrypted inner hello
    let full = hello(&full.wire());
    assert!(full.tls13 && full.early_data);
    assert_eq!(protocols(&full), [&[0x7a, 0x7a][..], b"h2"]);
    assert!(full.alpn.offers(b"h2") && !full.alpn.offers(b"h3"));
    assert_eq!(full.alpn.wire(), b"\x02\x7a\x7a\x02h2");
    let old = hello(&Builder::default().extension(43, &[2, 3, 3]).wire());
    assert!(!old.tls13);
}

#[test]
fn what_is_no_tls() {
    let http = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    let sslv2 = [0x80, 0x2e, 1, 3, 1, 0, 0x15, 0, 0, 0, 0x10];
    for bytes in [
        &http[..],
        b"G",
        b"SSH-2.0-x\r\n",
        b"PROXY TCP4 ",
        &sslv2,
        &[0],
        &[21, 3, 1],
        &[23, 3, 3],
        &[22, 2],
        &[22, 4],
        b"\x16GET",
    ] {
        assert_eq!(peek(bytes), Peek::NotTls, "{bytes:?}");
    }
    // Nothing has spoken against TLS yet.
    for bytes in [&[][..], &[22], &[22, 3], &[22, 3, 9]] {
        assert_eq!(peek(bytes), Peek::Incomplete { at_least: 50 }, "{bytes:?}");
    }
}

#[test]
fn how_many_bytes_are_missing() {
    let wire = Builder::default().server_name(b"example.com").wire();
    for length in 9..wire.len() {
        assert_eq!(peek(&wire[..length]), Peek::Incomplete { at_least: wire.len() });
    }
    // A second record will be needed, with a head of its own.
    let split = records(&message_of(&wire), 20);
    assert_eq!(peek(&split[..9]), Peek::Incomplete { at_least: wire.len() + 5 });
    assert_eq!(peek(&split[..40]), Peek::Incomplete { at_least: wire.len() + 10 });
}

#[test]
fn the_largest_hello() {
    // The record's head, the message's head, what stands before the extension, its own head.
    let around = 5 + 4 + 2 + 32 + 2 + 6 + 2 + 2 + 4;
    let of_size = |size: usize| Builder::default().extension(21, &vec![0; size - around]);
    let largest = of_size(HELLO_MAX).wire();
    assert_eq!(hello(&largest).wire_len, HELLO_MAX);
    assert_eq!(peek(&of_size(HELLO_MAX + 1).wire()[..9]), Peek::TooLarge);
    assert!(matches!(peek(&largest[..9]), Peek::Incomplete { at_least: HELLO_MAX }));
    // The heads of more records count: known as soon as the first is seen to be short.
    let split = records(&message_of(&largest), 8000);
    assert!(matches!(peek(&split[..3]), Peek::Incomplete { .. }));
    assert_eq!(peek(&split[..9]), Peek::TooLarge);
    assert_eq!(peek(&[22, 3, 1, 0x40, 0]), Peek::TooLarge);
    assert_eq!(peek(&[22, 3, 1, 0, 9, 1, 0xff, 0, 0]), Peek::TooLarge);
    oracle::check(&largest);
}

#[test]
fn bytes_after_the_hello() {
    let wire = Builder::default().server_name(b"example.com").wire();
    let more = [&wire[..], &[20, 3, 3, 0, 1, 1]].concat();
    let found = hello(&more);
    assert!(found.trailing && found.wire_len == wire.len());
    assert_eq!(ClientHello { trailing: false, ..found }, hello(&wire));
}

#[track_caller]
fn malformed(wire: &[u8], why: &str) {
    match peek(wire) {
        Peek::Malformed(text) => assert!(text.contains(why), "{text} instead of {why}"),
        other => panic!("{other:?} instead of {why}"),
    }
    oracle::prefixes_agree(wire);
}

#[test]
fn records_that_no_hello_comes_in() {
    let message = Builder::default().server_name(b"example.com").message();
    let split = records(&message, 30);
    malformed(&[22, 3, 1, 0, 0], "without content");
    malformed(&[22, 3, 1, 0x40, 1], "longer than TLS allows");
    malformed(&[22, 3, 3, 0, 60, 2], "no ClientHello");
    malformed(&[22, 3, 3, 0, 60, 1, 0, 0, 40], "too short");
    let mut alert_between = split.clone();
    alert_between[35] = 21;
    malformed(&alert_between[..36], "another kind of record");
    let mut other_version = split.clone();
    other_version[36] = 2;
    malformed(&other_version[..37], "version that is not TLS");
    let empty_between = [&split[..35], &[22, 3, 1, 0, 0]].concat();
    malformed(&empty_between, "without content");
    let two_messages = [&message[..], &message].concat();
    malformed(&records(&two_messages, 1 << 14), "bytes follow");
    malformed(&records(&two_messages, message.len() - 1), "bytes follow");
    malformed(&records(&[&message[..], &[0]].concat(), 1 << 14), "bytes follow");
}

/// A body up to the extensions, with one part replaced.
fn body(session_id: &[u8], suites: &[u8], compressions: &[u8]) -> Vec<u8> {
    let mut body = vec![3, 3];
    body.extend_from_slice(&[7; 32]);
    body.push(u8::try_from(session_id.len()).unwrap());
    body.extend_from_slice(session_id);
    body.extend_from_slice(&vector16(suites));
    body.push(u8::try_from(compressions.len()).unwrap());
    body.extend_from_slice(compressions);
    body
}

#[test]
fn bodies_that_are_wrong() {
    let good = body(&[], &[0x13, 1], &[0]);
    let wire = |body: &[u8]| records(&message(body), 1 << 14);
    hello(&wire(&good));
    malformed(&wire(&body(&[1; 33], &[0x13, 1], &[0])), "session id");
    malformed(&wire(&body(&[1; 5], &[], &[0])), "cipher suites");
    malformed(&wire(&body(&[], &[0x13, 1, 2], &[0])), "cipher suites");
    malformed(&wire(&body(&[1; 5], &[0x13, 1], &[])), "compression methods");
    let mut long_suites = good.clone();
    long_suites[35] = 1;
    malformed(&wire(&long_suites), "wrong lengths");
    for tail in [&[0][..], &[0, 1], &[0, 0, 0], &[0, 4, 1, 1, 0, 0, 9]] {
        malformed(&wire(&[&good[..], tail].concat()), "do not fill");
    }
    for extensions in [&[1][..], &[1, 1, 0], &[1, 1, 0, 1], &[1, 1, 0, 0, 9]] {
        let body = [&good[..], &vector16(extensions)].concat();
        malformed(&wire(&body), "beyond the end");
    }
}

#[test]
fn extensions_that_are_wrong() {
    let with = |kind, content: &[u8]| Builder::default().extension(kind, content).wire();
    let twice = Builder::default().server_name(b"a").extension(9, b"").server_name(b"b");
    malformed(&twice.wire(), "extension is there twice");
    malformed(&Builder::default().extension(9, b"").extension(9, b"").wire(), "there twice");
    malformed(&Builder::default().server_name(b"").wire(), "name is empty");
    malformed(&with(0, &vector16(b"\0\0\x01a\0\0\x01b")), "two server names");
    for content in [&b""[..], b"\0", b"\0\0", b"\0\x04\0\0\x02a", b"\0\x03\0\0\0\0", b"\0\x01\0"] {
        malformed(&with(0, content), "list of server names");
    }
    for content in [&b""[..], b"\0\0", b"\0\x01\0", b"\0\x03\x02h", b"\0\x02\x02h", b"\0\x02\x01hx"]
    {
        malformed(&with(16, content), "application protocols");
    }
    malformed(&with(42, b"\0"), "early_data");
    for content in
        [&b""[..], b"\0", b"\x01\x03", b"\x02\x03", b"\x03\x03\x04\x03", b"\x02\x03\x04\0"]
    {
        malformed(&with(43, content), "supported versions");
    }
}

/// The name and the protocols that rustls finds, or `None` if it refuses, wants more, or finds no
/// name (it tolerates lists of names that nothing can be read from; we do not).
fn by_rustls(mut wire: &[u8]) -> Option<(String, Vec<Vec<u8>>)> {
    let mut acceptor = Acceptor::default();
    while !wire.is_empty() {
        acceptor.read_tls(&mut wire).ok()?;
        if let Some(accepted) = acceptor.accept().ok()? {
            let hello = accepted.client_hello();
            let alpn = hello.alpn().map(|names| names.map(<[u8]>::to_vec).collect());
            return Some((hello.server_name()?.to_ascii_lowercase(), alpn.unwrap_or_default()));
        }
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(data in proptest::collection::vec(any::<u8>(), 0..300)) {
        oracle::check(&data);
        oracle::check(&records(&message(&data), 100));
    }

    #[test]
    fn damaged_hellos(
        size in 20_usize..400,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
    ) {
        let wire = Builder::default().server_name(b"a.example").tls13().alpn(&[b"h2"]).wire();
        let mut wire = records(&message_of(&wire), size);
        for (at, byte) in changes {
            let at = at.index(wire.len());
            wire[at] = byte;
        }
        oracle::check(&wire);
    }

    /// What rustls would serve, we can read, and we read the same name and protocols.
    #[test]
    fn rustls_agrees(
        hybrid in any::<bool>(),
        size in 1_usize..2000,
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..3),
    ) {
        let wire = golden("shop.example.com", &["h2", "http/1.1"], &[&TLS12, &TLS13], hybrid);
        let mut message = message_of(&wire);
        for (at, byte) in changes {
            let at = at.index(message.len());
            message[at] = byte;
        }
        let wire = records(&message, size);
        if let Some((name, alpn)) = by_rustls(&wire) {
            match peek(&wire) {
                Peek::Complete(hello) => {
                    assert_eq!(hello.host(), Some(name.trim_end_matches('.')));
                    assert_eq!(protocols(&hello), alpn);
                }
                // rustls stops at a name of unknown kind; we want its length to be right, as
                // other servers do, lest somebody finds another name in the rest.
                Peek::Malformed(why) => assert!(why.contains("list of server names"), "{why}"),
                other => assert_eq!(other, Peek::TooLarge),
            }
        }
    }
}
