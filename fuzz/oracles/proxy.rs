//! What must hold whatever bytes the PROXY reader is given. Shared by the fuzz target and by the
//! replay of its corpus in `cargo test`.

use eclusa_wire::proxy_protocol::{
    ALPN_MAX, Header, Parsed, ProxyError, Tlvs, V1_MAX, V2, V2_MAX, encode_v1, encode_v2, parse,
};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU8;

/// Panics if a property does not hold for `data`.
pub fn check(data: &[u8]) {
    prefixes_agree(data);
    if let Ok(Parsed::Complete { header: Header::Proxied { source, destination, tlvs }, .. }) =
        parse(data)
    {
        let crc32c = data.len().is_multiple_of(2);
        let Tlvs { alpn, authority, unique_id } = tlvs;
        let header = V2::new(source, destination);
        written_is_read(&V2 { alpn, authority, unique_id, crc32c, ..header });
    }
    made_up(data);
}

/// Fed byte by byte: incomplete, with a bound that only rises and is never past the end; then a
/// verdict, and it is the one that the whole gets.
fn prefixes_agree(data: &[u8]) {
    let whole = parse(data);
    let mut bound = 0;
    for length in 0..=data.len().min(V2_MAX + 1) {
        match parse(&data[..length]) {
            Ok(Parsed::Incomplete { at_least }) => {
                assert!(at_least > length && at_least >= bound && at_least <= V2_MAX);
                bound = at_least;
                if length == data.len() {
                    assert_eq!(whole, Ok(Parsed::Incomplete { at_least }));
                }
                if let Ok(Parsed::Complete { consumed, .. }) = whole {
                    assert!(at_least <= consumed);
                }
            }
            verdict => {
                assert_eq!(verdict, whole, "after {length} bytes");
                if let Ok(Parsed::Complete { consumed, .. }) = verdict {
                    assert!(consumed <= length);
                    assert!(bound <= consumed);
                }
            }
        }
    }
}

/// What is encoded reads as what was meant; damage to a sealed header is noticed.
fn written_is_read(meant: &V2<'_>) {
    let canonical =
        |address: SocketAddr| SocketAddr::new(address.ip().to_canonical(), address.port());
    let (source, destination) = (canonical(meant.source), canonical(meant.destination));

    let mut line = Vec::new();
    encode_v1(&mut line, meant.source, meant.destination);
    assert!(line.len() <= V1_MAX);
    let header = Header::Proxied { source, destination, tlvs: Tlvs::default() };
    assert_eq!(parse(&line), Ok(Parsed::Complete { header, consumed: line.len() }));
    prefixes_agree(&line);

    let mut binary = Vec::new();
    encode_v2(&mut binary, meant);
    let tlvs = Tlvs {
        alpn: meant.alpn.filter(|value| value.len() <= ALPN_MAX),
        authority: meant.authority.filter(|value| value.len() <= 255),
        unique_id: meant.unique_id.filter(|value| value.len() <= 128),
    };
    let header = Header::Proxied { source, destination, tlvs };
    let consumed = binary.len();
    assert_eq!(parse(&binary), Ok(Parsed::Complete { header, consumed }));
    if let Some(align) = meant.align {
        assert!(consumed.is_multiple_of(usize::from(align.get())));
    }
    binary.extend_from_slice(b"GET / HTTP/1.1\r\n");
    prefixes_agree(&binary);
    if meant.crc32c {
        // Addresses and ports lie behind the fixed sixteen bytes.
        let at = 16 + usize::from(meant.source.port()) % 12;
        binary[at] ^= 1 << (meant.destination.port() % 8);
        assert_eq!(parse(&binary), Err(ProxyError::Checksum));
    }
}

/// Takes `data` as a description of a header.
fn made_up(mut data: &[u8]) {
    let flags = take(&mut data, 1).first().copied().unwrap_or(0);
    let source = address(&mut data, flags & 1 != 0);
    let destination = address(&mut data, flags & 2 != 0);
    let align = NonZeroU8::new(take(&mut data, 1).first().copied().unwrap_or(0));
    let mut value = |wanted| {
        let length = take(&mut data, 1).first().map_or(0, |length| usize::from(*length) + 2);
        let value = take(&mut data, length);
        Some(value).filter(|_| wanted)
    };
    let (alpn, unique_id) = (value(flags & 4 != 0), value(flags & 8 != 0));
    let authority = value(flags & 16 != 0).and_then(|value| str::from_utf8(value).ok());
    let crc32c = flags & 32 != 0;
    written_is_read(&V2 { source, destination, alpn, authority, unique_id, crc32c, align });
}

fn address(data: &mut &[u8], is_v6: bool) -> SocketAddr {
    let mut port = [0; 2];
    fill(&mut port, data);
    let address = if is_v6 {
        let mut octets = [0; 16];
        fill(&mut octets, data);
        IpAddr::V6(Ipv6Addr::from(octets))
    } else {
        let mut octets = [0; 4];
        fill(&mut octets, data);
        IpAddr::V4(Ipv4Addr::from(octets))
    };
    SocketAddr::new(address, u16::from_be_bytes(port))
}

fn fill(place: &mut [u8], data: &mut &[u8]) {
    let taken = take(data, place.len());
    place[..taken.len()].copy_from_slice(taken);
}

fn take<'a>(data: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = data.split_at(count.min(data.len()));
    *data = rest;
    taken
}
