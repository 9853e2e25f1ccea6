//! The PROXY protocol from outside: every reason to refuse, limits, round trips, odd splits.

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use eclusa_wire::proxy_protocol::{
    Header, Parsed, ProxyError, Tlvs, V2, V2_MAX, crc32c, encode_v1, encode_v2, encode_v2_local,
    parse,
};
use proptest::prelude::*;
use std::net::SocketAddr;
use std::num::NonZeroU8;

#[path = "../../../fuzz/oracles/proxy.rs"]
mod oracle;

const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
const V4: &[u8] = &[192, 0, 2, 1, 10, 0, 0, 5, 0x9c, 0x40, 0x01, 0xbb];

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// A header of version 2 from its parts.
fn v2(version_command: u8, family_transport: u8, block: &[u8]) -> Vec<u8> {
    let length = u16::try_from(block.len()).unwrap().to_be_bytes();
    [SIGNATURE, &[version_command, family_transport], &length, block].concat()
}

/// TCP over IPv4 with TLVs.
fn with_tlvs(tlvs: &[(u8, &[u8])]) -> Vec<u8> {
    let mut block = V4.to_vec();
    for (kind, value) in tlvs {
        block.push(*kind);
        block.extend_from_slice(&u16::try_from(value.len()).unwrap().to_be_bytes());
        block.extend_from_slice(value);
    }
    v2(0x21, 0x11, &block)
}

#[track_caller]
fn header(bytes: &[u8]) -> Header<'_> {
    match parse(bytes) {
        Ok(Parsed::Complete { header, consumed }) => {
            assert_eq!(consumed, bytes.len());
            header
        }
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn addresses(bytes: &[u8]) -> (SocketAddr, SocketAddr) {
    match header(bytes) {
        Header::Proxied { source, destination, .. } => (source, destination),
        other => panic!("{other:?}"),
    }
}

#[test]
fn lines_of_version_1() {
    for (line, source, destination) in [
        ("TCP4 192.168.0.1 192.168.0.11 56324 443", "192.168.0.1:56324", "192.168.0.11:443"),
        ("TCP4 0.0.0.0 255.255.255.255 0 65535", "0.0.0.0:0", "255.255.255.255:65535"),
        ("TCP6 2001:db8::1 ::1 1 2", "[2001:db8::1]:1", "[::1]:2"),
        ("TCP6 2001:DB8:0:0:0:0:0:1 0001::1 1 2", "[2001:db8::1]:1", "[1::1]:2"),
        ("TCP6 ::ffff:10.0.0.1 ::ffff:a00:2 1 2", "10.0.0.1:1", "10.0.0.2:2"),
    ] {
        let line = format!("PROXY {line}\r\n");
        assert_eq!(addresses(line.as_bytes()), (address(source), address(destination)), "{line}");
    }
}

#[test]
fn unknown_in_version_1() {
    let longest = format!("PROXY UNKNOWN {}\r\n", "x".repeat(91));
    assert_eq!(longest.len(), 107);
    for line in ["PROXY UNKNOWN\r\n", "PROXY UNKNOWN \r\n", "PROXY UNKNOWN a  b c\r\n", &longest] {
        assert_eq!(header(line.as_bytes()), Header::Unknown(Tlvs::default()), "{line}");
    }
}

#[test]
fn every_reason_to_refuse_a_line() {
    use ProxyError::*;
    let endless = format!("PROXY UNKNOWN {}", "x".repeat(92));
    for (line, error) in [
        ("G", NotProxy),
        ("PROXX", NotProxy),
        ("PROXYT", NotProxy),
        ("p", NotProxy),
        ("\x16", NotProxy),
        (&endless, V1TooLong),
        ("PROXY UD", V1Protocol),
        ("PROXY TCP5", V1Protocol),
        ("PROXY t", V1Protocol),
        ("PROXY  ", V1Protocol),
        ("PROXY TCP4x", V1Protocol),
        ("PROXY UNKNOWNX", V1Protocol),
        ("PROXY \r", V1Protocol),
        ("PROXY TCP4 1.2.3.4x", V1Address),
        ("PROXY TCP4 1.2.3 ", V1Address),
        ("PROXY TCP4 1.2.3.256 ", V1Address),
        ("PROXY TCP4 01.2.3.4 ", V1Address),
        ("PROXY TCP4 0x", V1Address),
        ("PROXY TCP4 :", V1Address),
        ("PROXY TCP4  ", V1Address),
        ("PROXY TCP4 1111111111111111", V1Address),
        ("PROXY TCP6 1.2.3.4 ", V1Address),
        ("PROXY TCP6 1::2::3 ", V1Address),
        ("PROXY TCP6 ::12345 ", V1Address),
        ("PROXY TCP6 fe80::1%", V1Address),
        ("PROXY TCP6 [", V1Address),
        ("PROXY TCP6 0000:0000:0000:0000:0000:0000:0000:0000:", V1Address),
        ("PROXY TCP4 1.2.3.4 x", V1Address),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 x", V1Port),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 +", V1Port),
        ("PROXY TCP4 1.2.3.4 1.2.3.4  ", V1Port),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 00", V1Port),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 08", V1Port),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 65536", V1Port),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 \r", V1Port),
        ("PROXY TCP4\r", V1Fields),
        ("PROXY TCP4 1.2.3.4\r", V1Fields),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1\r", V1Fields),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2 ", V1Fields),
        ("PROXY TCP4\n", V1LineEnd),
        ("PROXY TCP4 1.2.3.4\n", V1LineEnd),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n", V1LineEnd),
        ("PROXY TCP4 1.2.3.4 1.2.3.4 1 2\rx", V1LineEnd),
        ("PROXY UNKNOWN\n", V1LineEnd),
        ("PROXY UNKNOWN\rx", V1LineEnd),
        ("PROXY UNKNOWN x\n", V1LineEnd),
    ] {
        let bytes = line.as_bytes();
        assert_eq!(parse(bytes), Err(error), "{line:?}");
        // The last byte is the one that cannot be; what follows changes nothing.
        let before = parse(&bytes[..bytes.len() - 1]);
        assert!(matches!(before, Ok(Parsed::Incomplete { .. })), "{line:?}: {before:?}");
        assert_eq!(parse(&[bytes, b"\r\n"].concat()), Err(error), "{line:?}");
        oracle::check(bytes);
    }
}

#[test]
fn binary_headers() {
    let v6: Vec<u8> =
        [&[0x20, 1, 0x0d, 0xb8], &[0; 11][..], &[1], &[0; 15], &[1, 0, 1, 0, 2]].concat();
    let pair = (address("192.0.2.1:40000"), address("10.0.0.5:443"));
    assert_eq!(addresses(&v2(0x21, 0x11, V4)), pair);
    assert_eq!(addresses(&v2(0x21, 0x12, V4)), pair, "DGRAM has addresses as well");
    let pair = (address("[2001:db8::1]:1"), address("[::1]:2"));
    assert_eq!(addresses(&v2(0x21, 0x21, &v6)), pair);

    let unknown = Header::Unknown(Tlvs::default());
    let unix_with_id = [&[7; 216][..], &[5, 0, 1, b'x']].concat();
    for (family_transport, block, meant) in [
        (0x00, &[][..], unknown),
        (0x00, V4, unknown), // addresses of no family are ignored
        (
            0x00,
            &[5, 0, 1, b'x'],
            Header::Unknown(Tlvs { unique_id: Some(b"x"), ..Tlvs::default() }),
        ),
        (0x01, &[1], unknown),
        (0x10, V4, unknown),
        (0x20, &v6, unknown),
        (0x31, &[7; 216], unknown),
        (0x32, &unix_with_id, Header::Unknown(Tlvs { unique_id: Some(b"x"), ..Tlvs::default() })),
    ] {
        let bytes = v2(0x21, family_transport, block);
        assert_eq!(header(&bytes), meant, "{family_transport:#x}");
        oracle::check(&bytes);
    }
    for (family_transport, block) in [(0, &[][..]), (0x11, V4), (0xff, &[1; 300]), (0x11, &[3])] {
        assert_eq!(header(&v2(0x20, family_transport, block)), Header::Local);
    }
}

#[test]
fn every_reason_to_refuse_a_binary_header() {
    use ProxyError::*;
    let sum = [3, 0, 4, 0, 0, 0, 0];
    for (bytes, error) in [
        (b"\r\n\r\n\0\r\nQUIZ".to_vec(), NotProxy),
        (b"\r\n\r\nGET".to_vec(), NotProxy),
        (v2(0x11, 0x11, V4), Version(1)),
        (v2(0x31, 0x11, V4), Version(3)),
        (v2(0x22, 0x11, V4), Command(2)),
        (v2(0x21, 0x41, V4), Family(4)),
        (v2(0x21, 0x13, V4), Transport(3)),
        ([SIGNATURE, &[0x21, 0x11, 0xff, 0xff]].concat(), TooLong(16 + 65535)),
        ([SIGNATURE, &[0x21, 0x11, 0x0f, 0xf1]].concat(), TooLong(V2_MAX + 1)),
        ([SIGNATURE, &[0x20, 0, 0x0f, 0xf1]].concat(), TooLong(V2_MAX + 1)),
        (v2(0x21, 0x11, &V4[..11]), AddressCut),
        (v2(0x21, 0x21, V4), AddressCut),
        (v2(0x21, 0x31, V4), AddressCut),
        (v2(0x21, 0x11, &[V4, &[4]].concat()), TlvCut),
        (v2(0x21, 0x11, &[V4, &[4, 0]].concat()), TlvCut),
        (v2(0x21, 0x11, &[V4, &[4, 0, 2, 0]].concat()), TlvCut),
        (with_tlvs(&[(1, b"h2"), (1, b"h2")]), TlvTwice(1)),
        (with_tlvs(&[(2, b"a"), (4, b""), (2, b"b")]), TlvTwice(2)),
        (v2(0x21, 0x11, &[V4, &sum, &sum].concat()), TlvTwice(3)),
        (with_tlvs(&[(5, b""), (5, b"")]), TlvTwice(5)),
        (with_tlvs(&[(3, b"abc")]), ChecksumLength(3)),
        (with_tlvs(&[(3, b"abcd")]), Checksum),
        (v2(0x21, 0x00, &[3, 0, 4, 1, 2, 3, 4]), Checksum),
        (with_tlvs(&[(5, &[0; 129])]), UniqueIdTooLong(129)),
        (with_tlvs(&[(2, &[b'a'; 256])]), AuthorityTooLong(256)),
        (with_tlvs(&[(2, b"\xff.example.com")]), AuthorityText),
    ] {
        assert_eq!(parse(&bytes), Err(error), "{bytes:x?}");
        assert_eq!(parse(&[&bytes[..], b"\0\0"].concat()), Err(error));
        oracle::check(&bytes);
    }
}

#[test]
fn the_largest_header_that_is_accepted() {
    let padding = vec![0; V2_MAX - 16 - V4.len() - 3];
    let bytes = with_tlvs(&[(4, &padding)]);
    assert_eq!(bytes.len(), V2_MAX);
    assert!(matches!(header(&bytes), Header::Proxied { .. }));
}

#[test]
fn what_stands_beside_the_addresses() {
    let ssl = [7, 0, 0, 0, 0, 0x21, 0, 7, b'T', b'L', b'S', b'v', b'1', b'.', b'3'];
    let bytes = with_tlvs(&[
        (0x20, &ssl),
        (0x20, b"cut"), // what nobody here reads may be wrong
        (1, b"h2"),
        (4, b"......"),
        (4, b""),
        (2, "bücher.example".as_bytes()),
        (5, &[0xff; 128]),
        (0x30, b"blue"),
        (0xea, &[1, 0]),
    ]);
    let tlvs = Tlvs {
        alpn: Some(b"h2"),
        authority: Some("bücher.example"),
        unique_id: Some(&[0xff; 128]),
    };
    assert_eq!(header(&bytes).tlvs(), tlvs);
}

#[test]
fn how_many_bytes_are_missing() {
    for (bytes, at_least) in [
        (&b""[..], 15),
        (b"PROXY", 15),
        (b"PROXY U", 15),
        (b"PROXY T", 22),
        (b"PROXY TCP4 ", 32),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1000 2000", 38),
        (b"PROXY TCP4 1.2.3.4 1.2.3.4 1000 2000\r", 38),
        (b"\r", 16),
        (&v2(0x21, 0x11, V4)[..14], 28),
        (&v2(0x21, 0x11, &[0; 99])[..16], 115),
        (&v2(0x20, 0x11, V4)[..14], 16),
    ] {
        assert_eq!(parse(bytes), Ok(Parsed::Incomplete { at_least }), "{bytes:x?}");
    }
}

#[test]
fn written_lines() {
    for (source, destination, line) in [
        ("10.0.0.1:1", "10.0.0.2:2", "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n"),
        ("[::ffff:10.0.0.1]:1", "10.0.0.2:2", "PROXY TCP4 10.0.0.1 10.0.0.2 1 2\r\n"),
        ("[2001:db8::1]:1", "[::1]:2", "PROXY TCP6 2001:db8::1 ::1 1 2\r\n"),
        ("[2001:db8::1]:1", "10.0.0.2:2", "PROXY TCP6 2001:db8::1 ::ffff:a00:2 1 2\r\n"),
        ("10.0.0.1:1", "[fe80::1%7]:2", "PROXY TCP6 ::ffff:a00:1 fe80::1 1 2\r\n"),
    ] {
        let mut out = b"before".to_vec();
        encode_v1(&mut out, address(source), address(destination));
        assert_eq!(str::from_utf8(&out).unwrap(), format!("before{line}"));
    }
}

#[test]
fn written_binary_headers() {
    let mut out = b"before".to_vec();
    encode_v2(&mut out, &V2::new(address("192.0.2.1:40000"), address("10.0.0.5:443")));
    assert_eq!(out, [b"before", &v2(0x21, 0x11, V4)[..]].concat());

    let mut out = Vec::new();
    encode_v2_local(&mut out);
    assert_eq!(out, v2(0x20, 0, b""));
    assert_eq!(header(&out), Header::Local);
}

#[test]
fn the_checksum_is_over_the_header_alone() {
    let pair = (address("192.0.2.1:40000"), address("10.0.0.5:443"));
    let mut out = b"before".to_vec();
    encode_v2(&mut out, &V2 { crc32c: true, alpn: Some(b"h2"), ..V2::new(pair.0, pair.1) });
    let bytes = &out[6..];
    let mut zeroed = bytes.to_vec();
    zeroed[31..35].fill(0);
    assert_eq!(bytes[31..35], crc32c(&[&zeroed]).to_be_bytes());
    assert_eq!(header(bytes).tlvs().alpn, Some(&b"h2"[..]));
    for bit in 0..8 * V4.len() {
        let mut damaged = bytes.to_vec();
        damaged[16 + bit / 8] ^= 1 << (bit % 8);
        assert_eq!(parse(&damaged), Err(ProxyError::Checksum));
    }
}

#[test]
fn values_over_their_limits_are_left_out() {
    let pair = (address("192.0.2.1:40000"), address("10.0.0.5:443"));
    let (long, longer) = ("a".repeat(255), "a".repeat(256));
    let limits = V2 {
        alpn: Some(long.as_bytes()),
        authority: Some(&long),
        unique_id: Some(&long.as_bytes()[..128]),
        ..V2::new(pair.0, pair.1)
    };
    let beyond = V2 {
        alpn: Some(longer.as_bytes()),
        authority: Some(&longer),
        unique_id: Some(&long.as_bytes()[..129]),
        ..limits
    };
    let (mut full, mut bare) = (Vec::new(), Vec::new());
    encode_v2(&mut full, &limits);
    encode_v2(&mut bare, &beyond);
    assert_eq!(header(&full).tlvs().authority, Some(&*long));
    assert_eq!(bare, v2(0x21, 0x11, V4));
}

#[test]
fn padding_is_no_longer_than_it_must_be() {
    // The header without padding has 28 bytes, and a NOOP has at least 3.
    for (align, length) in [(1, 28), (4, 28), (28, 28), (31, 31), (30, 60), (29, 58), (16, 32)] {
        let header = V2::new(address("192.0.2.1:40000"), address("10.0.0.5:443"));
        let mut out = Vec::new();
        encode_v2(&mut out, &V2 { align: NonZeroU8::new(align), ..header });
        assert_eq!(out.len(), length, "aligned to {align}");
    }
}

#[test]
fn the_longest_written_header() {
    let value = "a".repeat(255);
    for align in 1..=255 {
        let mut out = Vec::new();
        let header = V2 {
            alpn: Some(value.as_bytes()),
            authority: Some(&value),
            unique_id: Some(&value.as_bytes()[..128]),
            crc32c: true,
            align: NonZeroU8::new(align),
            ..V2::new(address("[::2]:1"), address("[::1]:2"))
        };
        encode_v2(&mut out, &header);
        assert!(out.len() <= 963 && out.len().is_multiple_of(usize::from(align)));
        oracle::check(&out);
    }
}

#[test]
fn errors_are_words_for_a_log() {
    let text = ProxyError::TooLong(65551).to_string();
    assert_eq!(text, "PROXY v2: the header has 65551 bytes, at most 4096 are accepted");
    assert!(ProxyError::NotProxy.to_string().starts_with("no PROXY header"));
}

/// A right header of any kind.
fn any_header() -> impl Strategy<Value = Vec<u8>> {
    let values = (
        any::<Option<[u8; 3]>>(),
        proptest::option::of("[a-z.]{0,40}"),
        proptest::option::of(proptest::collection::vec(any::<u8>(), 0..=128)),
    );
    let rest = (any::<bool>(), any::<u8>(), any::<bool>());
    (any::<SocketAddr>(), any::<SocketAddr>(), values, rest).prop_map(
        |(source, destination, (alpn, authority, unique_id), (crc32c, align, text))| {
            let mut out = Vec::new();
            if text {
                encode_v1(&mut out, source, destination);
                return out;
            }
            let alpn = alpn.as_ref().map(|alpn| &alpn[..]);
            let (authority, unique_id) = (authority.as_deref(), unique_id.as_deref());
            let align = NonZeroU8::new(align);
            encode_v2(
                &mut out,
                &V2 { source, destination, alpn, authority, unique_id, crc32c, align },
            );
            out
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(data in proptest::collection::vec(any::<u8>(), 0..300)) {
        oracle::check(&data);
        oracle::check(&[&b"PROXY "[..], &data].concat());
        oracle::check(&[SIGNATURE, &[0x21], &data].concat());
    }

    #[test]
    fn right_headers_at_every_length(bytes in any_header()) {
        header(&bytes);
        for length in 0..bytes.len() {
            assert!(matches!(parse(&bytes[..length]), Ok(Parsed::Incomplete { .. })));
        }
        oracle::check(&bytes);
    }

    #[test]
    fn damaged_headers(
        bytes in any_header(),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut bytes = bytes;
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        oracle::check(&bytes);
    }
}
