//! gRPC: what its clients are told where we fail, and that its streams may rest.

use eclusa_wire::http1::Head;
use eclusa_wire::http2::grpc::{Status, is_media};
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};

/// Whether a message is one of gRPC.
pub(crate) fn is_grpc(head: &Head) -> bool {
    is_media(head.first(b"content-type").unwrap_or_default())
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

    #[test]
    fn our_failures_have_their_codes() {
        for (status, code) in [(502, "14"), (503, "14"), (504, "4"), (413, "8"), (418, "2")] {
            let fields = fields(status, "words");
            assert_eq!(fields["grpc-status"], code, "{status}");
            assert_eq!(fields["content-type"], "application/grpc");
        }
    }
}
