//! ClientHellos that are split, oversized, cut, missing, or none.

use super::{ANY, BLIND, BY_NAME, Case, Says, good_hello};
use eclusa_testkit::ca::client_hello;
use serde_json::{Value, json};

/// A hello that announces 20,000 bytes in two records, and brings them.
fn oversized() -> Vec<u8> {
    let mut message = vec![1, 0, 0x4e, 0x20, 3, 3];
    message.resize(4 + 20_000, 0);
    let records = message.chunks(16_384).flat_map(|part| {
        let length = u16::try_from(part.len()).unwrap().to_be_bytes();
        [&[22, 3, 1], &length[..], part].concat()
    });
    records.collect()
}

/// A hello whose session id says that it is longer than the hello.
fn malformed() -> Vec<u8> {
    let mut hello = good_hello();
    // Behind record header, message header, version and random (RFC 8446, section 4.1.2).
    hello[5 + 4 + 2 + 32] = 0xff;
    hello
}

/// A hello in two records, cut within the server name.
fn two_records() -> Vec<u8> {
    let hello = good_hello();
    let body = &hello[5..];
    let (first, second) = body.split_at(body.len() / 2);
    let record = |part: &[u8]| {
        let length = u16::try_from(part.len()).unwrap().to_be_bytes();
        [&[22, 3, 1], &length[..], part].concat()
    };
    [record(first), record(second)].concat()
}

fn carried(more: Value) -> Value {
    let mut record = json!({"step": "data", "letters": "--", "endpoint": "10.0.1.100:443"});
    merge(&mut record, more);
    record
}

fn no_route(more: Value) -> Value {
    let mut record = json!({"step": "route", "letters": "PR", "ended_by": "proxy",
        "reason": "no route takes a connection without a server name", "endpoint": null});
    merge(&mut record, more);
    record
}

fn merge(record: &mut Value, more: Value) {
    if let (Value::Object(record), Value::Object(more)) = (record, more) {
        record.extend(more);
    }
}

/// A client on outside1.
fn case(name: &'static str, port: u16, says: Vec<Says>, hears: &[u8], record: Value) -> Case {
    Case { name, from: "outside1", port, says, hears: hears.to_vec(), record }
}

fn all_of(bytes: &[u8]) -> Vec<Says> {
    vec![Says::Bytes(bytes.to_vec()), Says::Fin]
}

/// The same words where only names are taken, and where anything is.
fn twice(names: [&'static str; 2], says: &[u8], seen: &Value) -> [Case; 2] {
    [
        case(names[0], BY_NAME, all_of(says), b"", no_route(seen.clone())),
        case(names[1], ANY, all_of(says), says, carried(seen.clone())),
    ]
}

pub(super) fn cases() -> Vec<Case> {
    let mut cases = right();
    let hello = |seen: &str| json!({ "hello": seen });
    let nameless = client_hello("192.168.1.2", &["h2"]);
    let http = b"GET / HTTP/1.1\r\nHost: good.test\r\n\r\n";
    cases.extend(twice(["no SNI", "no SNI, any"], &nameless, &json!({"sni": null})));
    let names = ["oversized", "oversized, any"];
    cases.extend(twice(names, &oversized(), &hello("oversized")));
    cases.extend(twice(["not TLS", "not TLS, any"], http, &hello("not TLS")));
    let names = ["malformed", "malformed, any"];
    cases.extend(twice(names, &malformed(), &hello("malformed: …")));
    // A packet may begin like a PROXY header, and be none.
    cases.extend(twice(["CR LF and FIN", "CR LF and FIN, any"], b"\r\n", &hello("not TLS")));
    let unasked = carried(json!({"hello": null}));
    cases.push(case("not TLS, unasked", BLIND, all_of(http), http, unasked));
    cases.extend(cut());
    cases
}

/// Hellos that are as they should be, in few packets or many.
fn right() -> Vec<Case> {
    let good = good_hello();
    let bytewise = vec![Says::Bytewise(good.clone()), Says::Fin];
    let sni = json!({"sni": "good.test", "alpn": "h2", "hello": null});
    let evil = json!({"sni": "evil.test", "reason": "no route takes server name evil.test"});
    let unknown = all_of(&client_hello("evil.test", &[]));
    let two = two_records();
    vec![
        case("hello", BY_NAME, all_of(&good), &good, carried(sni.clone())),
        case("hello byte by byte", BY_NAME, bytewise, &good, carried(sni.clone())),
        case("hello in two records", BY_NAME, all_of(&two), &two, carried(sni)),
        case("unknown name", BY_NAME, unknown, b"", no_route(evil)),
    ]
}

/// Hellos that end too early, or never do.
fn cut() -> Vec<Case> {
    let good = good_hello();
    let half = &good[..good.len() / 2];
    let bytes = |bytes: &[u8]| vec![Says::Bytes(bytes.to_vec())];
    let late = json!({"step": "preamble", "letters": "cR", "ended_by": "client",
                      "reason": "ClientHello not complete after 3s"});
    let silent = json!({"hello": "silent"});
    let reset = vec![Says::Bytes(half.to_vec()), Says::Reset];
    let broken = json!({"step": "preamble", "letters": "CR", "ended_by": "client"});
    let not_tls = no_route(json!({"hello": "not TLS"}));
    vec![
        case("half a hello, late", BY_NAME, bytes(half), b"", late.clone()),
        case("half a hello, late, any", ANY, bytes(half), b"", late),
        case("half a hello and FIN, any", ANY, all_of(half), half, carried(silent.clone())),
        case("half a hello and reset", BY_NAME, reset, b"", broken),
        case("P and nothing more", BY_NAME, bytes(b"P"), b"", not_tls),
        case("nothing", BY_NAME, vec![], b"", no_route(silent.clone())),
        case("only FIN", BY_NAME, vec![Says::Fin], b"", no_route(silent)),
    ]
}
