//! gRPC: what its clients are told where we fail, and that its streams may rest.

use eclusa_wire::http1::Head;
use eclusa_wire::http2::grpc::Status;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

/// Whether a message is one of gRPC: `application/grpc`, with or without the name of an encoding. What is
/// for browsers (`application/grpc-web`) is another protocol.
pub(crate) fn is_grpc(head: &Head) -> bool {
    is_grpc_media(head.first(b"content-type").unwrap_or_default())
}

/// The same by the value of `Content-Type`.
pub(crate) fn is_grpc_media(media: &[u8]) -> bool {
    let name = b"application/grpc";
    media.get(..name.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(name))
        && matches!(media.get(name.len()), None | Some(b'+' | b';' | b' '))
}

/// The fields of a trailers-only answer that says what the HTTP `status` means, with `words`.
pub(super) fn fields(status: u16, words: &'static str) -> HeaderMap {
    let mut fields = trailers(status, words);
    fields.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    fields
}

/// The trailers of an answer that breaks off for what the HTTP `status` means.
pub(super) fn trailers(status: u16, words: &'static str) -> HeaderMap {
    let code = Status::of_answer(status).code();
    let mut fields = HeaderMap::with_capacity(3);
    fields.insert(HeaderName::from_static("grpc-status"), u16::from(code).into());
    // Statuses have words without anything that would have to be percent-encoded.
    fields.insert(HeaderName::from_static("grpc-message"), HeaderValue::from_static(words));
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use eclusa_wire::http1::{Lenient, Limits};

    #[test]
    fn grpc_is_told_by_its_media_type_alone() {
        for (media, is_it) in [
            ("application/grpc", true),
            ("Application/gRPC+proto", true),
            ("application/grpc; charset=x", true),
            ("application/grpc-web", false),
            ("application/grpc-web+proto", false),
            ("application/json", false),
            ("", false),
        ] {
            let mut head = Head::new();
            head.begin_request(b"POST", None, b"a.test", b"/", Lenient::NONE).unwrap();
            let limits = Limits::default();
            head.append(b"content-type", media.as_bytes(), &limits, Lenient::NONE).unwrap();
            assert_eq!(is_grpc(&head), is_it, "{media}");
        }
    }

    #[test]
    fn our_failures_have_their_codes() {
        for (status, code) in [(502, "14"), (503, "14"), (504, "4"), (413, "8"), (418, "2")] {
            let fields = fields(status, "words");
            assert_eq!(fields["grpc-status"], code, "{status}");
            assert_eq!(fields["content-type"], "application/grpc");
        }
    }
}
