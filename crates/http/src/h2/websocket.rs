//! The handshake of WebSocket (RFC 6455, section 4), of which HTTP/2 has no need (RFC 8441, section 5): made
//! where an HTTP/1 endpoint wants it.

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use aws_lc_rs::rand::fill;
use data_encoding::BASE64;
use eclusa_wire::http1::Head;

/// What every key is hashed with (RFC 6455, section 1.3).
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A key for `Sec-WebSocket-Key`.
pub(super) fn key() -> String {
    let mut key = [0; 16];
    // It proves only that the endpoint has read the request: one of zeros would do.
    let _ = fill(&mut key);
    BASE64.encode(&key)
}

/// What `Sec-WebSocket-Accept` must say to this key.
pub(super) fn accept(key: &[u8]) -> String {
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, &[key, GUID].concat());
    BASE64.encode(hash.as_ref())
}

/// Whether an endpoint's 101 `response` answers the key of `request`.
pub(crate) fn is_accepted(request: &Head, response: &Head) -> bool {
    let Some(key) = request.first(b"sec-websocket-key") else { return true };
    response.first(b"sec-websocket-accept") == Some(accept(key).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 6455, section 1.3.
    #[test]
    fn a_key_is_answered_as_the_standard_shows() {
        assert_eq!(accept(b"dGhlIHNhbXBsZSBub25jZQ=="), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_eq!(key().len(), 24);
        assert_ne!(key(), key());
    }
}
