//! Properties: how the bytes come does not matter, and what is written reads as it was read.

use crate::oracle;
use crate::table::rows;
use proptest::collection::vec;
use proptest::prelude::*;

/// Parts that requests are made of, right ones and wrong ones.
const PARTS: &[&str] = &[
    "GET ",
    "POST ",
    "HEAD ",
    "OPTIONS ",
    "CONNECT ",
    "/",
    "/a?b=%20",
    "*",
    "http://a",
    "a:443",
    " ",
    "HTTP/1.1\r\n",
    "HTTP/1.0\r\n",
    "Host: a\r\n",
    "Host: b:80\r\n",
    "Content-Length: 5\r\n",
    "Content-Length:0\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Connection: close, x\r\n",
    "X: y\r\n",
    "x:\t z \r\n",
    "Expect: 100-continue\r\n",
    "Upgrade: a\r\n",
    "Connection: upgrade\r\n",
    "\r\n",
    "\n",
    "\r",
    "\0",
    "%",
    "HTTP/1.1 200 OK\r\n",
    "HTTP/1.1 204 \r\n",
    "0\r\n\r\n",
    "5\r\nhello\r\n",
];

fn made_of_parts() -> impl Strategy<Value = Vec<u8>> {
    vec(prop::sample::select(PARTS), 0..12).prop_map(|parts| parts.concat().into_bytes())
}

fn right_request() -> impl Strategy<Value = Vec<u8>> {
    let method = "[A-Z]{1,8}";
    let target = "/[a-z0-9/]{0,12}(\\?[a-z=&]{0,8})?";
    let field =
        ("[A-Za-z][A-Za-z0-9-]{0,20}", "[ \t]{0,2}", "[!-~]([ -~]{0,30}[!-~])?", "[ \t]{0,2}");
    let body =
        prop::sample::select(&["", "Content-Length: 7\r\n", "transfer-encoding:chunked\r\n"][..]);
    (method, target, vec(field, 0..20), body).prop_map(|(method, target, fields, body)| {
        let fields = fields.iter().filter(|(name, ..)| {
            let hands_off = ["host", "te", "upgrade", "connection", "expect"];
            !hands_off.contains(&name.to_lowercase().as_str())
        });
        let fields =
            fields.map(|(name, before, value, after)| format!("{name}:{before}{value}{after}\r\n"));
        let method = if ["TRACE", "CONNECT"].contains(&&method[..]) { "GET" } else { &method };
        let fields = fields.collect::<String>();
        format!("{method} {target} HTTP/1.1\r\nHost: a.example\r\n{fields}{body}\r\n").into_bytes()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(data in vec(any::<u8>(), 0..200)) {
        oracle::check_request(&data);
        oracle::check_response(&data);
        oracle::check_chunks(&data);
        oracle::check_request(&[b"GET / HTTP/1.1\r\nHost: a\r\n", &data[..]].concat());
        oracle::check_response(&[b"HTTP/1.1 200 OK\r\n", &data[..]].concat());
    }

    #[test]
    fn any_parts(data in made_of_parts()) {
        oracle::check_request(&data);
        oracle::check_response(&data);
        oracle::check_chunks(&data);
        oracle::check_request(&[b"GET / HTTP/1.1\r\nHost: a\r\n", &data[..]].concat());
    }

    #[test]
    fn right_requests_pass(data in right_request()) {
        let how = oracle::How { asked: None, lenient: eclusa_wire::http1::Lenient::NONE };
        let (parsed, _) = oracle::read(&data, how);
        prop_assert_eq!(parsed, eclusa_wire::http1::Parsed::Complete(data.len()));
        oracle::check_request(&data);
    }

    #[test]
    fn damaged_rows(
        row in any::<prop::sample::Index>(),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let rows = rows(include_str!("odd.txt"));
        let mut bytes = rows[row.index(rows.len())].bytes.clone();
        bytes.truncate(2000);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        oracle::check_request(&bytes);
        oracle::check_response(&bytes);
    }

    #[test]
    fn any_chunks(digits in "[0-9a-fA-F]{0,17}", rest in made_of_parts()) {
        oracle::check_chunks(&[digits.as_bytes(), &rest[..]].concat());
        oracle::check_chunks(&[b"5\r\nhello\r\n0\r\n", &rest[..]].concat());
    }
}
