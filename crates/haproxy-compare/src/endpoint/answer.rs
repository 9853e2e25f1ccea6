//! What endpoints answer.

use super::{Mood, WANTED};
use crate::http::Message;
use eclusa_haproxy_import::outline::Good;
use std::fmt::Write;

/// The answer to a request of the bed: the status that it wants, with fields that rules of answers
/// are likely to be about.
pub(super) fn answer(request: &Message) -> Vec<u8> {
    let status: u16 = request.field(WANTED).and_then(|text| text.parse().ok()).unwrap_or(200);
    let (method, target) = request.asked();
    let body =
        if [204, 304].contains(&status) { String::new() } else { format!("{method} {status}\n") };
    let mut head = format!("HTTP/1.1 {status} Bed\r\n");
    let host = request.field("host").unwrap_or("bed.test");
    if (300..400).contains(&status) {
        let _ = write!(head, "Location: http://{host}/moved{target}\r\n");
    }
    head.push_str(
        "Content-Type: text/plain\r\nServer: bed\r\nX-Powered-By: bed\r\nX-Frame-Options: ALLOWALL\r\n\
         Set-Cookie: application=1; Path=/\r\nCache-Control: max-age=60\r\n",
    );
    ended(head, method, status, &body)
}

/// The answer to a check.
pub(super) fn to_check(request: &Message, mood: Mood, good: &Good) -> Vec<u8> {
    let (status, body) = match mood {
        Mood::Says(status) => (status, good.body.as_str()),
        Mood::Babbles => (good.status, "-"),
        _ => (good.status, good.body.as_str()),
    };
    let head = format!("HTTP/1.1 {status} Bed\r\nContent-Type: text/plain\r\n");
    ended(head, request.asked().0, status, body)
}

fn ended(mut head: String, method: &str, status: u16, body: &str) -> Vec<u8> {
    if ![204, 304].contains(&status) {
        let _ = write!(head, "Content-Length: {}\r\n", body.len());
    }
    head.push_str("\r\n");
    if method != "HEAD" && ![204, 304].contains(&status) {
        head.push_str(body);
    }
    head.into_bytes()
}
