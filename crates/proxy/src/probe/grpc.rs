//! A call to gRPC's health service (`grpc.health.v1.Health/Check`, in gRPC's documentation: *GRPC Health
//! Checking Protocol*): what is sent, and what an answer counts as. Its two messages have one field each,
//! and are written and read here as protobuf has them on the wire.

use super::http::GOOD;
use bytes::Bytes;
use eclusa_policy::verdict::{HEALTH_UNKNOWN, NO_GRPC, NOT_SERVING, of_grpc};
use eclusa_wire::http2::grpc::{Messages, PREFIX, Status, is_media, prefix};
use http_body_util::BodyExt;
use hyper::body::Body;
use hyper::header::{CONTENT_TYPE, HeaderMap};
use hyper::{Response, StatusCode};
use std::pin::pin;

/// Where it is called.
pub(super) const PATH: &str = "/grpc.health.v1.Health/Check";
/// The longest answer that is looked at: it needs two bytes, and there may be fields that we do not know.
const ANSWER_MAX: u32 = 4 << 10;
/// Protobuf's key of the first field, where its value is bytes.
const FIRST_AS_BYTES: u8 = 1 << 3 | 2;

/// The question about a service, with its prefix; empty: about the endpoint as a whole.
pub(super) fn question(service: &str) -> Bytes {
    let mut message = Vec::new();
    if !service.is_empty() {
        message.push(FIRST_AS_BYTES);
        write_varint(service.len(), &mut message);
        message.extend_from_slice(service.as_bytes());
    }
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&prefix(false, length), &*message].concat().into()
}

/// Reads an answer to its end; what it counts as: a status of HTTP, or what stands for one.
///
/// # Errors
/// It broke off.
pub(super) async fn read<B: Body<Data = Bytes>>(response: Response<B>) -> Result<u16, B::Error> {
    let (head, body) = response.into_parts();
    match head.status {
        StatusCode::OK if !is_grpc(&head.headers) => return Ok(NO_GRPC),
        StatusCode::OK => {}
        status if status.is_success() => return Ok(NO_GRPC),
        status => return Ok(status.as_u16()),
    }
    let (mut body, mut bytes, mut messages) = (pin!(body), Vec::new(), Messages::new(ANSWER_MAX));
    // An answer of trailers only has them in its head.
    let mut trailers = head.headers;
    while let Some(frame) = body.frame().await {
        match frame?.into_data() {
            Ok(data) if messages.read(&data).is_err() || messages.whole() > 1 => {
                return Ok(NO_GRPC);
            }
            Ok(data) => bytes.extend_from_slice(&data),
            Err(frame) => trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
    let status = trailers.get("grpc-status").and_then(|value| Status::read(value.as_bytes()));
    Ok(match status {
        Some(Status::Ok) if messages.whole() == 1 && messages.is_between() => serving(&bytes),
        Some(Status::Ok) | None => NO_GRPC,
        Some(status) => of_grpc(status.code()),
    })
}

fn is_grpc(fields: &HeaderMap) -> bool {
    fields.get(CONTENT_TYPE).is_some_and(|media| is_media(media.as_bytes()))
}

/// What a message with its prefix says of the endpoint.
fn serving(bytes: &[u8]) -> u16 {
    // We take nothing that is compressed.
    let (Some(0), Some(message)) = (bytes.first(), bytes.get(PREFIX..)) else { return NO_GRPC };
    match first_number(message) {
        Some(1) => GOOD,
        Some(2) => NOT_SERVING,
        // SERVICE_UNKNOWN, which is meant for watchers.
        Some(3) => of_grpc(Status::NotFound.code()),
        Some(_) => HEALTH_UNKNOWN,
        None => NO_GRPC,
    }
}

/// The number in the first field of a message of protobuf; 0 where it has none. `None`: it is no message.
fn first_number(mut message: &[u8]) -> Option<u64> {
    let mut number = 0;
    while !message.is_empty() {
        let key = read_varint(&mut message)?;
        let length = match key & 7 {
            0 => {
                let value = read_varint(&mut message)?;
                if key >> 3 == 1 {
                    number = value;
                }
                0
            }
            1 => 8,
            2 => usize::try_from(read_varint(&mut message)?).ok()?,
            5 => 4,
            _ => return None,
        };
        message = message.get(length..)?;
    }
    Some(number)
}

fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f) << shift;
        if *first < 0x80 {
            return Some(number);
        }
    }
    None
}

fn write_varint(mut number: usize, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(u8::try_from(number & 0x7f).unwrap_or(0) | 0x80);
        number >>= 7;
    }
    out.push(u8::try_from(number).unwrap_or(0));
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::Full;

    #[test]
    fn questions_are_protobuf() {
        assert_eq!(question(""), [0, 0, 0, 0, 0][..]);
        assert_eq!(question("a.B"), b"\0\0\0\0\x05\x0a\x03a.B"[..]);
        let long = question(&"x".repeat(200));
        assert_eq!(long[..8], *b"\0\0\0\0\xcb\x0a\xc8\x01");
        assert_eq!(long.len(), 5 + 203);
    }

    #[test]
    fn numbers_are_found_among_fields_that_nobody_knows() {
        for (message, number) in [
            (&b""[..], Some(0)),
            (b"\x08\x01", Some(1)),
            (b"\x08\x01\x08\x02", Some(2)),
            (b"\x12\x02ab\x08\x02\x19\0\0\0\0\0\0\0\0\x25\0\0\0\0", Some(2)),
            (b"\x10\x01", Some(0)),
            (b"\x08", None),
            (b"\x08\x80", None),
            (b"\x12\x03ab", None),
            (b"\x0b", None),
            (b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", None),
        ] {
            assert_eq!(first_number(message), number, "{}", message.escape_ascii());
        }
    }

    /// What an answer with these counts as; `behind`: `grpc-status` behind the body.
    fn counted(status: u16, head: &[(&'static str, &str)], body: &[u8], behind: &str) -> u16 {
        let mut response = Response::builder().status(status);
        for (name, value) in head {
            response = response.header(*name, *value);
        }
        let mut fields = HeaderMap::new();
        if !behind.is_empty() {
            fields.insert("grpc-status", behind.parse().unwrap());
        }
        let trailers = async { (!fields.is_empty()).then_some(Ok(fields)) };
        let body = Full::new(Bytes::copy_from_slice(body)).with_trailers(trailers);
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(read(response.body(body).unwrap())).unwrap()
    }

    #[test]
    fn answers_are_told_apart() {
        let media = ("content-type", "application/grpc");
        let said = |message: &[u8], status: &str| counted(200, &[media], message, status);
        assert_eq!(said(b"\0\0\0\0\x02\x08\x01", "0"), GOOD);
        assert_eq!(said(b"\0\0\0\0\x02\x08\x02", "0"), NOT_SERVING);
        assert_eq!(said(b"\0\0\0\0\0", "0"), HEALTH_UNKNOWN);
        assert_eq!(said(b"\0\0\0\0\x02\x08\x07", "0"), HEALTH_UNKNOWN);
        assert_eq!(said(b"\0\0\0\0\x02\x08\x03", "0"), of_grpc(5));
        assert_eq!(said(b"", "14"), of_grpc(14));
        for (status, told) in [("12", of_grpc(12)), ("5", of_grpc(5)), ("0", NO_GRPC)] {
            let only = [media, ("grpc-status", status)];
            assert_eq!(counted(200, &only, b"", ""), told, "trailers only: {status}");
        }
        // Good ones, but for a thing.
        let good = &b"\0\0\0\0\x02\x08\x01"[..];
        assert_eq!(said(good, ""), NO_GRPC, "no status");
        assert_eq!(said(good, "OK"), NO_GRPC);
        assert_eq!(said(b"\x01\0\0\0\x02\x08\x01", "0"), NO_GRPC, "compressed");
        assert_eq!(said(&good[..6], "0"), NO_GRPC, "cut short");
        assert_eq!(said(&[good, good].concat(), "0"), NO_GRPC, "two");
        assert_eq!(said(b"\0\0\0\x20\0\x08\x01", "0"), NO_GRPC, "too long");
        assert_eq!(said(b"\0\0\0\0\x01\x08", "0"), NO_GRPC, "no protobuf");
        assert_eq!(counted(200, &[("content-type", "text/html")], good, "0"), NO_GRPC);
        assert_eq!(counted(200, &[], good, "0"), NO_GRPC);
        for status in [301, 404, 503] {
            assert_eq!(counted(status, &[media], good, "0"), status);
        }
        assert_eq!(counted(204, &[media], b"", "0"), NO_GRPC);
    }
}
