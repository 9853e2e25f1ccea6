//! PROXY headers that are malformed, untrusted, missing, late, split, wrong or huge.

use super::{ANY, BLIND, BY_NAME, Case, PROXIED, Says, good_hello};
use eclusa_testkit::proxy_header::{NOOP, write_v1, write_v2};
use serde_json::{Value, json};
use std::net::SocketAddr;

const TRUSTED: &str = "outside2";
const STRANGER: &str = "outside1";
const CLIENT: &str = "198.51.100.7:4711";

fn addresses() -> (SocketAddr, SocketAddr) {
    (CLIENT.parse().unwrap(), "192.0.2.80:443".parse().unwrap())
}

fn v1() -> Vec<u8> {
    let (client, to) = addresses();
    write_v1(client, to)
}

fn v2(crc: bool) -> Vec<u8> {
    let (client, to) = addresses();
    write_v2(client, to, &[(NOOP, &[0; 9])], crc)
}

/// A header with a checksum, and one bit of the client's address turned.
fn bad_crc() -> Vec<u8> {
    let mut header = v2(true);
    header[17] ^= 1;
    header
}

/// A header of version 2 of 65,536 bytes in all, right in every other way.
fn huge() -> Vec<u8> {
    let (client, to) = addresses();
    // 16 bytes of fixed part, 12 of addresses, 3 before the padding.
    let header = write_v2(client, to, &[(NOOP, &vec![0; 65_536 - 31])], false);
    assert_eq!(header.len(), 65_536);
    header
}

fn refused(reason: &str) -> Value {
    json!({"step": "preamble", "letters": "CR", "ended_by": "client", "reason": reason,
           "endpoint": null, "client": "203.0.113.12:…"})
}

fn late() -> Value {
    json!({"step": "preamble", "letters": "cR", "ended_by": "client",
           "reason": "PROXY header not complete after 3s"})
}

pub(super) fn cases() -> Vec<Case> {
    [served(), malformed(), unfinished(), untrusted()].into_iter().flatten().collect()
}

/// Headers that are as they should be, in few packets or many.
fn served() -> Vec<Case> {
    let good = good_hello();
    let case = |name, says| Case {
        name,
        from: TRUSTED,
        port: PROXIED,
        says,
        hears: good_hello(),
        record: json!({"client": CLIENT, "peer": "203.0.113.12:…", "local": "192.0.2.80:443",
                       "sni": "good.test", "step": "data", "letters": "--"}),
    };
    let bytewise = |header: &[u8]| vec![Says::Bytewise([header, &good[..]].concat()), Says::Fin];
    vec![
        case("PROXY v1", with_hello(&v1())),
        case("PROXY v2 with CRC32C", with_hello(&v2(true))),
        case("PROXY v1 byte by byte", bytewise(&v1())),
        case("PROXY v2 byte by byte", bytewise(&v2(true))),
    ]
}

fn with_hello(header: &[u8]) -> Vec<Says> {
    vec![Says::Bytes(header.to_vec()), Says::Bytes(good_hello()), Says::Fin]
}

/// Closed without a byte.
fn closed(name: &'static str, says: Vec<Says>, record: Value) -> Case {
    Case { name, from: TRUSTED, port: PROXIED, says, hears: Vec::new(), record }
}

fn malformed() -> Vec<Case> {
    let case = |name, header: &[u8], reason: &str| {
        closed(name, with_hello(header), refused(&format!("PROXY header: {reason}")))
    };
    let bad_v1 = b"PROXY TCP4 198.51.100.7 192.0.2.999 4711 443\r\n";
    let mut bad_v2 = v2(false);
    bad_v2[12] = 0x31;
    let endless = [b"PROXY TCP4 ".to_vec(), vec![b'1'; 65_536 - 11]].concat();
    vec![
        case("PROXY v1 malformed", bad_v1, "PROXY v1: an address is not one of the named protocol"),
        case("PROXY v2 malformed", &bad_v2, "PROXY v2: the version field says 3"),
        case("PROXY v2 with bad CRC32C", &bad_crc(), "PROXY v2: the CRC32C is wrong"),
        case("PROXY v2 of 65,536 bytes", &huge(), "PROXY v2: the header has 65536 bytes…"),
        case("PROXY v1 of 65,536 bytes", &endless, "PROXY v1: …"),
        case("PROXY header missing", b"", "no PROXY header: the first bytes are something else"),
    ]
}

/// Headers that are cut, or come too late.
fn unfinished() -> Vec<Case> {
    let part = || Says::Bytes(v1()[..20].to_vec());
    let broken = json!({"step": "preamble", "letters": "CR", "ended_by": "client"});
    let fin = refused("closed before its PROXY header was complete");
    vec![
        closed("PROXY header never comes", vec![], late()),
        closed("PROXY header late", vec![Says::Bytes(v2(true)[..20].to_vec())], late()),
        closed("PROXY header cut by FIN", vec![part(), Says::Fin], fin),
        closed("PROXY header cut by a reset", vec![part(), Says::Reset], broken),
    ]
}

/// From networks that are not in `proxy_from`: never believed.
fn untrusted() -> Vec<Case> {
    let record = || {
        json!({"step": "preamble", "letters": "CR", "ended_by": "client", "client": "203.0.113.11:…",
               "peer": null, "endpoint": null,
               "reason": "a PROXY header from a network that is not in `proxy_from`"})
    };
    let case = |name, port, header: Vec<u8>| Case {
        name,
        from: STRANGER,
        port,
        says: vec![Says::Bytes(header), Says::Bytes(good_hello()), Says::Fin],
        hears: Vec::new(),
        record: record(),
    };
    vec![
        case("PROXY v1 from an untrusted network", PROXIED, v1()),
        case("PROXY v2 from an untrusted network", PROXIED, v2(true)),
        case("PROXY v1 where none is expected", BY_NAME, v1()),
        case("PROXY v2 where none is expected", ANY, v2(true)),
        Case {
            name: "PROXY v2 byte by byte from an untrusted network",
            says: vec![Says::Bytewise(v2(true)), Says::Fin],
            ..case("", BY_NAME, Vec::new())
        },
        Case {
            name: "PROXY v1 byte by byte from an untrusted network",
            says: vec![Says::Bytewise(v1()), Says::Fin],
            ..case("", ANY, Vec::new())
        },
        // Nobody looks: bytes like any others, and the client stays who it is.
        Case {
            name: "PROXY v2 where nobody looks",
            from: STRANGER,
            port: BLIND,
            says: vec![Says::Bytes(v2(true)), Says::Fin],
            hears: v2(true),
            record: json!({"client": "203.0.113.11:…", "peer": null, "step": "data",
                           "letters": "--"}),
        },
    ]
}
